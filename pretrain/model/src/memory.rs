//! How much memory training takes, told before any of it is taken.

use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    family::{activations_per_token, specification},
    model::MaxTokens,
    optim::{Freeze, OptimizerConfig},
    param::Part,
};

/// Bytes of a number: of weights, gradients, what the optimizer keeps, activations.
const BYTES_PER_NUMBER: u128 = 4;

/// What training takes memory for, beside the model.
#[derive(Clone, Copy, Debug)]
pub struct Footprint<'a> {
    /// Which decides what is kept of each trained parameter.
    pub optimizer: &'a OptimizerConfig,
    /// What is not trained.
    pub freeze: &'a Freeze,
    /// Micro-batches of a step, whose gradients are summed by [`TreeSum`](crate::TreeSum).
    pub micro_batches: u64,
    /// Tokens of a micro-batch.
    pub tokens: u64,
    /// Whether activations are made again in the backward pass, as [`Model::recompute`](crate::Model::recompute) says.
    pub recompute: bool,
}

/// Checks that a model of this shape can be trained so in `memory` bytes.
///
/// Counted are weights, gradients, what the optimizer keeps, and the activations that layers keep for the backward pass: all of
/// those of each trained layer or, where they are made again, the input of each and the activations of one, for the tokens that
/// go through the model at once. A step takes more than that, so this refuses what cannot be, and promises nothing.
///
/// # Errors
/// [`ModelError::Memory`] with what is needed and what there is.
pub fn require_memory(
    config: &ModelConfig,
    training: &Footprint,
    memory: Option<u64>,
) -> Result<()> {
    let (mut parameters, mut numbers) = (0u128, 0u128);
    let buffers = u128::from(training.micro_batches.max(1).ilog2()) + 1;
    for (part, of_part) in sizes(config) {
        let (all, trained) = layers_of(config, training.freeze, part);
        let kept = kept(training.optimizer, part) + buffers;
        parameters = parameters.saturating_add(of_part.saturating_mul(all));
        let trained = of_part.saturating_mul(trained).saturating_mul(kept);
        numbers = numbers.saturating_add(trained);
    }
    let numbers = numbers.saturating_add(parameters).saturating_add(activations(config, training));
    let found = numbers.saturating_mul(BYTES_PER_NUMBER);
    match memory {
        Some(expected) if found > u128::from(expected) => {
            let tokens = training.tokens;
            Err(ModelError::Memory { parameters, tokens, found, expected })
        }
        _ => Ok(()),
    }
}

/// Numbers that layers keep for the backward pass, and the ids of all tokens.
fn activations(config: &ModelConfig, training: &Footprint) -> u128 {
    let passed_over = if training.freeze.embeddings { training.freeze.layers } else { 0 };
    // A layer at work has activations even where none is trained.
    let layers = config.num_hidden_layers().saturating_sub(passed_over).max(1) as u128;
    let of_one = activations_per_token(config);
    let per_token = if training.recompute {
        (config.hidden_size() as u128).saturating_mul(layers - 1).saturating_add(of_one)
    } else {
        of_one.saturating_mul(layers)
    };
    // A micro-batch goes through in slices. Unless one sequence is longer, some slice has half of what fits, or more: a
    // shorter one would have taken in the next sequence.
    let tokens = u128::from(training.tokens);
    let at_once = tokens.min(MaxTokens::new(config).training as u128 / 2);
    per_token.saturating_mul(at_once).saturating_add(tokens)
}

/// Parameters of each part, of the layers those of one: listing the tensors of all, which may be very many, is not needed.
fn sizes(config: &ModelConfig) -> Vec<(Part, u128)> {
    let size = |shape: &[usize]| {
        shape.iter().fold(1, |product: u128, length| product.saturating_mul(*length as u128))
    };
    let one = specification(&config.clone().with_layers(1));
    one.iter().map(|entry| (entry.part, size(&entry.shape))).collect()
}

/// How often a part is there, and how often it is trained.
fn layers_of(config: &ModelConfig, freeze: &Freeze, part: Part) -> (u128, u128) {
    let layers = config.num_hidden_layers();
    match part {
        Part::Layer(_) => (layers as u128, layers.saturating_sub(freeze.layers) as u128),
        part => (1, u128::from(!freeze.holds(part))),
    }
}

