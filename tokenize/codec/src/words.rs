//! Tokens of text that comes in words, and labels of words.

use crate::{CodecError, Window};

/// Tokens of a list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Index of the word that each token is of; never falls.
    pub word_idx: Vec<usize>,
    /// Number of words. Words of white space or dropped characters alone have no token.
    pub num_words: usize,
}

/// Which tokens of a word carry its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelledTokens {
    /// The first one: a word is predicted once, and long words do not count more.
    First,
    /// All.
    All,
}

/// Where the answer for a word stands: at its first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordPlace {
    /// Index of the window that keeps the token.
    pub window: usize,
    /// Index of the token in that window.
    pub token: usize,
}

impl WordTokens {
    /// Where the answer for every word stands; `None` for a word without a token, and for one whose first token no window
    /// keeps.
    ///
    /// ```
    /// use codec::{WordPlace, WordTokens, first_window, overlapping_windows};
    ///
    /// let words = WordTokens { ids: vec![5, 6, 7], word_idx: vec![0, 0, 2], num_words: 3 };
    /// let place = |window, token| Some(WordPlace { window, token });
    /// let two = 2.try_into()?;
    /// assert_eq!(words.places(&overlapping_windows(3, two)), [place(0, 0), None, place(1, 0)]);
    /// assert_eq!(words.places(&first_window(3, two)), [place(0, 0), None, None]);
    /// # Ok::<_, std::num::TryFromIntError>(())
    /// ```
    pub fn places(&self, windows: &[Window]) -> Vec<Option<WordPlace>> {
        let place = |token: usize| {
            let window = windows.partition_point(|window| window.kept.end <= token);
            let found = windows.get(window)?;
            Some(WordPlace { window, token: token - found.tokens.start })
        };
        self.first_tokens().into_iter().map(|first| first.and_then(place)).collect()
    }

    /// Index of the first token of every word; `None` for a word without one.
    pub fn first_tokens(&self) -> Vec<Option<usize>> {
        let mut firsts = vec![None; self.num_words];
        for (token, &word) in self.word_idx.iter().enumerate() {
            firsts[word].get_or_insert(token);
        }
        firsts
    }

    /// The label of every token, from the labels of the words; `None` where a token carries none.
    ///
    /// Source: `tokenize_and_align_labels` in the token classification example of `transformers`, whose -100 is `None`
    /// here; [`LabelledTokens::All`] is its `--label_all_tokens` with equal labels on all tokens of a word.
    ///
    /// # Errors
    /// If there is not one label for each word.
    pub fn token_labels(
        &self,
        word_labels: &[u32],
        labelled: LabelledTokens,
    ) -> Result<Vec<Option<u32>>, CodecError> {
        check_length("labels of words", word_labels.len(), self.num_words)?;
        let mut before = None;
        let label_of = |&word: &usize| {
            let is_first = before.replace(word) != Some(word);
            (is_first || labelled == LabelledTokens::All).then(|| word_labels[word])
        };
        Ok(self.word_idx.iter().map(label_of).collect())
    }

    /// The label of every word, from the labels predicted for the tokens: that of its first token; `None` for a word
    /// without one.
    ///
    /// # Errors
    /// If there is not one label for each token.
    pub fn word_labels(&self, token_labels: &[u32]) -> Result<Vec<Option<u32>>, CodecError> {
        check_length("labels of tokens", token_labels.len(), self.ids.len())?;
        let firsts = self.first_tokens();
        Ok(firsts.into_iter().map(|first| first.map(|token| token_labels[token])).collect())
    }
}

fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), CodecError> {
    if found == expected { Ok(()) } else { Err(CodecError::Length { what, found, expected }) }
}
