//! WordPiece over BERT's words.

use std::{collections::HashMap, hash::BuildHasherDefault};

use crate::{
    TokenSpan,
    bert::{Aligned, Normalizer, words},
    bpe::PairHasher,
    cache::Cache,
    idle::Idle,
};

/// Characters kept allocated between texts; longer stretches give their memory back.
const KEPT_CHARS: usize = 1 << 14;

/// The node where no character has been read.
const ROOT: u32 = 0;

/// A WordPiece vocabulary with BERT's normalizer, ready to encode.
///
/// A word is covered from its start by the longest pieces there are; one that cannot be, or is too long, is the unknown
/// token as a whole.
///
/// Source: Devlin et al. 2018, arXiv:1810.04805; `WordpieceTokenizer` of BERT's `tokenization.py`.
pub(crate) struct WordPiece {
    normalizer: Normalizer,
    pieces: Pieces,
    unknown: u32,
    /// Most characters of a word that is not unknown.
    max_word_chars: usize,
    idle: Idle<Scratch>,
}

/// Working memory of one encoding thread.
struct Scratch {
    cache: Cache,
    clean: Vec<Aligned>,
    tokens: Vec<TokenSpan>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { cache: Cache::new(), clean: Vec::new(), tokens: Vec::new() }
    }
}

impl WordPiece {
    /// An engine from the pieces and their ids; those that begin with `continuing_prefix` go on with a word.
    pub(crate) fn new<'a>(
        normalizer: Normalizer,
        pieces: impl Iterator<Item = (&'a str, u32)>,
        continuing_prefix: &str,
        unknown: u32,
        max_word_chars: usize,
    ) -> Self {
        let pieces = Pieces::new(pieces, continuing_prefix);
        Self { normalizer, pieces, unknown, max_word_chars, idle: Idle::default() }
    }

    /// Ids of `text`.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.idle.lend(|scratch| {
            let mut ids = Vec::new();
            for stretch in stretches(text).map(|(_, stretch)| stretch) {
                if let Some(known) = scratch.cache.get(stretch.as_bytes()) {
                    ids.extend_from_slice(known);
                    continue;
                }
                let start = ids.len();
                scratch.tokens.clear();
                self.encode_stretch(stretch, 0, scratch);
                ids.extend(scratch.tokens.iter().map(|token| token.id));
                scratch.cache.put(stretch.as_bytes(), &ids[start..]);
            }
            scratch.release();
            ids
        })
    }

    /// Ids of `text` and the bytes of it they stand for. A token spans whole characters; text that is cleaned away is
    /// outside every span, or inside one that goes on behind it.
    pub(crate) fn encode_with_offsets(&self, text: &str) -> Vec<TokenSpan> {
        self.idle.lend(|scratch| {
            scratch.tokens.clear();
            for (offset, stretch) in stretches(text) {
                self.encode_stretch(stretch, offset, scratch);
            }
            let tokens = scratch.tokens.clone();
            scratch.release();
            tokens
        })
    }

    /// Appends the tokens of a stretch that begins at byte `offset` to `scratch.tokens`.
    fn encode_stretch(&self, stretch: &str, offset: usize, scratch: &mut Scratch) {
        self.normalizer.normalize(stretch, offset, &mut scratch.clean);
        for word in words(&scratch.clean) {
            let before = scratch.tokens.len();
            let is_known = word.len() <= self.max_word_chars
                && self.pieces.cover(word, |id, piece| scratch.tokens.push(span(id, piece)));
            if !is_known {
                scratch.tokens.truncate(before);
                scratch.tokens.push(span(self.unknown, word));
            }
        }
    }
}

impl Scratch {
    fn release(&mut self) {
        self.clean.shrink_to(KEPT_CHARS);
        self.tokens.clear();
        self.tokens.shrink_to(KEPT_CHARS);
    }
}

/// The token `id` for the characters of `piece`, of which there is at least one.
fn span(id: u32, piece: &[Aligned]) -> TokenSpan {
    TokenSpan { id, start: piece[0].start, end: piece[piece.len() - 1].end }
}

/// The stretches of `text` that can be encoded apart, each with its first byte: ASCII punctuation marks, and what
/// stands between them and ASCII white space.
fn stretches(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        while rest < bytes.len() && is_space(bytes[rest]) {
            rest += 1;
        }
        let start = rest;
        let is_end = |byte: &u8| is_space(*byte) || byte.is_ascii_punctuation();
        let first = *bytes.get(start)?;
        let length = if first.is_ascii_punctuation() {
            1
        } else {
            bytes[start..].iter().position(is_end).unwrap_or(bytes.len() - start)
        };
        rest += length;
        Some((start, &text[start..rest]))
    })
}

/// White space that no normalizer drops.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A trie over the characters of pieces.
struct Pieces {
    /// The next node by node and character.
    edges: HashMap<u64, u32, BuildHasherDefault<PairHasher>>,
    /// The piece that ends at each node.
    ids: Vec<Option<u32>>,
    /// The node behind the continuing prefix, if a piece has it.
    continuing: Option<u32>,
}

impl Pieces {
    fn new<'a>(pieces: impl Iterator<Item = (&'a str, u32)>, continuing_prefix: &str) -> Self {
        let mut trie = Self { edges: HashMap::default(), ids: vec![None], continuing: None };
        for (piece, id) in pieces {
            let node = piece.chars().fold(ROOT, |node, c| trie.grow(node, c));
            trie.ids[node as usize] = Some(id);
        }
        trie.continuing = continuing_prefix.chars().try_fold(ROOT, |node, c| trie.next(node, c));
        trie
    }

    /// The node behind `node` and `c`, made if there is none.
    fn grow(&mut self, node: u32, c: char) -> u32 {
        let fresh =
            u32::try_from(self.ids.len()).expect("fewer characters than a file in memory has");
        let next = *self.edges.entry(edge(node, c)).or_insert(fresh);
        if next == fresh {
            self.ids.push(None);
        }
        next
    }

    fn next(&self, node: u32, c: char) -> Option<u32> {
        self.edges.get(&edge(node, c)).copied()
    }

    /// Gives the pieces of `word` to `take`, in order; false if it cannot be covered.
    fn cover(&self, word: &[Aligned], mut take: impl FnMut(u32, &[Aligned])) -> bool {
        let mut rest = word;
        let mut from = Some(ROOT);
        while !rest.is_empty() {
            let Some((id, length)) = from.and_then(|node| self.longest(node, rest)) else {
                return false;
            };
            take(id, &rest[..length]);
            rest = &rest[length..];
            from = self.continuing;
        }
        true
    }

    /// The longest piece behind `node` that begins `text`, and its length in characters.
    fn longest(&self, mut node: u32, text: &[Aligned]) -> Option<(u32, usize)> {
        let mut longest = None;
        for (before, aligned) in text.iter().enumerate() {
            let Some(next) = self.next(node, aligned.c) else { break };
            node = next;
            longest = self.ids[node as usize].map(|id| (id, before + 1)).or(longest);
        }
        longest
    }
}

fn edge(node: u32, c: char) -> u64 {
    u64::from(node) << 32 | u64::from(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_cut_at_ascii_only() {
        let found: Vec<_> = stretches(" a-b\r\n日本。é\u{a0}x!!").collect();
        let expected = [(1, "a"), (2, "-"), (3, "b"), (6, "日本。é\u{a0}x"), (20, "!"), (21, "!")];
        assert_eq!(found, expected);
        assert_eq!(stretches(" ").count() + stretches("").count(), 0);
    }
}
