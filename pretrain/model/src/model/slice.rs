//! Batches cut into slices of whole sequences, so that the activations of each fit into memory.

use std::ops::Range;

use crate::{
    config::ModelConfig,
    dropout::Place,
    sequences::{Sequences, TokenBatch},
};

/// Numbers of activations that a backward pass may need at once, about 512 MiB. Where a batch would need more, its sequences
/// go through the model in slices, which changes how sums over tokens are added up, and so is part of the arithmetic.
const MAX_KEPT: usize = 1 << 27;

/// What a block keeps of a token for its backward pass, about, in hidden states.
const KEPT_STATES: usize = 12;

/// Tokens of a slice, unless it is a single sequence.
pub(crate) fn max_tokens(config: &ModelConfig) -> usize {
    let states = config.num_hidden_layers().saturating_mul(config.hidden_size());
    MAX_KEPT / states.saturating_mul(KEPT_STATES)
}

/// The tokens of some sequences that the head reads, in order, and what it is to say of each.
#[derive(Debug, Default)]
pub(super) struct Targeted {
    pub(super) rows: Vec<usize>,
    pub(super) targets: Vec<Option<u32>>,
}

impl Targeted {
    /// Becomes the tokens of a batch that have targets.
    pub(super) fn read_batch(&mut self, batch: &TokenBatch) {
        let tokens = batch.targets().iter().copied().enumerate();
        self.read(tokens.filter(|(_, target)| target.is_some()));
    }

    /// Becomes these tokens, each with its target.
    pub(super) fn read(&mut self, tokens: impl Iterator<Item = (usize, Option<u32>)>) {
        self.rows.clear();
        self.targets.clear();
        for (row, target) in tokens {
            self.rows.push(row);
            self.targets.push(target);
        }
    }
}

/// Some sequences of a batch, and the tokens among them that the head reads.
#[derive(Debug, Default)]
pub(super) struct Slice {
    pub(super) sequences: Sequences,
    pub(super) targeted: Targeted,
    /// Where each of the tokens that the head reads stands.
    pub(super) places: Vec<Place>,
}

impl Slice {
    /// Becomes one slice of a batch after another, of at most `max_tokens` or of one sequence, and calls `each` with it.
    pub(super) fn each(
        &mut self,
        (batch, targeted): (&Sequences, &Targeted),
        max_tokens: usize,
        mut each: impl FnMut(&Self),
    ) {
        let (mut next_sequence, mut next_row) = (0, 0);
        while next_sequence < batch.len() {
            let run = batch.run(next_sequence, max_tokens);
            let end = batch.offsets()[run.end];
            let fitting = targeted.rows[next_row..].partition_point(|row| *row < end);
            let rows = next_row..next_row + fitting;
            (next_sequence, next_row) = (run.end, rows.end);
            self.copy((batch, run), (targeted, rows));
            each(self);
        }
    }

    /// Becomes a run of the sequences, with the run of targeted tokens that are theirs.
    fn copy(
        &mut self,
        (batch, run): (&Sequences, Range<usize>),
        (targeted, rows): (&Targeted, Range<usize>),
    ) {
        let Self { sequences, targeted: own, places } = self;
        let first = batch.offsets()[run.start];
        sequences.clear();
        sequences.extend(batch, run);
        let targets = targeted.targets[rows.clone()].iter().copied();
        own.read(targeted.rows[rows].iter().map(|row| row - first).zip(targets));
        places.clear();
        places.extend(own.rows.iter().map(|row| sequences.places()[*row]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkpoint::Checkpoint,
        config::{Head, LlamaConfig},
        model::Model,
        oracle::Oracle,
    };

    fn model() -> Model<Oracle> {
        let config = LlamaConfig {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            max_position_embeddings: 16,
            rope_theta: 1e4,
            rms_norm_eps: 1e-5,
            initializer_range: 0.2,
            attention_dropout: 0.0,
            classifier_dropout: None,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: vec![0],
            pad_token_id: None,
            head: Head::CausalLm,
        };
        Model::new(Checkpoint::fresh(config, 1).unwrap(), Oracle).unwrap()
    }

    #[test]
    fn slices_add_up_to_the_batch() {
        let mut batch = TokenBatch::new();
        for window in [&[1, 2, 3, 4, 5][..], &[6, 7], &[8, 9, 10, 1]] {
            batch.push_window(window);
        }
        let of = |max_tokens: usize| {
            let mut model = Model { max_tokens, ..model() };
            let mut gradients = model.gradients();
            let loss = model.accumulate_tokens(&batch, &mut gradients).unwrap();
            let all: Vec<f64> =
                gradients.iter().filter_map(|it| it.value.as_ref()).flatten().copied().collect();
            (loss, all)
        };
        let (whole, gradients) = of(100);
        for max_tokens in [1, 4, 5] {
            let (loss, sliced) = of(max_tokens);
            assert_eq!(loss.counted, whole.counted);
            assert!((loss.nats - whole.nats).abs() < 1e-12);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(sliced.iter().zip(&gradients).all(close), "{max_tokens}");
        }
    }

    #[test]
    fn slices_are_as_long_as_activations_allow() {
        let model = model();
        assert_eq!(model.max_tokens, MAX_KEPT / (2 * 8 * KEPT_STATES));
    }
}
