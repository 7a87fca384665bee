//! Words and sentences of a document, in a dialect.

use super::lines::is_space;
use super::punctuation::{is_punctuation, is_terminal};
use crate::spacy::Tokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// How words and sentences are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dialect {
    /// Words at the boundaries of Unicode Standard Annex #29, sentences at terminal marks: of every language, and fast.
    #[default]
    #[serde(rename = "uax29")]
    Uax29,
    /// English words and sentences exactly as datatrove 0.10 cuts them, with the rules of spaCy.
    #[serde(rename = "datatrove-0.10")]
    Datatrove010,
}

/// Cuts texts in a dialect, and keeps its memory from one to the next.
#[derive(Debug)]
pub struct Words {
    dialect: Dialect,
    tokenizer: Tokenizer,
}

impl Words {
    /// For texts in this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, tokenizer: Tokenizer::default() }
    }

    /// What `judge` makes of the words of a text.
    pub fn of<T>(&mut self, text: &str, judge: impl FnOnce(&[&str]) -> T) -> T {
        match self.dialect {
            Dialect::Uax29 => judge(&words(text)),
            Dialect::Datatrove010 => {
                let tokens = self.tokenizer.cut(text);
                judge(&tokens.words().collect::<Vec<_>>())
            }
        }
    }

    /// How many sentences a text has.
    pub fn num_sentences(&mut self, text: &str) -> u64 {
        match self.dialect {
            Dialect::Uax29 => num_sentences(text),
            Dialect::Datatrove010 => self.tokenizer.cut(text).sentences().count() as u64,
        }
    }
}

/// How many sentences `text` has: one ends where white space stands behind a terminal mark, or behind the closing quotes and
/// brackets that follow such a mark, and the last one at the end.
pub fn num_sentences(text: &str) -> u64 {
    let ends = |word: &str| {
        let closes = |c| matches!(c, '"' | '\'' | ')' | ']' | '’' | '”' | '»');
        word.trim_end_matches(closes).ends_with(is_terminal)
    };
    let (mut num_ended, mut is_open) = (0, false);
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        is_open = !ends(word);
        num_ended += u64::from(!is_open);
    }
    num_ended + u64::from(is_open)
}

/// The words of `text` in the dialect `uax29`, in order.
///
/// A word is a segment between two word boundaries of Unicode Standard Annex #29, stripped of white space; segments
/// of white space alone are no words, segments of punctuation are, and a run of one and the same mark, such as `-----` or
/// `...`, is one word. The filters of datatrove, which the rules here follow, cut words with spaCy instead: their counts
/// differ where contractions and symbols are cut differently.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(text.len() / 4);
    // A boundary stands on both sides of every line feed (rules WB3a and WB3b), so lines can be cut alone, and most
    // lines of most corpora are ASCII, for which there is a faster way.
    for line in text.split('\n') {
        if line.is_ascii() {
            push_ascii(line, &mut words);
        } else {
            push_segments(line, &mut words);
        }
    }
    words
}

/// The words of a line, by the segments of the annex.
fn push_segments<'a>(line: &'a str, words: &mut Vec<&'a str>) {
    let mut last: Option<(usize, char)> = None;
    for (start, segment) in line.split_word_bound_indices() {
        let mark = only_char(segment).filter(|c| is_punctuation(*c) && !is_space(*c));
        let begin = match last {
            Some((begin, of_run)) if mark == Some(of_run) => {
                words.pop();
                begin
            }
            _ => start,
        };
        last = mark.map(|mark| (begin, mark));
        let word = line[begin..start + segment.len()].trim_matches(is_space);
        if !word.is_empty() {
            words.push(word);
        }
    }
}

fn only_char(segment: &str) -> Option<char> {
    let mut chars = segment.chars();
    chars.next().filter(|_| chars.as_str().is_empty())
}