/// Numbers that an optimizer keeps of a parameter, at least.
fn kept(optimizer: &OptimizerConfig, part: Part) -> u128 {
    match (optimizer, part) {
        (OptimizerConfig::Sgd(_), _) | (OptimizerConfig::Muon(_), Part::Layer(_)) => 1,
        (OptimizerConfig::AdamW(_) | OptimizerConfig::Muon(_), _) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Head, LlamaConfig};
    use crate::optim::SgdConfig;

    fn config(hidden_size: usize, num_hidden_layers: usize) -> ModelConfig {
        LlamaConfig {
            vocab_size: 100,
            hidden_size,
            intermediate_size: 3 * hidden_size,
            num_hidden_layers,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: hidden_size / 2,
            max_position_embeddings: 16,
            rope_theta: 1e4,
            rms_norm_eps: 1e-5,
            initializer_range: 0.02,
            attention_dropout: 0.0,
            classifier_dropout: None,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: vec![0],
            pad_token_id: None,
            head: Head::CausalLm,
        }
        .into()
    }

    fn training<'a>(optimizer: &'a OptimizerConfig, freeze: &'a Freeze) -> Footprint<'a> {
        Footprint { optimizer, freeze, micro_batches: 1, tokens: 3, recompute: false }
    }

    /// Checks that so many numbers are needed beside the ids of tokens, and no fewer.
    #[track_caller]
    fn check(config: &ModelConfig, training: &Footprint, numbers: usize) {
        let bytes = 4 * (numbers as u64 + training.tokens);
        require_memory(config, training, Some(bytes)).unwrap();
        require_memory(config, training, None).unwrap();
        let error = require_memory(config, training, Some(bytes - 1)).unwrap_err().to_string();
        let listed = specification(config).num_values();
        let words =
            format!("of {listed} parameters with 3 tokens at once takes at least {bytes} bytes");
        assert!(error.contains(&words), "{error}");
    }

    /// Numbers of a token in a block of a hidden size of 8: two inputs and two norms, queries and what they attended to, keys
    /// and values, sums of two heads, and three times the width inside the feed-forward part.
    const BLOCK: usize = 4 * 8 + 2 * 8 + 2 * 4 + 2 + 3 * 24;

    #[test]
    fn parameters_are_counted_without_listing_all_layers() {
        let config = config(8, 5);
        let listed = specification(&config).num_values();
        let (optimizer, freeze) = (OptimizerConfig::default(), Freeze::default());
        let adamw = training(&optimizer, &freeze);
        check(&config, &adamw, 4 * listed + 3 * BLOCK * 5);
        check(&config, &Footprint { micro_batches: 5, ..adamw }, 6 * listed + 3 * BLOCK * 5);
        let sgd = SgdConfig::default().into();
        check(&config, &training(&sgd, &freeze), 3 * listed + 3 * BLOCK * 5);
    }

    #[test]
    fn activations_that_are_made_again_are_those_of_one_layer_and_inputs_of_the_others() {
        let config = config(8, 5);
        let listed = specification(&config).num_values();
        let (optimizer, freeze) = (OptimizerConfig::default(), Freeze::default());
        let again = Footprint { recompute: true, ..training(&optimizer, &freeze) };
        check(&config, &again, 4 * listed + 3 * (BLOCK + 4 * 8));
        let freeze = Freeze { embeddings: true, layers: 5 };
        let trained = specification(&config).num_values() - listed_of(&config, &freeze);
        let again = Footprint { freeze: &freeze, ..again };
        check(&config, &again, listed + 3 * trained + 3 * BLOCK);
    }

    /// Parameters that are frozen.
    fn listed_of(config: &ModelConfig, freeze: &Freeze) -> usize {
        let whole = specification(config);
        let frozen = whole.iter().filter(|entry| freeze.holds(entry.part));
        frozen.map(|entry| entry.shape.iter().product::<usize>()).sum()
    }

    #[test]
    fn what_is_frozen_needs_nothing_but_itself() {
        let config = config(8, 5);
        let listed = specification(&config).num_values();
        let freeze = Freeze { embeddings: true, layers: 3 };
        let trained = listed - listed_of(&config, &freeze);
        let optimizer = OptimizerConfig::default();
        let numbers = listed + 3 * trained + 3 * BLOCK * 2;
        check(&config, &training(&optimizer, &freeze), numbers);
    }

    #[test]
    fn a_micro_batch_needs_the_activations_of_a_slice() {
        let config = config(8, 5);
        let (optimizer, freeze) = (OptimizerConfig::default(), Freeze::default());
        let most = MaxTokens::new(&config).training as u64;
        let of =
            |tokens| activations(&config, &Footprint { tokens, ..training(&optimizer, &freeze) });
        assert_eq!(of(most / 2), u128::from(most / 2) * (5 * BLOCK as u128 + 1));
        assert_eq!(of(4 * most) - of(most / 2), u128::from(4 * most - most / 2));
    }

    #[test]
    fn absurd_models_are_refused_without_trying() {
        let huge = config(2_000_000_000, 2_000_000_000);
        let (optimizer, freeze) = (OptimizerConfig::default(), Freeze::default());
        let training = training(&optimizer, &freeze);
        assert!(require_memory(&huge, &training, Some(u64::MAX)).is_err());
        let long = Footprint { tokens: u64::MAX, ..training };
        assert!(require_memory(&config(8, 1), &long, Some(u64::MAX)).is_err());
    }
}
