//! Sequences of one length, and blocks of their queries.

use candle_core::{Result, Tensor};

use super::Masks;
use crate::{
    cpu::simd::narrow,
    device::cols,
    dropout::Mask,
    ops::{Heads, Reach},
};

/// Queries of a sequence whose scores exist at once.
pub(super) const BLOCK: usize = 256;

/// Scores that exist at once, about: 256 MiB of them. A block of one sequence may have more.
const SCORES: usize = 1 << 26;

/// Consecutive sequences of one length.
///
/// Their tensors are `[sequences * key heads, query heads of each, tokens, width]` for queries, and without the second
/// dimension for keys.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first token of the first.
    pub(super) first: usize,
    pub(super) num_sequences: usize,
    /// Tokens of each.
    pub(super) len: usize,
    pub(super) heads: Heads,
}

/// All sequences, in order, as many together as have one length and memory for their scores.
pub(super) fn runs(offsets: &[usize], heads: Heads) -> impl Iterator<Item = Run> {
    let mut sequences =
        offsets.windows(2).map(|bounds| (bounds[0], bounds[1] - bounds[0])).peekable();
    std::iter::from_fn(move || {
        let (first, len) = sequences.next()?;
        let most = SCORES / (heads.query * len.min(BLOCK) * len).max(1);
        let mut num_sequences = 1;
        while num_sequences < most && sequences.next_if(|&(_, next)| next == len).is_some() {
            num_sequences += 1;
        }
        Some(Run { first, num_sequences, len, heads })
    })
}

impl Run {
    /// What scores are multiplied with.
    pub(super) fn factor(&self) -> f64 {
        1.0 / (self.heads.dim as f64).sqrt()
    }

    /// The rows of its tokens of a tensor with a part for each query head.
    pub(super) fn queries(&self, x: &Tensor) -> Result<Tensor> {
        let group = self.heads.query / self.heads.key_value;
        let split = self.split(x, group)?;
        split.flatten(0, 1)
    }

    /// The rows of its tokens of a tensor with a part for each key head.
    pub(super) fn keys(&self, x: &Tensor) -> Result<Tensor> {
        self.split(x, 1)?.flatten(0, 2)
    }

    /// `[sequences, key heads, group, tokens, width]`.
    fn split(&self, x: &Tensor, group: usize) -> Result<Tensor> {
        let Self { first, num_sequences, len, heads } = *self;
        let width = cols(x) / (heads.key_value * group);
        x.narrow(0, first, num_sequences * len)?
            .reshape((num_sequences, len, heads.key_value, group, width))?
            .permute((0, 2, 3, 1, 4))?
            .contiguous()
    }

    /// Rows of tokens again, from `[sequences * key heads, group, tokens, width]`.
    pub(super) fn back(&self, x: &Tensor) -> Result<Tensor> {
        let (_, group, len, width) = x.dims4()?;
        let heads = self.heads.key_value;
        x.reshape((self.num_sequences, heads, group, len, width))?
            .permute((0, 3, 1, 2, 4))?
            .reshape((self.num_sequences * len, heads * group * width))
    }

    /// Every query, in order; `before` keys stand before the first.
    pub(super) fn blocks(&self, before: usize) -> impl Iterator<Item = Block> + use<> {
        let Self { len, heads, .. } = *self;
        (0..len).step_by(BLOCK).map(move |first| {
            let queries = BLOCK.min(len - first);
            let keys = match heads.reach {
                Reach::Causal => before + first + queries,
                Reach::Bidirectional => before + len,
            };
            let group = heads.query / heads.key_value;
            Block { first, queries, keys, group, reach: heads.reach }
        })
    }
}

/// A run of queries of each sequence of a run.
pub(super) struct Block {
    /// The first, and how many.
    first: usize,
    queries: usize,
    /// The keys that the last of them sees; the others see them all, or a part of them.
    keys: usize,
    group: usize,
    reach: Reach,
}

impl Block {
    /// The part of a tensor of queries, those that share a key head below one another.
    pub(super) fn of(&self, x: &Tensor) -> Result<Tensor> {
        x.narrow(2, self.first, self.queries)?.flatten(1, 2)
    }

    /// Undoes that.
    pub(super) fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, width) = x.dims3()?;
        x.reshape((batch, self.group, self.queries, width))
    }

    /// The part of a tensor of keys that is seen.
    pub(super) fn seen(&self, x: &Tensor) -> Result<Tensor> {
        x.narrow(1, 0, self.keys)
    }

    /// `sum`, and a gradient of what is seen added to it.
    pub(super) fn added(&self, sum: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (_, len, _) = sum.dims3()?;
        sum + gradient.pad_with_zeros(1, 0, len - self.keys)?
    }

    /// What the probabilities of this block of a run are multiplied with, where some are dropped: `[sequences * key heads,
    /// group * queries, keys]`, made by the processor.
    pub(super) fn factors(
        &self,
        run: &Run,
        mask: Mask,
        device: &candle_core::Device,
    ) -> Result<Tensor> {
        let num_heads = u32::try_from(run.heads.query).expect("configs hold counts below 2^31");
        let mut factors = Vec::new();
        for sequence in 0..run.num_sequences {
            let first = run.first + sequence * run.len + self.first;
            for (head, row) in (0..num_heads)
                .flat_map(|head| (first..first + self.queries).map(move |row| (head, row)))
            {
                factors.extend(mask.factors(head, row).take(self.keys).map(narrow));
            }
        }
        let shape = (run.num_sequences * run.heads.key_value, self.group * self.queries, self.keys);
        Tensor::from_vec(factors, shape, device)
    }

    /// Scores, with minus infinity where a query does not see a key.
    pub(super) fn masked(&self, scores: Tensor, masks: &mut Masks) -> Result<Tensor> {
        // A query alone sees all keys of its block.
        if self.reach == Reach::Bidirectional || self.queries == 1 {
            return Ok(scores);
        }
        let mask = masks.of(self.queries, self.keys - self.queries, scores.device())?;
        self.split(&scores)?.broadcast_add(&mask)?.reshape(scores.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many sequences each run has.
    #[track_caller]
    fn check(lengths: impl IntoIterator<Item = usize>, expected: &[usize]) {
        let heads = Heads { query: 2, key_value: 1, dim: 4, reach: Reach::Causal };
        let mut offsets = vec![0];
        lengths.into_iter().for_each(|length| offsets.push(offsets[offsets.len() - 1] + length));
        let runs: Vec<_> = runs(&offsets, heads).collect();
        let found: Vec<_> = runs.iter().map(|run| run.num_sequences).collect();
        assert_eq!(found, expected);
        let mut next = 0;
        for run in runs {
            assert_eq!(run.first, next);
            next += run.num_sequences * run.len;
        }
        assert_eq!(next, offsets[offsets.len() - 1]);
    }

    #[test]
    fn runs_are_of_one_length_and_bounded_memory() {
        check([], &[]);
        check([3, 3, 4, 3], &[2, 1, 1]);
        // Two heads of 256 queries and 8192 keys are 2^22 scores.
        check(vec![8192; 40], &[16, 16, 8]);
        // Too many, but less than a block of one sequence is not cut.
        check(vec![1 << 18; 2], &[1, 1]);
    }
}
