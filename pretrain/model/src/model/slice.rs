//! Batches cut into slices of whole sequences, so that the activations of each fit into memory.

use std::ops::Range;

use crate::{
    config::ModelConfig,
    dropout::Place,
    family::activations_per_token,
    sequences::{Sequences, TokenBatch},
};

/// Numbers of activations that blocks may keep at once, 640 MB. Where a batch would need more, its sequences go through the
/// model in slices, which changes how sums over tokens are added up, and so is part of the arithmetic.
const MAX_KEPT: u128 = 160_000_000;

/// Most tokens of a slice, unless it is a single sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxTokens {
    /// Where every block keeps its activations for a backward pass.
    pub(crate) training: usize,
    /// Where one block after another uses the same memory.
    pub(crate) forward: usize,
}

impl MaxTokens {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let of_block = activations_per_token(config);
        let fitting = |blocks: usize| {
            let of_token = of_block.saturating_mul(blocks as u128).max(1);
            usize::try_from(MAX_KEPT / of_token).expect("a share of so few is a usize")
        };
        Self { training: fitting(config.num_hidden_layers()), forward: fitting(1) }
    }
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
    /// Becomes one slice of a batch after another, of at most `max_tokens` or of one sequence, as few as there can be and about
    /// of one length, and calls `each` with it.
    pub(super) fn each(
        &mut self,
        (batch, targeted): (&Sequences, &Targeted),
        max_tokens: usize,
        mut each: impl FnMut(&Self),
    ) {
        let tokens = batch.tokens().len();
        let even = tokens.div_ceil(tokens.div_ceil(max_tokens.max(1)).max(1));
        let (mut next_sequence, mut next_row) = (0, 0);
        while next_sequence < batch.len() {
            let mut run = batch.run(next_sequence, max_tokens);
            let first = batch.offsets()[run.start];
            run.end -= run
                .clone()
                .skip(1)
                .rev()
                .take_while(|at| batch.offsets()[*at] - first >= even)
                .count();
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
        config::{BertConfig, Head, LlamaConfig},
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
        let of = |training: usize| {
            let max_tokens = MaxTokens { training, forward: training };
            let mut model = Model { max_tokens, ..model() };
            let losses = model.sequence_losses(&batch).unwrap();
            let logits = model.logits(batch.sequences()).unwrap();
            let mut gradients = model.gradients();
            let loss = model.accumulate_tokens(&batch, &mut gradients).unwrap();
            let all: Vec<f64> =
                gradients.iter().filter_map(|it| it.value.as_ref()).flatten().copied().collect();
            (loss, all, losses, logits)
        };
        let (whole, gradients, losses, logits) = of(100);
        for training in [1, 4, 5] {
            let (loss, sliced, losses_sliced, logits_sliced) = of(training);
            assert_eq!((&losses_sliced, &logits_sliced), (&losses, &logits));
            assert_eq!(loss.counted, whole.counted);
            assert!((loss.nats - whole.nats).abs() < 1e-12);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(sliced.iter().zip(&gradients).all(close), "{training}");
        }
    }

    #[test]
    fn slices_are_few_and_even() {
        let lengths = |max_tokens: usize| {
            let sequences: Sequences =
                [5, 5, 5, 2, 2, 2].map(|length| vec![1; length]).iter().collect();
            let mut lengths = Vec::new();
            let none = Targeted::default();
            let each = |slice: &Slice| lengths.push(slice.sequences.tokens().len());
            Slice::default().each((&sequences, &none), max_tokens, each);
            lengths
        };
        assert_eq!(lengths(1), [5, 5, 5, 2, 2, 2]);
        assert_eq!(lengths(10), [10, 7, 4]);
        assert_eq!(lengths(20), [15, 6]);
        assert_eq!(lengths(21), [21]);
    }

    #[test]
    fn slices_keep_no_more_than_they_may() {
        let llama = model().config().clone();
        let bert = BertConfig {
            vocab_size: 11,
            hidden_size: 384,
            intermediate_size: 1536,
            num_hidden_layers: 6,
            num_attention_heads: 12,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            classifier_dropout: None,
            pad_token_id: None,
            pooler: false,
            head: Head::MaskedLm,
        };
        for config in [llama, bert.into()] {
            let MaxTokens { training, forward } = MaxTokens::new(&config);
            let (layers, of_block) =
                (config.num_hidden_layers() as u128, activations_per_token(&config));
            let kept = |tokens: usize, blocks: u128| tokens as u128 * blocks * of_block;
            assert!(kept(training, layers) <= MAX_KEPT && kept(training + 1, layers) > MAX_KEPT);
            assert!(kept(forward, 1) <= MAX_KEPT && kept(forward + 1, 1) > MAX_KEPT);
        }
    }
}
