//! Where the middle of a chunk is cut.

use super::classes::{self, ALPHA, ALPHA_LOWER, ALPHA_UPPER, INFIX, QUOTE};
use std::ops::Range;

/// The first infix of `chunk` from byte `from` on, in bytes.
///
/// That is a run of two or more full stops, one character of class [`INFIX`] (the ellipsis, symbols, emoji), or one of the
/// marks below between the characters that its rule asks for.
pub fn next(chunk: &str, from: usize) -> Option<Range<usize>> {
    let bytes = chunk.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let mut rest = chunk[at..].chars();
        let c = rest.next()?;
        let len = len(c, &chunk[..at], &chunk[at..]);
        if len > 0 {
            return Some(at..at + len);
        }
        at += c.len_utf8();
    }
    None
}

/// The length of the infix at the begin of `rest`, which begins with `c` and stands behind `before`; 0 if there is none.
fn len(c: char, before: &str, rest: &str) -> usize {
    let between = |left: u16, right: u16| {
        let after = &rest[c.len_utf8()..];
        before.chars().next_back().is_some_and(|c| classes::is(c, left))
            && after.chars().next().is_some_and(|c| classes::is(c, right))
    };
    let is_infix = match c {
        '.' if rest.starts_with("..") => return rest.len() - rest.trim_start_matches('.').len(),
        '.' => between(ALPHA_LOWER | QUOTE, ALPHA_UPPER | QUOTE),
        ',' => between(ALPHA, ALPHA),
        '+' | '*' | '^' | '-' if is_between_numbers(before, rest) => true,
        '-' | '–' | '—' | '~' => return hyphen_len(c, before, rest),
        ':' | '<' | '>' | '=' | '/' => {
            between(ALPHA, ALPHA) || classes::ends_with_digit(before) && between(u16::MAX, ALPHA)
        }
        _ => classes::is(c, INFIX),
    };
    if is_infix { c.len_utf8() } else { 0 }
}

/// Whether the first byte of `rest` stands behind a digit and before one, or before a minus.
fn is_between_numbers(before: &str, rest: &str) -> bool {
    classes::ends_with_digit(before) && matches!(rest.as_bytes().get(1), Some(b'0'..=b'9' | b'-'))
}

/// A hyphen is one of `-`, `–`, `—`, `--`, `---`, `——` and `~`, behind a letter or a digit and before a letter.
fn hyphen_len(c: char, before: &str, rest: &str) -> usize {
    let longest = match c {
        '-' => 3,
        '—' => 2,
        _ => 1,
    };
    // No further than needed: a run may be as long as a text.
    let num = rest.chars().take(longest + 1).take_while(|hyphen| *hyphen == c).count();
    let len = num * c.len_utf8();
    let fits = num <= longest
        && (classes::ends_with_digit(before)
            || before.chars().next_back().is_some_and(|c| classes::is(c, ALPHA)))
        && rest[len..].chars().next().is_some_and(|c| classes::is(c, ALPHA));
    if fits { len } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chunk: &str, expected: &[&str]) {
        let mut infixes = Vec::new();
        let mut at = 0;
        while let Some(infix) = next(chunk, at) {
            at = infix.end;
            infixes.push(&chunk[infix]);
        }
        assert_eq!(infixes, expected, "{chunk:?}");
    }

    #[test]
    fn marks_are_infixes_between_what_their_rules_ask_for() {
        check("word", &[]);
        check("a.B", &["."]);
        check("a.b", &[]);
        check("a...b", &["..."]);
        check("a,b,5,c", &[","]);
        check("a-b–c—d~e", &["-", "–", "—", "~"]);
        check("a--b---c——d", &["--", "---", "——"]);
        check("a----b", &[]);
        check(&format!("a{}b", "-".repeat(1_000_000)), &[]);
        check("5-a 5--a 5-6", &["-", "-", "-"]);
        check("1+2*3^-4", &["+", "*", "^"]);
        check("a:b/c=5 5>d", &[":", "/", ">"]);
        check("a☺b…c", &["☺", "…"]);
    }
}
