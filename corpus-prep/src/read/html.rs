//! Pages to their main text.
//!
//! The text is what crate `trafilatura` finds, which follows go-trafilatura and so Barbaresi 2021,
//! doi:10.18653/v1/2021.acl-demo.15; comments of readers are left out.

mod tree;

use self::tree::Size;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::panic::{AssertUnwindSafe, catch_unwind};
use trafilatura::{HtmlDateMode, Options, TrafilaturaError, extract};

/// Largest page. Real ones are some ten levels deep; the extractor leaves out what stands below some hundred. They have
/// some thousand nodes; the extractor's time grows faster than their number.
const MAX: Size = Size { depth: 200, nodes: 100_000 };

/// Bytes in which a page says its charset, as by the HTML standard.
const CHARSET_BYTES: usize = 1024;

/// A page as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The main text; empty if there is none.
    pub text: String,
    /// The title, if there is one.
    pub title: Option<String>,
    /// Bytes that are not of the page's charset and became U+FFFD, about.
    pub replaced_bytes: u64,
}

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// Elements are nested too deeply.
    #[error("elements nested more than {} deep, which are left unread", MAX.depth)]
    TooDeep,
    /// There are too many elements.
    #[error("a page of more than {} elements, which is left unread", MAX.nodes)]
    TooManyNodes,
    /// The extractor panicked, or gave up.
    #[error("the extractor of main text gave up: {message}")]
    GaveUp {
        /// What it said.
        message: String,
    },
}

/// The main text of a page. `is_marked` says that a byte order mark of UTF-8 stood before it.
///
/// # Errors
/// [`BadPage`] when it is not to be read in bounded time and memory.
pub fn read(bytes: &[u8], is_marked: bool) -> Result<Page, BadPage> {
    let (html, replaced_bytes) = decode(bytes, is_marked.then_some(UTF_8));
    let Size { depth, nodes } = tree::size(&html, MAX);
    if depth > MAX.depth {
        return Err(BadPage::TooDeep);
    }
    if nodes > MAX.nodes {
        return Err(BadPage::TooManyNodes);
    }
    let options = Options::default()
        .with_fallback(true)
        .with_exclude_comments(true)
        .with_html_date_mode(HtmlDateMode::Disabled);
    // One page that the extractor stumbles over must not take the others with it.
    let extracted = catch_unwind(AssertUnwindSafe(|| extract(&html, &options)));
    let gave_up = |message: String| BadPage::GaveUp { message };
    match extracted {
        Ok(Ok(found)) => {
            let title = Some(found.metadata.title).filter(|title| !title.trim().is_empty());
            Ok(Page { text: found.content_text, title, replaced_bytes })
        }
        Ok(Err(TrafilaturaError::InsufficientContent { .. })) => {
            Ok(Page { replaced_bytes, ..Page::default() })
        }
        Ok(Err(error)) => Err(gave_up(error.to_string())),
        Err(_) => Err(gave_up("it panicked".into())),
    }
}

/// The characters of a page, and how many replace bytes that are none.
///
/// The charset is the byte order mark's, else the one that `meta` says, else UTF-8, unless more than a tenth of what is not
/// ASCII contradicts it: then it is guessed from the bytes as Firefox does.
fn decode(bytes: &[u8], marked: Option<&'static Encoding>) -> (String, u64) {
    let marked = marked.or_else(|| Encoding::for_bom(bytes).map(|(encoding, _)| encoding));
    let said = marked.or_else(|| declared(bytes)).unwrap_or(UTF_8);
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
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
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

    #[track_caller]
    fn check_decoded(bytes: &[u8], expected: &str) {
        assert_eq!(decode(bytes, None), (expected.to_owned(), 0));
    }

    #[test]
    fn the_charset_is_the_marks_or_the_metas_or_guessed() {
        check_decoded("caf\u{e9}".as_bytes(), "café");
        check_decoded(b"\xff\xfec\0a\0f\0\xe9\0", "café");
        check_decoded(b"<meta charset=iso-8859-2>\xb1", "<meta charset=iso-8859-2>\u{105}");
        let old = b"<META http-equiv='Content-Type' content='text/html; charset=windows-1251'>\xcf";
        assert!(decode(old, None).0.ends_with('П'));
        check_decoded(b"<p>Gr\xfc\xdfe aus M\xfcnchen</p>", "<p>Grüße aus München</p>");
        check_decoded(
            b"<meta charset='utf-8'>Gr\xfc\xdfe aus M\xfcnchen",
            "<meta charset='utf-8'>Grüße aus München",
        );
    }

    #[test]
    fn a_few_broken_bytes_do_not_change_the_charset() {
        let bytes = ["Grüße und Küsse aus München, schöne Tage".as_bytes(), b" \xff"].concat();
        let (text, replaced) = decode(&[bytes.repeat(3), "ööööööööööööööö".into()].concat(), None);
        assert!(text.starts_with("Grüße und") && replaced == 3, "{text} {replaced}");
    }

    #[test]
    fn the_main_text_and_the_title_are_found() {
        let words =
            "The river carries the old letters past the quiet garden every winter. ".repeat(9);
        let html = format!(
            "<html><head><title>Letters</title></head><body><nav><a href='/'>Home</a></nav>\
             <article><h1>Letters</h1><p>{words}</p></article><footer>Imprint</footer></body></html>"
        );
        let page = read(html.as_bytes(), false).unwrap();
        assert_eq!(page.title.as_deref(), Some("Letters"));
        assert!(page.text.contains(words.trim()) && !page.text.contains("Imprint"), "{page:?}");
    }

    #[test]
    fn a_page_without_main_text_is_empty() {
        for html in ["", "<html></html>", "<script>var a</script>"] {
            assert_eq!(read(html.as_bytes(), false), Ok(Page::default()), "{html}");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_what_is_just_allowed_takes_seconds() {
        let nested = |tag: &str, times| read(tag.repeat(times).as_bytes(), false);
        assert_eq!(nested("<div>", 1_000_000), Err(BadPage::TooDeep));
        assert_eq!(nested("<b>", 1_000_000), Err(BadPage::TooDeep));
        assert_eq!(nested("<p>", 1_000_000), Err(BadPage::TooManyNodes));
        let started = std::time::Instant::now();
        for tag in ["<p>x", "<br>", "<a>", "<table><tr><td>x</table>", "<p><b>x</b>"] {
            let times = MAX.nodes / 2 / tag.matches("<").count();
            assert!(nested(tag, times).is_ok(), "{tag}");
        }
        for tag in ["<div>", "<b>", "<ul><li>", "<font><p>"] {
            assert!(nested(tag, MAX.depth / 3).is_ok(), "{tag}");
        }
        // Seconds on a quiet machine; the bound tells only whether it grows out of hand.
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
