//! Words of plain text, for models that tag words.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// What a word of a text is, where the text does not come in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordRule {
    /// What stands between word boundaries of Unicode and is no white space: `don't`, `3.14` and `U.S` are words, and every
    /// punctuation mark, symbol and ideograph is one of its own.
    ///
    /// Source: Unicode Standard Annex 29, section 4.1.
    #[default]
    Unicode,
    /// What stands between white space.
    Whitespace,
}

impl WordRule {
    /// The bytes of the words of `text`, in order.
    ///
    /// ```
    /// use codec::WordRule;
    ///
    /// let words = |rule: WordRule, text| {
    ///     rule.spans(text).into_iter().map(|span| &text[span]).collect::<Vec<&str>>()
    /// };
    /// assert_eq!(words(WordRule::Unicode, " Zoë's, 3.14 日本 "), ["Zoë's", ",", "3.14", "日", "本"]);
    /// assert_eq!(words(WordRule::Whitespace, " Zoë's, 3.14 "), ["Zoë's,", "3.14"]);
    /// ```
    pub fn spans(self, text: &str) -> Vec<Range<usize>> {
        let pieces: Vec<&str> = match self {
            Self::Unicode => text.split_word_bounds().collect(),
            Self::Whitespace => text.split_inclusive(char::is_whitespace).collect(),
        };
        let mut end = 0;
        let span = |piece: &str| {
            let start = end;
            end += piece.len();
            // A piece is white space, or has it around a word: a mark that combines with a blank stands with it.
            let before = piece.len() - piece.trim_start().len();
            start + before..start + piece.trim_end().len()
        };
        pieces.into_iter().map(span).filter(|span| !span.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: WordRule, text: &str, expected: &[&str]) {
        let spans = rule.spans(text);
        assert!(spans.is_sorted_by(|a, b| a.end <= b.start), "{spans:?}");
        let words: Vec<&str> = spans.into_iter().map(|span| &text[span]).collect();
        assert_eq!(words, expected, "{text:?}");
    }

    #[test]
    fn words_have_no_white_space_around_them() {
        let marked = "river \u{301}stone  \u{301}\t\u{301} e\u{301}";
        let expected = ["river", "\u{301}", "stone", "\u{301}", "\u{301}", "e\u{301}"];
        check(WordRule::Unicode, marked, &expected);
        let expected = ["river", "\u{301}stone", "\u{301}", "\u{301}", "e\u{301}"];
        check(WordRule::Whitespace, marked, &expected);
        for rule in [WordRule::Unicode, WordRule::Whitespace] {
            check(rule, " \r\n\u{a0} ", &[]);
            check(rule, "\u{3000}a\u{2028}", &["a"]);
        }
    }
}
