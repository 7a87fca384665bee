//! Tokens of text that comes in words.

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
