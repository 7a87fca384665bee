//! Named fields, as WARC and HTTP write them.

/// Named fields of a header; of equal names the first one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of `lines`. A line that begins with a blank goes on with the one before; one without a colon is no field.
    /// Bytes that are no UTF-8 become U+FFFD.
    pub fn parse(lines: &[u8]) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in lines.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let value = |value: &str| value.trim().to_owned();
            match (line.starts_with([' ', '\t']), line.split_once(':'), fields.last_mut()) {
                (true, _, Some((_, before))) if !line.trim().is_empty() => {
                    before.push(' ');
                    before.push_str(line.trim());
                }
                (false, Some((name, held)), _) => {
                    fields.push((name.trim().to_ascii_lowercase(), value(held)));
                }
                _ => {}
            }
        }
        Self(fields)
    }

    /// The value of the field `name`, which is in lower case; `None` if it is not there or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(field, _)| field == name)?;
        Some(field.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The values of all fields `name`, which is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The name of a WARC record, as found.
    pub fn record_id(&self) -> Option<String> {
        self.get("warc-record-id").map(String::from)
    }

    /// The address that a WARC record is of, without the angle brackets in which some programs put it.
    pub fn target(&self) -> Option<String> {
        let found = self.get("warc-target-uri")?;
        let bare = found.strip_prefix('<').and_then(|found| found.strip_suffix('>'));
        Some(bare.unwrap_or(found).to_owned())
    }
}

/// Length of the header that `bytes` begin with, with the blank line behind it; `None` if that is not there.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let mut line_ends = memchr::memchr_iter(b'\n', bytes);
    line_ends.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The media type that a `Content-Type` says, in lower case and without parameters, and the charset among those.
pub fn media_type(content_type: &str) -> (String, Option<&str>) {
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    (media, charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_any_case_and_go_on_in_the_next_line() {
        let fields =
            Fields::parse(b"A: one\r\nb:two\r\n  and three\r\nno field\r\na: again\r\nE:\r\n");
        assert_eq!((fields.get("a"), fields.get("b")), (Some("one"), Some("two and three")));
        assert_eq!((fields.get("no field"), fields.get("e")), (None, None));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["one", "again"]);
        let named = Fields::parse(b"WARC-Target-URI: <http://a/>\nWARC-Record-ID: <urn:x>");
        assert_eq!(named.target().as_deref(), Some("http://a/"));
        assert_eq!(named.record_id().as_deref(), Some("<urn:x>"));
    }

    #[test]
    fn a_header_ends_with_a_blank_line() {
        assert_eq!(length(b"a: b\r\n\r\nrest"), Some(8));
        assert_eq!(length(b"a: b\n\nrest"), Some(6));
        assert_eq!(length(b"a: b\r\n\r"), None);
        assert_eq!(length(b"a: b\r\nc: d\r\n"), None);
    }

    #[test]
    fn a_media_type_has_a_charset_or_none() {
        let check = |found, media: &str, charset| {
            assert_eq!(media_type(found), (media.to_owned(), charset), "{found}");
        };
        check("text/HTML", "text/html", None);
        check("text/html; a=b; Charset=\"utf-8\"", "text/html", Some("utf-8"));
        check("", "", None);
    }
}
