//! Words of a document: dialect `uax29`.
//!
//! A word is a segment between two word boundaries of Unicode Standard Annex #29, stripped of white space; segments
//! of white space alone are no words, segments of punctuation are. The filters of datatrove, which the rules here
//! follow, cut words with spaCy instead: their counts differ where contractions and symbols are cut differently.

use super::lines::is_space;
use unicode_segmentation::UnicodeSegmentation;

/// Name of the way words are cut, as it stands in the artifacts that depend on it.
pub const DIALECT: &str = "uax29";

/// The words of `text`, in order.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(text.len() / 4);
    // A boundary stands on both sides of every line feed (rules WB3a and WB3b), so lines can be cut alone, and most
    // lines of most corpora are ASCII, for which there is a faster way.
    for line in text.split('\n') {
        if line.is_ascii() {
            push_ascii(line, &mut words);
        } else {
            words.extend(line.split_word_bounds().map(stripped).filter(|word| !word.is_empty()));
        }
    }
    words
}

fn stripped(segment: &str) -> &str {
    segment.trim_matches(is_space)
}

/// The same words as by `split_word_bounds`, for a line of ASCII.
fn push_ascii<'a>(line: &'a str, words: &mut Vec<&'a str>) {
    let mut at = 0;
    for (start, word) in line.unicode_word_indices() {
        push_symbols(&line[at..start], words);
        words.push(word);
        at = start + word.len();
    }
    push_symbols(&line[at..], words);
}

/// Outside of words every ASCII character is a segment of its own, but for runs of low lines.
fn push_symbols<'a>(gap: &'a str, words: &mut Vec<&'a str>) {
    let bytes = gap.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|byte| **byte == b'_').count().max(1);
        let segment = stripped(&gap[at..at + run]);
        if !segment.is_empty() {
            words.push(segment);
        }
        at += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected, "{text:?}");
    }

    #[test]
    fn punctuation_is_a_word_and_white_space_is_not() {
        check("", &[]);
        check(" \t\r\n", &[]);
        check("Don't stop, 3.14!", &["Don't", "stop", ",", "3.14", "!"]);
        check("a__b __ ...", &["a__b", "__", ".", ".", "."]);
        check("naïve café—x", &["naïve", "café", "—", "x"]);
        check("人に", &["人", "に"]);
    }

    proptest! {
        #[test]
        fn lines_and_ascii_are_cut_as_by_the_annex(
            text in prop_oneof!["[ -~\t\r\n]{0,80}", "\\PC{0,40}", "[a\u{301}\u{200d}_ '.,:1é\u{202f}\n\r]{0,40}"]
        ) {
            let plain: Vec<_> =
                text.split_word_bounds().map(stripped).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(words(&text), plain);
        }
    }
}
