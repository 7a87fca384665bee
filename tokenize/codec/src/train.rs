//! Learning byte-pair merges from pre-token counts.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use crate::{CodecError, PretokenCounts};

/// Two adjacent token ids.
pub(crate) type Pair = (u32, u32);

/// A pair that occurs less often is not merged: a token that stands for one place teaches nothing.
pub(crate) const MIN_PAIR_COUNT: u64 = 2;

/// No symbol: the end of a pre-token, or a symbol merged into its left neighbour.
const NONE: u32 = u32::MAX;

/// Learns up to `num_merges` merges; the first makes token `first_id`, the next `first_id + 1`, …
///
/// Each merge joins the pair with the most occurrences, counted over all adjacent positions of all pre-tokens; of
/// equally frequent pairs the one with the smallest ids (left, then right). Counts are exact: every merge updates the
/// pairs it touches. Fewer merges come back when no pair occurs [`MIN_PAIR_COUNT`] times.
///
/// `on_merge` is told the number of merges so far, and may stop the training with an error.
///
/// Source: Sennrich et al. 2016, arXiv:1508.07909; tie rule and counting of overlaps as in `BpeTrainer` of tokenizers
/// 0.23 with `min_frequency = 2`, which it equals while counts fit its `i32`.
pub(crate) fn learn<E: From<CodecError>>(
    counts: &PretokenCounts,
    byte_ids: &[u32; 256],
    first_id: u32,
    num_merges: usize,
    mut on_merge: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<Pair>, E> {
    let mut words = Words::new(counts, byte_ids)?;
    let mut pairs = words.pairs();
    let mut queue: BinaryHeap<Candidate> =
        pairs.iter().map(|(&pair, occurrences)| (occurrences.count, Reverse(pair))).collect();
    let mut merges = Vec::new();
    for id in (first_id..NONE).take(num_merges) {
        let Some((pair, occurrences)) = most_frequent(&mut queue, &mut pairs) else { break };
        for at in occurrences.positions {
            words.merge(at, pair, id, &mut pairs);
        }
        merges.push(pair);
        queue.extend(words.take_new_pairs().map(|pair| (pairs[&pair].count, Reverse(pair))));
        on_merge(merges.len())?;
    }
    Ok(merges)
}

/// The largest is merged next: highest count, then smallest pair. The count may be out of date, but never too low.
type Candidate = (u64, Reverse<Pair>);

/// Where a pair occurs.
#[derive(Default)]
struct Occurrences {
    /// Occurrences in the corpus.
    count: u64,
    /// Positions of the left symbol, ascending; some may have been merged away since.
    positions: Vec<u32>,
}

type Pairs = HashMap<Pair, Occurrences>;

/// Takes the pair that is merged next out of `pairs`.
fn most_frequent(
    queue: &mut BinaryHeap<Candidate>,
    pairs: &mut Pairs,
) -> Option<(Pair, Occurrences)> {
    loop {
        let (count, Reverse(pair)) = queue.pop()?;
        let current = pairs[&pair].count;
        if current < MIN_PAIR_COUNT {
            continue;
        }
        if current == count {
            return pairs.remove_entry(&pair);
        }
        queue.push((current, Reverse(pair)));
    }
}

/// All distinct pre-tokens as one row of symbols, each linked to its neighbours within the pre-token.
///
/// A merge therefore costs the same in a pre-token of three bytes and of three million.
struct Words {
    symbols: Vec<Symbol>,
    /// Occurrences of each pre-token.
    counts: Vec<u64>,
    /// Pairs met for the first time since they were last taken.
    new_pairs: Vec<Pair>,
}

#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    prev: u32,
    next: u32,
    word: u32,
}

impl Words {
    fn new(counts: &PretokenCounts, byte_ids: &[u32; 256]) -> Result<Self, CodecError> {
        let sorted = counts.sorted();
        check_sizes(&sorted)?;
        let mut symbols: Vec<Symbol> = Vec::new();
        for (word, (pretoken, _)) in (0u32..).zip(&sorted) {
            let mut prev = NONE;
            for (at, byte) in index_from(symbols.len()).zip(pretoken.bytes()) {
                if let Some(left) = symbols.get_mut(prev as usize) {
                    left.next = at;
                }
                symbols.push(Symbol { id: byte_ids[usize::from(byte)], prev, next: NONE, word });
                prev = at;
            }
        }
        let counts = sorted.into_iter().map(|(_, count)| count).collect();
        Ok(Self { symbols, counts, new_pairs: Vec::new() })
    }

    /// Every pair with its occurrences.
    fn pairs(&self) -> Pairs {
        let mut pairs = Pairs::new();
        for (at, left) in (0u32..).zip(&self.symbols) {
            if let Some(right) = self.symbols.get(left.next as usize) {
                let occurrences = pairs.entry((left.id, right.id)).or_default();
                occurrences.count += self.counts[left.word as usize];
                occurrences.positions.push(at);
            }
        }
        pairs
    }

