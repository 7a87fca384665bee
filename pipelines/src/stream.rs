//! The training stream: sequences of one length out of token shards, in an order that is a function of seed and place.
//!
//! All shards stand behind each other in the artifact's order. The stream is cut into windows of `seq_len + 1` tokens
//! that overlap by one, so that each token but the first is predicted once an epoch; what is left at the end, fewer than
//! `seq_len + 1` tokens, is not seen. Each epoch has its own order, computed at one place at a time, so any step can be
//! reached without its past.

use crate::error::{Error, Result};
use crate::seed::{Permutation, Seed};
use crate::shard::Shard;

/// Token shards as one stream of windows.
pub struct TokenStream {
    shards: Vec<Shard>,
    /// Tokens before each shard, and behind the last.
    starts: Vec<u64>,
    seq_len: u64,
    windows: u64,
}

impl TokenStream {
    /// The stream over `shards` with windows of `seq_len + 1` tokens.
    ///
    /// # Errors
    /// When there are too few tokens for one window.
    pub fn new(shards: Vec<Shard>, seq_len: u64) -> Result<Self> {
        let mut starts = vec![0];
        for shard in &shards {
            starts.push(starts.last().copied().unwrap_or(0) + shard.tokens());
        }
        let tokens = starts.last().copied().unwrap_or(0);
        let windows = tokens.saturating_sub(1) / seq_len.max(1);
        if windows == 0 {
            return Err(Error::Format {
                path: "token-shards".into(),
                found: format!("{tokens} tokens in all"),
                expected: format!(
                    "at least {} for one sequence of {seq_len} and its targets",
                    seq_len + 1
                ),
            });
        }
        Ok(Self { shards, starts, seq_len, windows })
    }

    /// Windows of an epoch.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// Tokens in all shards.
    pub fn tokens(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The `seq_len + 1` tokens of window `at`, in the order of the shards.
    ///
    /// # Panics
    /// If there is no such window.
    pub fn window(&self, at: u64) -> Vec<u32> {
        assert!(at < self.windows, "window {at} of {}", self.windows);
        self.read(at * self.seq_len, self.seq_len + 1)
    }

    /// The window that is sample `sample` of training, counted over all epochs.
    pub fn sample(&self, seed: Seed, sample: u64) -> Vec<u32> {
        let epoch = sample / self.windows;
        self.window(Permutation::new(seed, epoch, self.windows).at(sample % self.windows))
    }

    fn read(&self, from: u64, length: u64) -> Vec<u32> {
        let mut tokens = Vec::new();
        let (mut at, end) = (from, from + length);
        let mut shard = self.starts.partition_point(|start| *start <= at) - 1;
        while at < end {
            let take = end.min(self.starts[shard + 1]) - at;
            self.shards[shard].read(at - self.starts[shard], take, &mut tokens);
            at += take;
            shard += 1;
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::input::Mapped;
    use crate::output::TaskOutput;
    use crate::shard::{ShardWriter, TokenWidth};
    use crate::store::Store;
    use crate::table::documents::RowKey;
    use proptest::prelude::*;

    fn shards(dir: &std::path::Path, lengths: &[usize]) -> Vec<Shard> {
        let store = Store::open(dir).unwrap();
        let mut next = 0;
        lengths
            .iter()
            .enumerate()
            .map(|(place, &length)| {
                let mut out = TaskOutput::new(&store).unwrap();
                let mut shard = ShardWriter::create(&out, "train", TokenWidth::Narrow).unwrap();
                let tokens: Vec<u32> = (next..next + u32::try_from(length).unwrap()).collect();
                next += u32::try_from(length).unwrap();
                shard.push("id", &RowKey { unit: String::new(), record: 0 }, 0, &tokens).unwrap();
                shard.finish(&mut out).unwrap();
                let record = out.commit(Digest::of(&place.to_le_bytes())).unwrap();
                let map = |name: &str| {
                    Mapped::whole(store.object_path(&record.outputs.get(name).unwrap().digest))
                        .unwrap()
                };
                Shard::open(map("train.bin"), map("train.idx")).unwrap()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_token_but_the_first_is_predicted_once(
            lengths in prop::collection::vec(0usize..30, 1..6),
            seq_len in 1u64..9,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let total: u64 = lengths.iter().sum::<usize>() as u64;
            let stream = TokenStream::new(shards(dir.path(), &lengths), seq_len);
            prop_assert_eq!(stream.is_ok(), total > seq_len);
            let Ok(stream) = stream else { return Ok(()) };
            let seed = Seed::new(1, "order");
            for epoch in 0..2 {
                let mut targets: Vec<u32> = (0..stream.windows())
                    .flat_map(|at| stream.sample(seed, epoch * stream.windows() + at)[1..].to_vec())
                    .collect();
                targets.sort_unstable();
                let expected: Vec<u32> = (1..=u32::try_from(stream.windows() * seq_len).unwrap()).collect();
                prop_assert_eq!(targets, expected);
            }
        }
    }

    #[test]
    fn too_few_tokens_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = TokenStream::new(shards(dir.path(), &[3, 2]), 5).err().unwrap();
        assert!(error.to_string().contains("5 tokens in all, expected at least 6"), "{error}");
    }
}
