//! Lines and white space as Python has them, which the published rules are written in.

use std::ops::Range;

/// Whether Python's `str.strip` removes `c`.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The lines of `text` as by Python's `str.splitlines`: no empty line after the last end of line.
///
/// Lines end with LF, CR, CR LF, VT, FF, FS, GS, RS, NEL, LS or PS.
pub fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    lines_with_ends(text).map(|(line, _)| &text[line])
}

/// Where these lines stand, and where what ends them does, in bytes.
pub fn lines_with_ends(text: &str) -> impl Iterator<Item = (Range<usize>, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = find_line_end(rest);
        let line = start..start + length;
        let mut after = rest[length..].chars();
        if after.next() == Some('\r') && after.as_str().starts_with('\n') {
            after.next();
        }
        start = text.len() - after.as_str().len();
        Some((line, start))
    })
}

/// Bytes before the first end of a line. Only characters whose first byte can begin one are looked at.
fn find_line_end(text: &str) -> usize {
    let begins = |byte: &u8| matches!(byte, b'\n'..=b'\r' | 0x1c..=0x1e | 0xc2 | 0xe2);
    let mut at = 0;
    while let Some(found) = text.as_bytes()[at..].iter().position(begins) {
        at += found;
        match text[at..].chars().next() {
            Some(c) if !is_line_end(c) => at += c.len_utf8(),
            _ => return at,
        }
    }
    text.len()
}

fn is_line_end(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/reference/splitlines.py`.
    const SPLIT: &str = include_str!("../../tests/reference/splitlines.json");

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        lines: Vec<String>,
        stripped: String,
    }

    #[test]
    fn lines_and_strips_are_those_of_python() {
        let cases: Vec<Case> = serde_json::from_str(SPLIT).unwrap();
        assert!(cases.len() > 40);
        for Case { text, lines, stripped } in cases {
            assert_eq!(split_lines(&text).collect::<Vec<_>>(), lines, "{text:?}");
            assert_eq!(text.trim_matches(is_space), stripped, "{text:?}");
        }
    }
}
