//! Words as scikit-learn's vectorizers see them.

use regex_syntax::hir::{Class, HirKind};

/// What Python's `\w` matches: letters, numbers, underscore.
const WORD_CHARACTERS: &str = r"[\p{L}\p{N}_]";

/// Ranges of word characters, ascending.
pub(super) struct Words {
    ranges: Vec<(char, char)>,
}

impl Words {
    pub(super) fn new() -> Self {
        let parsed = regex_syntax::parse(WORD_CHARACTERS).expect("a constant and correct pattern");
        let HirKind::Class(Class::Unicode(class)) = parsed.into_kind() else {
            unreachable!("a bracketed set of several characters is a class")
        };
        Self { ranges: class.iter().map(|range| (range.start(), range.end())).collect() }
    }

    fn is_word(&self, letter: char) -> bool {
        if letter.is_ascii() {
            return letter.is_ascii_alphanumeric() || letter == '_';
        }
        let at = self.ranges.partition_point(|(start, _)| *start <= letter);
        at > 0 && letter <= self.ranges[at - 1].1
    }

    /// Runs of at least two word characters of `text`, which is lower case already.
    ///
    /// Source: `token_pattern=r"(?u)\b\w\w+\b"`, the default of scikit-learn 1.x. `\w` of Python is what `str.isalnum`
    /// holds for, and the underscore: combining marks are not in it.
    pub(super) fn of<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let runs = text.split(|letter| !self.is_word(letter));
        runs.filter(|run| run.chars().nth(1).is_some()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_two_letters_numbers_or_underscores() {
        let words = Words::new();
        assert_eq!(
            words.of("a bc, d_1 don't ½½ 日本語 e\u{301}te é-à x"),
            ["bc", "d_1", "don", "½½", "日本語", "te"]
        );
        assert!(words.of(" a . b ").is_empty());
    }
}
