//! Byte-level BPE over the GPT-2 pattern.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use crate::{cache::Cache, idle::Idle, pretokens, train::Pair};

/// Symbols and candidates kept allocated between texts; longer pre-tokens give their memory back.
const KEPT_SYMBOLS: usize = 1 << 16;

/// No neighbour.
const NONE: usize = usize::MAX;

/// What joining two tokens gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Place in the list of merges; lower ranks are joined first.
    pub(crate) rank: u32,
    /// The joined token.
    pub(crate) id: u32,
}

/// A byte-level BPE vocabulary, ready to encode.
pub(crate) struct Bpe {
    byte_ids: [u32; 256],
    merges: HashMap<u64, Merge, BuildHasherDefault<PairHasher>>,
    idle: Idle<Scratch>,
}

/// Working memory of one encoding thread.
struct Scratch {
    cache: Cache,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
}

/// A token so far, linked to its neighbours.
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    prev: usize,
    next: usize,
    /// Whether it was joined to its left neighbour.
    is_joined: bool,
}

/// Rank of a merge, index of its left symbol, id of the joined token: the smallest is joined next.
type Candidate = (u32, usize, u32);

impl Default for Scratch {
    fn default() -> Self {
        Self { cache: Cache::new(), symbols: Vec::new(), queue: BinaryHeap::new() }
    }
}

impl Bpe {
    /// An engine from the id of every byte and the merges of token pairs; a pair that comes twice keeps its last merge.
    pub(crate) fn new(byte_ids: [u32; 256], merges: impl Iterator<Item = (Pair, Merge)>) -> Self {
        let merges = merges.map(|((left, right), merge)| (key(left, right), merge)).collect();
        Self { byte_ids, merges, idle: Idle::default() }
    }

    /// Ids of `text`. Time is `n log n` in the longest pre-token.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.idle.lend(|scratch| {
            let mut ids = Vec::new();
            self.append(text, scratch, &mut ids);
            ids
        })
    }

    /// Appends the ids of `text` to `ids`.
    fn append(&self, text: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) {
        for pretoken in pretokens(text).map(str::as_bytes) {
            if let Some(known) = scratch.cache.get(pretoken) {
                ids.extend_from_slice(known);
                continue;
            }
            let start = ids.len();
            self.encode_pretoken(pretoken, scratch, ids);
            scratch.cache.put(pretoken, &ids[start..]);
        }
        scratch.symbols.shrink_to(KEPT_SYMBOLS);
        scratch.queue.shrink_to(KEPT_SYMBOLS);
    }

    /// Joins the pair of lowest rank, leftmost first, until no pair has a merge.
    fn encode_pretoken(&self, pretoken: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) {
        let Scratch { symbols, queue, .. } = scratch;
        symbols.clear();
        symbols.extend(pretoken.iter().enumerate().map(|(at, &byte)| Symbol {
            id: self.byte_ids[usize::from(byte)],
            prev: at.checked_sub(1).unwrap_or(NONE),
            next: if at + 1 < pretoken.len() { at + 1 } else { NONE },
            is_joined: false,
        }));
        queue.clear();
        queue.extend((0..symbols.len()).filter_map(|at| self.candidate(symbols, at)));
        while let Some(Reverse((_, at, id))) = queue.pop() {
            if self.is_current(symbols, at, id) {
                join(symbols, at, id);
                queue.extend(self.candidate(symbols, symbols[at].prev));
                queue.extend(self.candidate(symbols, at));
            }
        }
        ids.extend(symbols.iter().filter(|symbol| !symbol.is_joined).map(|symbol| symbol.id));
    }

    /// The merge of the symbol at `at` with its right neighbour.
    fn merge_at(&self, symbols: &[Symbol], at: usize) -> Option<Merge> {
        let left = symbols.get(at)?;
        let right = symbols.get(left.next)?;
        self.merges.get(&key(left.id, right.id)).copied()
    }

    fn candidate(&self, symbols: &[Symbol], at: usize) -> Option<Reverse<Candidate>> {
        self.merge_at(symbols, at).map(|merge| Reverse((merge.rank, at, merge.id)))
    }

    /// Whether joining at `at` still gives `id`. Only the id is compared, not the rank: so does tokenizers.
    fn is_current(&self, symbols: &[Symbol], at: usize, id: u32) -> bool {
        !symbols[at].is_joined && self.merge_at(symbols, at).is_some_and(|merge| merge.id == id)
    }
}

/// Joins the symbol at `at` with its right neighbour, which it has, into `id`.
fn join(symbols: &mut [Symbol], at: usize, id: u32) {
    let right_at = symbols[at].next;
    let right = symbols[right_at];
    symbols[right_at].is_joined = true;
    symbols[at].id = id;
    symbols[at].next = right.next;
    if let Some(after) = symbols.get_mut(right.next) {
        after.prev = at;
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Multiplicative hashing of one `u64`. The keys come from a vocabulary, not from text, so nobody chooses collisions.
#[derive(Default)]
pub(crate) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(self.0 ^ u64::from(byte)));
    }

    fn write_u64(&mut self, key: u64) {
        let product = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}
