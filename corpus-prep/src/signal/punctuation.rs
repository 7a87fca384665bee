//! Which characters are punctuation, for telling words from symbols.

use super::punctuation_table::RANGES;

/// Whether `c` is a punctuation mark, a control character, or ends sentences in some script.
///
/// datatrove has two lists: P (every ASCII punctuation mark, some CJK and European marks, and the controls 0-8, 11-12,
/// 13-31, 127-159: so not tab, not line feed) and T (marks that end sentences in many scripts). The printable marks
/// above ASCII stand here by Unicode general category (every P*), which covers T; of P's known quirks these are kept:
/// U+2018, U+2022 and U+00B7 are no punctuation, and the full-width digit one is.
pub fn is_punctuation(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        c if c.is_ascii() => c.is_ascii_punctuation(),
        '\u{2018}' | '\u{2022}' | '\u{b7}' => false,
        '\u{ff11}' => true,
        c => {
            let after = RANGES.partition_point(|(first, _)| *first <= c);
            after > 0 && c <= RANGES[after - 1].1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chars: &str, expected: bool) {
        for c in chars.chars() {
            assert_eq!(is_punctuation(c), expected, "{c:?}");
        }
    }

    #[test]
    fn every_ascii_mark_is_punctuation() {
        check("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true);
    }

    #[test]
    fn controls_are_but_for_tab_and_line_feed() {
        check("\0\x08\x0b\x0c\r\x1f\x7f\u{80}\u{85}\u{9f}", true);
        check("\t\n \u{a0}", false);
    }

    #[test]
    fn letters_digits_and_symbols_above_ascii_are_not() {
        check("aé人0१©€", false);
    }

    #[test]
    fn marks_of_other_scripts_are() {
        check("。、！？«»—…।؟።\u{2019}\u{1bc9f}", true);
    }

    #[test]
    fn quirks_of_the_published_list_are_kept() {
        check("\u{2018}•·", false);
        check("１", true);
    }
}