    /// Joins the pair at `at` into `id`, if it still stands there, and counts the pairs that this breaks and makes.
    fn merge(&mut self, at: u32, pair: Pair, id: u32, pairs: &mut Pairs) {
        let left = self.symbols[at as usize];
        let Some(&right) = self.symbols.get(left.next as usize) else { return };
        if (left.id, right.id) != pair {
            return;
        }
        let count = self.counts[left.word as usize];
        if let Some(before) = self.symbols.get(left.prev as usize) {
            let before = before.id;
            forget(pairs, (before, left.id), count);
            self.note(pairs, (before, id), left.prev, count);
        }
        if let Some(after) = self.symbols.get_mut(right.next as usize) {
            after.prev = at;
            let after = after.id;
            forget(pairs, (right.id, after), count);
            self.note(pairs, (id, after), at, count);
        }
        self.symbols[left.next as usize] = Symbol { id: NONE, prev: NONE, next: NONE, ..right };
        self.symbols[at as usize] = Symbol { id, next: right.next, ..left };
    }

    fn note(&mut self, pairs: &mut Pairs, pair: Pair, at: u32, count: u64) {
        let new_pairs = &mut self.new_pairs;
        let occurrences = pairs.entry(pair).or_insert_with(|| {
            new_pairs.push(pair);
            Occurrences::default()
        });
        occurrences.count += count;
        occurrences.positions.push(at);
    }

    fn take_new_pairs(&mut self) -> impl Iterator<Item = Pair> + use<> {
        std::mem::take(&mut self.new_pairs).into_iter()
    }
}

/// Takes `count` occurrences off `pair`. The pair being merged is no longer listed and needs no count.
fn forget(pairs: &mut Pairs, pair: Pair, count: u64) {
    if let Some(occurrences) = pairs.get_mut(&pair) {
        occurrences.count -= count;
    }
}

/// Indices of symbols from `len` on; [`check_sizes`] has made sure that they fit.
fn index_from(len: usize) -> impl Iterator<Item = u32> {
    u32::try_from(len).expect("at most 4 Gi symbols")..
}

/// Symbols are addressed with `u32`, and the count of any pair must fit `u64`.
fn check_sizes(sorted: &[(&str, u64)]) -> Result<(), CodecError> {
    let bytes: u64 = sorted.iter().map(|(pretoken, _)| pretoken.len() as u64).sum();
    if bytes >= u64::from(NONE) {
        return Err(CodecError::TooManyBytes { found: bytes, expected: u64::from(NONE) - 1 });
    }
    sorted
        .iter()
        .try_fold(0u64, |sum, (pretoken, count)| {
            sum.checked_add(count.checked_mul(pretoken.len() as u64)?)
        })
        .map(|_| ())
        .ok_or(CodecError::CountOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merges(words: &[(&str, u64)], num_merges: usize) -> Vec<(char, char)> {
        let mut counts = PretokenCounts::default();
        for (word, count) in words {
            (0..*count).for_each(|_| counts.count(word).unwrap());
        }
        let bytes = std::array::from_fn(|byte| u32::try_from(byte).unwrap());
        let show = |id: u32| char::from_u32(if id < 256 { id } else { id - 256 + 0x2460 }).unwrap();
        learn(&counts, &bytes, 256, num_merges, |_| Ok::<_, CodecError>(()))
            .unwrap()
            .into_iter()
            .map(|(left, right)| (show(left), show(right)))
            .collect()
    }

    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        // New tokens are shown as ①, ②, …
        assert_eq!(merges(&[("abc", 3), ("bc", 2)], 9), [('b', 'c'), ('a', '①')]);
    }

    #[test]
    fn of_equally_frequent_pairs_the_smallest_is_merged() {
        assert_eq!(
            merges(&[("xy", 2), ("ab", 2), ("ac", 2)], 3),
            [('a', 'b'), ('a', 'c'), ('x', 'y')]
        );
    }

    #[test]
    fn runs_are_merged_from_the_left() {
        assert_eq!(merges(&[("aaaa", 1)], 9), [('a', 'a')]);
        assert_eq!(merges(&[("aaaaa", 2)], 9), [('a', 'a'), ('①', 'a'), ('①', '②')]);
    }

    #[test]
    fn a_pair_that_occurs_once_is_not_merged() {
        assert_eq!(merges(&[("abc", 1)], 9), []);
    }

    #[test]
    fn training_stops_where_it_is_told() {
        let mut counts = PretokenCounts::default();
        counts.count("abcabcabc abcabc").unwrap();
        let stop = |done| if done == 2 { Err(CodecError::CountOverflow) } else { Ok(()) };
        assert!(learn(&counts, &std::array::from_fn(|_| 0), 256, 9, stop).is_err());
    }
}
