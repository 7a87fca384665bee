//! Puts tokens together that make an exception, such as `:` and `)` at the end of a word.

use super::{Token, chunks::chunks, cutter::Cutter, exceptions};
use foldhash::fast::FixedState;
use std::{cmp::Reverse, collections::HashMap, ops::Range, sync::LazyLock};

/// What exceptions are cut into where exceptions are not asked for, if that is more than one token.
struct Phrases {
    /// By its first token, the other tokens of each phrase.
    by_first: HashMap<&'static str, Vec<Vec<&'static str>>, FixedState>,
    /// For every first byte of a first token, the lengths of these tokens, as bits.
    first_lengths: [u32; 256],
    /// Whether a second token begins with this byte.
    second_bytes: [bool; 256],
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let mut phrases = Phrases {
        by_first: HashMap::default(),
        first_lengths: [0; 256],
        second_bytes: [false; 256],
    };
    for (text, _) in exceptions::EXCEPTIONS {
        let (mut tokens, mut suffixes) = (Vec::new(), Vec::new());
        let mut cutter =
            Cutter { text, tokens: &mut tokens, suffixes: &mut suffixes, has_exceptions: false };
        chunks(text).for_each(|chunk| cutter.cut(chunk));
        let mut tokens = tokens.into_iter().map(|token| token.of(text));
        if let (Some(first), Some(second)) = (tokens.next(), tokens.next()) {
            phrases.first_lengths[usize::from(first.as_bytes()[0])] |= 1 << first.len();
            phrases.second_bytes[usize::from(second.as_bytes()[0])] = true;
            let others = std::iter::once(second).chain(tokens).collect();
            phrases.by_first.entry(first).or_default().push(others);
        }
    }
    phrases
});

/// Puts tokens together, and keeps its memory from one text to the next.
#[derive(Clone, Debug, Default)]
pub struct Rejoiner {
    /// Which tokens make a phrase.
    found: Vec<Range<usize>>,
    is_taken: Vec<bool>,
    rejoined: Vec<Token>,
}

impl Rejoiner {
    /// Replaces the tokens of `text` that make exceptions by the tokens of these.
    ///
    /// Tokens that only look like one, as there is a space between them in the text, stay as they are; but like all
    /// phrases they keep shorter ones that overlap with them, and later ones of their length, from being put together.
    pub fn rejoin(&mut self, text: &str, tokens: &mut Vec<Token>) {
        self.find(text, tokens);
        if self.found.is_empty() {
            return;
        }
        self.choose(tokens.len());
        self.rejoined.clear();
        let mut at = 0;
        for phrase in self.found.drain(..) {
            self.rejoined.extend(&tokens[at..phrase.start]);
            let whole =
                Token { start: tokens[phrase.start].start, end: tokens[phrase.end - 1].end };
            match exceptions::cuts(whole.of(text)) {
                Some(cuts) => self.rejoined.extend(whole.pieces(cuts)),
                None => self.rejoined.extend(&tokens[phrase.clone()]),
            }
            at = phrase.end;
        }
        self.rejoined.extend(&tokens[at..]);
        std::mem::swap(tokens, &mut self.rejoined);
    }

    fn find(&mut self, text: &str, tokens: &[Token]) {
        let (phrases, bytes) = (&*PHRASES, text.as_bytes());
        for (at, pair) in tokens.windows(2).enumerate() {
            let [first, second] = [pair[0], pair[1]];
            let lengths = phrases.first_lengths[usize::from(bytes[first.start])];
            let len = first.end - first.start;
            if len >= 32
                || lengths >> len & 1 == 0
                || !phrases.second_bytes[usize::from(bytes[second.start])]
            {
                continue;
            }
            for others in phrases.by_first.get(first.of(text)).into_iter().flatten() {
                let behind = tokens[at + 1..].iter().map(|token| token.of(text));
                if behind.take(others.len()).eq(others.iter().copied()) {
                    self.found.push(at..at + 1 + others.len());
                }
            }
        }
    }

    /// Keeps the longest phrases, and of those of one length the first, and puts them in order.
    fn choose(&mut self, num_tokens: usize) {
        self.found.sort_unstable_by_key(|phrase| (Reverse(phrase.len()), phrase.start));
        self.is_taken.clear();
        self.is_taken.resize(num_tokens, false);
        let is_taken = &mut self.is_taken;
        self.found.retain(|phrase| {
            let is_free = !is_taken[phrase.start] && !is_taken[phrase.end - 1];
            // What is not kept takes its tokens too.
            is_taken[phrase.clone()].fill(true);
            is_free
        });
        self.found.sort_unstable_by_key(|phrase| phrase.start);
    }
}
