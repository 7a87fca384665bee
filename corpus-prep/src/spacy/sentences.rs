//! Sentences, as spaCy's `sentencizer` finds them among tokens.

use super::{
    Token,
    classes::{self, ENDS_SENTENCE, PUNCTUATION},
};
use crate::signal::lines::is_space;

/// The sentences of a text, in order.
///
/// A sentence ends before the first token that is no punctuation behind one that ends sentences: `. ? !` and their like in
/// other scripts, each alone; `...` ends none, and neither does the full stop that belongs to an abbreviation.
#[derive(Clone, Debug)]
pub struct Sentences<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Sentences<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Self { text, tokens }
    }

    /// How many tokens the next sentence has, white space included.
    fn num_tokens(&self) -> usize {
        let mut has_ended = false;
        let begins_next = |token: &Token| {
            let text = token.of(self.text);
            let ends = only_char(text).is_some_and(|c| classes::is(c, ENDS_SENTENCE));
            if has_ended && !ends && !text.chars().all(|c| classes::is(c, PUNCTUATION)) {
                return true;
            }
            has_ended |= ends;
            false
        };
        self.tokens.iter().position(begins_next).unwrap_or(self.tokens.len())
    }
}

impl<'a> Iterator for Sentences<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (sentence, rest) = self.tokens.split_at(self.num_tokens());
        self.tokens = rest;
        let (first, last) = (sentence.first()?, sentence.last()?);
        // Only a last one can be white space alone, for every other has a token that ends it.
        let sentence = self.text[first.start..last.end].trim_matches(is_space);
        (!sentence.is_empty()).then_some(sentence)
    }
}

fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.as_str().is_empty())
}
