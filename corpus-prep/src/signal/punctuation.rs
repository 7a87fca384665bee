//! Which characters are punctuation, end sentences, or are letters: the lists of datatrove's filters.

use super::punctuation_table::{LETTERS, PUNCTUATION, TERMINAL};

/// Whether `c` is no content: a punctuation mark or a control character of datatrove's list, or a mark that ends sentences.
///
/// Every ASCII mark is; tab and line feed are not. Of the list's known quirks: U+2018, U+2022 and U+00B7 are no punctuation, and
/// the full-width digit one is.
pub fn is_punctuation(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\0'..='\x7f' => c.is_ascii_punctuation() || c.is_ascii_control(),
        c => is_in(&PUNCTUATION, c),
    }
}

/// Whether `c` ends sentences in some script. Quotes do not.
pub fn is_terminal(c: char) -> bool {
    match c {
        '.' | '?' | '!' => true,
        '\0'..='\x7f' => false,
        c => is_in(&TERMINAL, c),
    }
}

/// Whether `c` is a letter: Unicode general category L*, Python's `isalpha`.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { is_in(&LETTERS, c) }
}

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= c);
    after > 0 && c <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(is: impl Fn(char) -> bool, chars: &str, expected: bool) {
        for c in chars.chars() {
            assert_eq!(is(c), expected, "{c:?}");
        }
    }

    #[test]
    fn ascii_is_as_the_table_says() {
        for c in '\0'..='\x7f' {
            assert_eq!(is_punctuation(c), is_in(&PUNCTUATION, c), "{c:?}");
            assert_eq!(is_terminal(c), is_in(&TERMINAL, c), "{c:?}");
            assert_eq!(is_letter(c), is_in(&LETTERS, c), "{c:?}");
        }
    }

    #[test]
    fn controls_are_punctuation_but_for_tab_and_line_feed() {
        check(is_punctuation, "\0\x08\x0b\x0c\r\x1f\x7f\u{80}\u{85}\u{9f}", true);
        check(is_punctuation, "\t\n \u{a0}", false);
    }

    #[test]
    fn quirks_of_the_published_list_are_kept() {
        check(is_punctuation, "\u{2018}•·aé人0१©€", false);
        check(is_punctuation, "１。、！？»—…।؟।\u{2019}", true);
    }

    #[test]
    fn marks_that_end_sentences_are_of_many_scripts() {
        check(is_terminal, ".?!。！？؟।", true);
        check(is_terminal, ",;:\"'…»", false);
    }

    #[test]
    fn letters_are_neither_marks_nor_numbers() {
        check(is_letter, "aé人ʰǅ", true);
        // A vowel sign and a Roman numeral are alphabetic in Unicode's sense, and no letters.
        check(is_letter, "\u{93e}Ⅷ0_", false);
    }
}
