//! Words and sentences as spaCy's English tokenizer cuts them, by its rules alone and without a model: what datatrove
//! counts and compares for English from its version 0.4.0 on.
//!
//! A text is cut at white space into [`mod@chunks`]. A chunk that is an exception, such as `don't`, is cut as that one says
//! ([`exceptions`]); of any other, prefixes and suffixes are cut off one after the other ([`affixes`]), until an
//! exception or nothing more is found; what is left is kept whole if it is a web address ([`url`]), and is cut at
//! [`infixes`] otherwise. Last, pieces that make an exception when they are put together are put together ([`rejoin`]).
//!
//! Source: Honnibal et al., spaCy 3.8, `tokenizer.pyx`, `lang/punctuation.py`, `lang/en`, and its `sentencizer`; datatrove
//! 0.10, `SpaCyTokenizer`, with its pieces stripped of white space and the empty ones dropped. Written anew from the rules;
//! the tables are theirs, and their licence stands in `LICENSE.spacy`.

pub mod affixes;
pub mod chunks;
pub mod classes;
pub mod cutter;
pub mod exceptions;
pub mod infixes;
pub mod rejoin;
pub mod sentences;
pub mod url;

mod class_table;
mod exception_table;

pub use sentences::Sentences;

use chunks::chunks;
use cutter::Cutter;
use rejoin::Rejoiner;
use std::borrow::Cow;

/// Where a token begins and ends, in bytes of its text.
///
/// Tokens cover a text but for one space behind each chunk. Each is white space alone or has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Token {
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

impl Token {
    fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The pieces between places that are counted from its first byte.
    fn pieces(self, cuts: &[u8]) -> impl Iterator<Item = Self> {
        let cuts = cuts.iter().map(move |cut| self.start + usize::from(*cut));
        let mut start = self.start;
        cuts.chain([self.end]).map(move |end| {
            let piece = Self { start, end };
            start = end;
            piece
        })
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        (Self { end: at, ..self }, Self { start: at, ..self })
    }
}

/// Cuts texts, and keeps its memory from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Tokenizer {
    tokens: Vec<Token>,
    suffixes: Vec<Token>,
    rejoiner: Rejoiner,
}

/// A text, and how it is cut.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: Cow<'a, str>,
    tokens: &'a [Token],
}

/// A token that breaks spaCy: its hash is that of no string at all.
const UNTOKENIZABLE: &str = "IS_ALPHA";

impl Tokenizer {
    /// Cuts a text.
    ///
    /// Where one of its tokens is `IS_ALPHA`, spaCy raises an exception, and datatrove deletes these letters everywhere in
    /// the text, within longer words too, and tries again. So does this; then alone words are no slices of `text`.
    /// (The first such text of a Python process may come through unharmed.)
    pub fn cut<'a>(&'a mut self, text: &'a str) -> Tokens<'a> {
        self.tokenize(text);
        let mut text = Cow::Borrowed(text);
        if text.contains(UNTOKENIZABLE)
            && self.tokens.iter().any(|token| token.of(&text) == UNTOKENIZABLE)
        {
            text = text.replace(UNTOKENIZABLE, "").into();
            self.tokenize(&text);
        }
        Tokens { text, tokens: &self.tokens }
    }

    fn tokenize(&mut self, text: &str) {
        self.tokens.clear();
        let Self { tokens, suffixes, rejoiner } = self;
        let mut cutter = Cutter { text, tokens, suffixes, has_exceptions: true };
        chunks(text).for_each(|chunk| cutter.cut(chunk));
        rejoiner.rejoin(text, tokens);
    }
}

impl Tokens<'_> {
    /// The words, in order: all tokens but those of white space.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.tokens
            .iter()
            .map(|token| token.of(&self.text))
            .filter(|token| !classes::starts_with_space(token))
    }

    /// The sentences, in order, stripped of white space; those of white space alone are none.
    pub fn sentences(&self) -> Sentences<'_> {
        Sentences::new(&self.text, self.tokens)
    }
}

#[cfg(test)]
mod tests;
