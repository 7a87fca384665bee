//! What is cut off in front of a chunk and at its end.

use super::classes::{self, ALPHA_UPPER, BEFORE_FULL_STOP, ENDS_UNIT, PREFIX, SUFFIX, UNITS};

/// The length of the prefix of `chunk`, in bytes; 0 if it has none.
///
/// That is a run of two or more full stops, `US$`, `C$`, `A$`, a `+` before anything but a digit, or one character of
/// class [`PREFIX`].
pub fn prefix_len(chunk: &str) -> usize {
    match chunk.as_bytes() {
        [b'.', b'.', ..] => chunk.len() - chunk.trim_start_matches('.').len(),
        [b'U', b'S', b'$', ..] => 3,
        [b'A' | b'C', b'$', ..] => 2,
        [b'+', next, ..] if next.is_ascii_digit() => 0,
        _ => chunk.chars().next().map_or(0, |first| len_if(first, PREFIX)),
    }
}

/// The length of the suffix of `chunk`, in bytes; 0 if it has none.
///
/// That is the longest of: a unit behind a digit, a run of full stops, a full stop behind what ends no abbreviation, `'s`,
/// `'S`, `……`, a `+` behind a digit, or one character of class [`SUFFIX`].
pub fn suffix_len(chunk: &str) -> usize {
    let mut rest = chunk.chars();
    let Some(last) = rest.next_back() else { return 0 };
    let before = rest.as_str();
    if classes::is(last, ENDS_UNIT)
        && let Some(len) = unit_len(chunk)
    {
        return len;
    }
    match last {
        '.' => full_stop_len(chunk, before),
        's' | 'S' if before.ends_with('\'') => 2,
        's' | 'S' if before.ends_with('’') => '’'.len_utf8() + 1,
        '+' if classes::ends_with_digit(before) => 1,
        '…' if before.ends_with('…') => 2 * '…'.len_utf8(),
        _ => len_if(last, SUFFIX),
    }
}

fn len_if(c: char, class: u16) -> usize {
    if classes::is(c, class) { c.len_utf8() } else { 0 }
}

/// The length of the longest unit, in bytes.
const MAX_UNIT_LEN: usize = {
    let (mut longest, mut at) = (0, 0);
    while at < UNITS.len() {
        if UNITS[at].len() > longest {
            longest = UNITS[at].len();
        }
        at += 1;
    }
    longest
};

/// The length of what stands behind the last digit, if it is a unit.
fn unit_len(chunk: &str) -> Option<usize> {
    let bytes = chunk.as_bytes();
    let len = bytes.iter().rev().take(MAX_UNIT_LEN + 1).position(u8::is_ascii_digit)?;
    UNITS.binary_search(&&chunk[chunk.len() - len..]).is_ok().then_some(len)
}

/// `chunk` is `before` and a full stop.
fn full_stop_len(chunk: &str, before: &str) -> usize {
    let stops = chunk.len() - chunk.trim_end_matches('.').len();
    if stops > 1 {
        return stops;
    }
    let mut behind = before.chars().rev();
    let (Some(last), last_but_one) = (behind.next(), behind.next()) else { return 0 };
    let is_cut = classes::is(last, BEFORE_FULL_STOP)
        || last_but_one
            .is_some_and(|c| classes::is(c, ALPHA_UPPER) && classes::is(last, ALPHA_UPPER))
        || last_but_one == Some('°') && matches!(last, 'F' | 'C' | 'K');
    usize::from(is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_those_of_the_rules() {
        let check = |len: usize, chunks: &[&str]| {
            for chunk in chunks {
                assert_eq!(prefix_len(chunk), len, "{chunk:?}");
            }
        };
        check(0, &["", "a", ".", ".a", "+1", "-a", "A1$"]);
        check(1, &["(((", "$5", "+a", "+", "+٣", "%a", "_"]);
        check(2, &["..", "C$5", "A$", "£5", "§1"]);
        check(3, &["...a", "US$5", "……", "☺", "—a"]);
    }

    #[test]
    fn suffixes_are_those_of_the_rules() {
        let check = |len: usize, chunks: &[&str]| {
            for chunk in chunks {
                assert_eq!(suffix_len(chunk), len, "{chunk:?}");
            }
        };
        check(0, &["", "a", ".", "A.", "aB.", "°X.", "s", "C++", "km", "a€", "5xkm", "٣km", "a+"]);
        check(1, &["a.", "AB.", "5.", ").", "20°C.", "5+", "5m", "5%", "a,", "+."]);
        check(2, &["it's", "IT'S", "a..", "5km"]);
        check(3, &["a...", "5US$", "A5€", "…", "a—", "5mph"]);
        check(4, &["it’S", "5km/h", "5km²"]);
        check(6, &["……", "………"]);
    }
}
