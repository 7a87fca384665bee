//! Bytes of fetched pages and texts to characters.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes in which a page says its charset, as by the HTML standard.
const CHARSET_BYTES: usize = 1024;

/// The characters of `bytes`, and how many replace bytes that are none.
///
/// The charset is that of a byte order mark, which is `marked` or stands at the start, else the one that is `said`, else
/// UTF-8, unless more than a tenth of what is not ASCII contradicts it: then it is guessed from the bytes as Firefox does.
pub fn decode(
    bytes: &[u8],
    marked: Option<&'static Encoding>,
    said: Option<&'static Encoding>,
) -> (String, u64) {
    let marked = marked.or_else(|| Encoding::for_bom(bytes).map(|(encoding, _)| encoding));
    let said = marked.or(said).unwrap_or(UTF_8);
    let (text, _, is_broken) = said.decode(bytes);
    if !is_broken {
        return (text.into_owned(), 0);
    }
    let replaced = replacements(&text);
    let foreign = text.chars().filter(|char| !char.is_ascii()).count() as u64;
    if marked.is_some() || replaced * 10 <= foreign {
        return (text.into_owned(), replaced);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let (text, _, is_broken) = detector.guess(None, Utf8Detection::Allow).decode(bytes);
    let replaced = if is_broken { replacements(&text) } else { 0 };
    (text.into_owned(), replaced)
}

fn replacements(text: &str) -> u64 {
    text.chars().filter(|char| *char == char::REPLACEMENT_CHARACTER).count() as u64
}

/// The charset that a `meta` element near the start says.
pub fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(CHARSET_BYTES)].to_ascii_lowercase();
    let metas = head.split(|byte| *byte == b'<').filter(|tag| tag.starts_with(b"meta"));
    let label = metas.filter_map(charset).next()?;
    let encoding = Encoding::for_label(&label)?;
    // Bytes in which `meta` could be found are not UTF-16.
    Some(if encoding == UTF_16BE || encoding == UTF_16LE { UTF_8 } else { encoding })
}

fn charset(tag: &[u8]) -> Option<Vec<u8>> {
    let at = tag.windows(7).position(|word| word == b"charset")?;
    let rest = tag[at + 7..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"'")).unwrap_or(rest);
    let is_end = |byte: &u8| b"\"' \t\r\n;/>".contains(byte);
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    Some(rest[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bytes: &[u8]) -> (String, u64) {
        decode(bytes, None, declared(bytes))
    }

    #[track_caller]
    fn check_decoded(bytes: &[u8], expected: &str) {
        assert_eq!(page(bytes), (expected.to_owned(), 0));
    }

    #[test]
    fn the_charset_is_the_marks_or_the_metas_or_guessed() {
        check_decoded("caf\u{e9}".as_bytes(), "café");
        check_decoded(b"\xff\xfec\0a\0f\0\xe9\0", "café");
        check_decoded(b"<meta charset=iso-8859-2>\xb1", "<meta charset=iso-8859-2>\u{105}");
        let old = b"<META http-equiv='Content-Type' content='text/html; charset=windows-1251'>\xcf";
        assert!(page(old).0.ends_with('П'));
        check_decoded(b"<p>Gr\xfc\xdfe aus M\xfcnchen</p>", "<p>Grüße aus München</p>");
        check_decoded(
            b"<meta charset='utf-8'>Gr\xfc\xdfe aus M\xfcnchen",
            "<meta charset='utf-8'>Grüße aus München",
        );
    }

    #[test]
    fn a_few_broken_bytes_do_not_change_the_charset() {
        let bytes = ["Grüße und Küsse aus München, schöne Tage".as_bytes(), b" \xff"].concat();
        let (text, replaced) = page(&[bytes.repeat(3), "ööööööööööööööö".into()].concat());
        assert!(text.starts_with("Grüße und") && replaced == 3, "{text} {replaced}");
    }

    #[test]
    fn what_is_said_counts_unless_a_mark_or_the_bytes_contradict() {
        let said = |bytes: &[u8], label: &str| {
            decode(bytes, None, Encoding::for_label(label.as_bytes())).0
        };
        assert_eq!(said(b"caf\xe9", "latin1"), "café");
        assert_eq!(said(b"\xef\xbb\xbfcaf\xc3\xa9", "latin1"), "café");
        assert_eq!(said(b"Gr\xfc\xdfe aus M\xfcnchen", "utf-8"), "Grüße aus München");
        assert_eq!(decode(b"caf\xc3\xa9", None, None), ("café".to_owned(), 0));
    }
}
