//! Cuts chunks into tokens.

use super::{Token, affixes, chunks::Chunk, exceptions, infixes, url};

/// Adds tokens to a list.
pub struct Cutter<'a> {
    /// What is cut.
    pub text: &'a str,
    /// Where tokens are added.
    pub tokens: &'a mut Vec<Token>,
    /// Memory to work with: the suffixes of a chunk, the last one first.
    pub suffixes: &'a mut Vec<Token>,
    /// Whether exceptions are asked for.
    pub has_exceptions: bool,
}

impl Cutter<'_> {
    /// Adds the tokens of a chunk.
    pub fn cut(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Space(token) => self.tokens.push(token),
            Chunk::Letters(token) => match self.cuts(token) {
                Some(cuts) => self.tokens.extend(token.pieces(cuts)),
                None => self.tokens.push(token),
            },
            Chunk::Mixed(token) => match self.cuts(token) {
                Some(cuts) => self.tokens.extend(token.pieces(cuts)),
                None => self.cut_affixes(token),
            },
        }
    }

    fn cuts(&self, token: Token) -> Option<&'static [u8]> {
        if self.has_exceptions { exceptions::cuts(token.of(self.text)) } else { None }
    }

    /// Adds the tokens of a chunk that is no exception.
    fn cut_affixes(&mut self, chunk: Token) {
        self.suffixes.clear();
        match self.strip(chunk) {
            (middle, Some(cuts)) => self.tokens.extend(middle.pieces(cuts)),
            (middle, None) if !middle.is_empty() => self.cut_middle(middle),
            _ => {}
        }
        self.tokens.extend(self.suffixes.drain(..).rev());
    }

    /// Cuts off affixes, a prefix and a suffix at a time, until an exception is left or there are no more. What is left,
    /// and where it is cut if it is an exception.
    fn strip(&mut self, mut chunk: Token) -> (Token, Option<&'static [u8]>) {
        loop {
            let prefix_len = affixes::prefix_len(chunk.of(self.text));
            let (prefix, behind) = chunk.split_at(chunk.start + prefix_len);
            if prefix_len > 0
                && let Some(cuts) = self.cuts(behind)
            {
                self.tokens.push(prefix);
                return (behind, Some(cuts));
            }
            let suffix_len = affixes::suffix_len(behind.of(self.text));
            let (before, suffix) = chunk.split_at(chunk.end - suffix_len);
            // An exception may begin with what would be a prefix, as in `'em,`.
            if suffix_len > 0
                && let Some(cuts) = self.cuts(before)
            {
                self.suffixes.push(suffix);
                return (before, Some(cuts));
            }
            if prefix_len == 0 && suffix_len == 0 {
                return (chunk, None);
            }
            self.tokens.extend((prefix_len > 0).then_some(prefix));
            self.suffixes.extend((suffix_len > 0).then_some(suffix));
            chunk = Token { start: prefix.end, end: suffix.start };
            // With one of them alone, what is left was asked for above.
            if prefix_len > 0
                && suffix_len > 0
                && let Some(cuts) = self.cuts(chunk)
            {
                return (chunk, Some(cuts));
            }
        }
    }

    /// Adds the tokens of what stands between affixes.
    fn cut_middle(&mut self, middle: Token) {
        let text = middle.of(self.text);
        let mut rest = middle;
        let mut at = 0;
        // No infix stands at the begin or at the end, where it would be an affix.
        while let Some(infix) = infixes::next(text, at) {
            if at == 0 && url::is_url(text) {
                break;
            }
            at = infix.end;
            let (before, behind) = rest.split_at(middle.start + infix.start);
            let (infix, behind) = behind.split_at(middle.start + infix.end);
            self.tokens.extend((!before.is_empty()).then_some(before));
            self.tokens.push(infix);
            rest = behind;
        }
        self.tokens.push(rest);
    }
}