/// The same, for a line of ASCII.
///
/// There a segment is a run of letters, digits and low lines, with `.` and `'` between two letters or two digits, `:` between
/// two letters, `,` and `;` between two digits; or any other character alone.
fn push_ascii<'a>(line: &'a str, words: &mut Vec<&'a str>) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        if is_joined(byte) {
            while let Some(&next) = bytes.get(at) {
                if is_joined(next) {
                    at += 1;
                } else if bytes
                    .get(at + 1)
                    .is_some_and(|behind| joins(bytes[at - 1], next, *behind))
                {
                    at += 2;
                } else {
                    break;
                }
            }
        } else if is_space(char::from(byte)) {
            continue;
        } else if is_punctuation(char::from(byte)) {
            at += bytes[at..].iter().take_while(|next| **next == byte).count();
        }
        words.push(&line[start..at]);
    }
}

/// Letters, digits and low lines: rules WB5, WB8 to WB10, WB13a and WB13b.
fn is_joined(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `mark` between two others makes one word of all: rules WB6, WB7, WB11 and WB12.
fn joins(before: u8, mark: u8, behind: u8) -> bool {
    let letters = before.is_ascii_alphabetic() && behind.is_ascii_alphabetic();
    let digits = before.is_ascii_digit() && behind.is_ascii_digit();
    match mark {
        b'.' | b'\'' => letters || digits,
        b':' => letters,
        b',' | b';' => digits,
        _ => false,
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
    fn a_sentence_ends_behind_a_terminal_mark_and_its_quotes() {
        let cases = [
            ("", 0),
            (" \n ", 0),
            ("No end", 1),
            ("One. Two! Three", 3),
            ("3.14 is no end... or is it? ", 2),
            ("\"Yes.\" (No.) ‘So.’ . !", 5),
        ];
        for (text, expected) in cases {
            assert_eq!(num_sentences(text), expected, "{text:?}");
        }
    }

    #[test]
    fn dialects_differ_in_contractions() {
        let of = |dialect| Words::new(dialect).of("I don't.", |words| words.len());
        assert_eq!([Dialect::Uax29, Dialect::Datatrove010].map(of), [3, 4]);
        let of = |dialect| Words::new(dialect).num_sentences("Mr. Wu came. He left.");
        assert_eq!([Dialect::Uax29, Dialect::Datatrove010].map(of), [3, 2]);
    }

    #[test]
    fn punctuation_is_a_word_and_white_space_is_not() {
        check("", &[]);
        check(" \t\r\n", &[]);
        check("Don't stop, 3.14!", &["Don't", "stop", ",", "3.14", "!"]);
        check("a__b __ ... >>-- ……! - -", &["a__b", "__", "...", ">>", "--", "……", "!", "-", "-"]);
        check("a\u{301}-- --", &["a\u{301}", "--", "--"]);
        check("naïve café—x", &["naïve", "café", "—", "x"]);
        check("人に", &["人", "に"]);
    }

    proptest! {
        #[test]
        fn lines_and_ascii_are_cut_as_by_the_annex(
            text in prop_oneof!["[ -~\t\r\n]{0,80}", "\\PC{0,40}", "[a\u{301}\u{200d}_ '.,:1é\u{202f}\n\r]{0,40}"]
        ) {
            let mut by_segments = Vec::new();
            text.split('\n').for_each(|line| push_segments(line, &mut by_segments));
            let cut = words(&text);
            prop_assert_eq!(&cut, &by_segments);
            // Runs taken apart are the segments themselves.
            let is_run = |word: &&str| word.chars().all(|c| is_punctuation(c) && !is_space(c));
            let apart: Vec<String> = cut
                .iter()
                .flat_map(|word| match is_run(word) {
                    true => word.chars().map(String::from).collect(),
                    false => vec![(*word).to_owned()],
                })
                .collect();
            let segments: Vec<String> = text
                .split_word_bounds()
                .map(|segment| segment.trim_matches(is_space))
                .flat_map(|segment| match is_run(&segment) {
                    true => segment.chars().map(String::from).collect(),
                    false => vec![segment.to_owned()],
                })
                .filter(|word| !word.is_empty())
                .collect();
            prop_assert_eq!(apart, segments);
        }
    }
}
