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
            start..start + piece.trim_end().len()
        };
        pieces.into_iter().map(span).filter(|span| !span.is_empty()).collect()
    }
}
