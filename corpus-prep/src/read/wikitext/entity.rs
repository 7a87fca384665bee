//! Character references.

use quick_xml::escape::resolve_html5_entity;

/// Longest name of a reference, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// The characters that the reference at the start of `text` stands for, and its length in bytes. Spaces that do not break
/// are plain ones.
pub fn decode(text: &str) -> Option<(String, usize)> {
    let bytes = &text.as_bytes()[..text.len().min(MAX_NAME_BYTES + 2)];
    let end = bytes.iter().position(|byte| *byte == b';')?;
    let name = text.get(1..end)?;
    let decoded = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|char| *char != '\0')?.to_string()
        }
        None => resolve_html5_entity(name)?.to_owned(),
    };
    Some((decoded.replace('\u{a0}', " "), end + 1))
}
