//! How much memory training takes, told before any of it is taken.

use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    family::specification,
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
}

/// Checks that a model of this shape can be trained so in `memory` bytes.
///
/// Counted are weights, gradients, what the optimizer keeps, and of the activations one hidden state for each token and layer
/// that is trained. A step takes more than that, so this refuses what cannot be, and promises nothing.
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
    let kept_layers = if training.freeze.embeddings { training.freeze.layers } else { 0 };
    let layers = config.num_hidden_layers().saturating_sub(kept_layers) as u128;
    let hidden = (config.hidden_size() as u128).saturating_mul(layers);
    let activations = hidden.saturating_mul(u128::from(training.tokens));
    let numbers = numbers.saturating_add(parameters).saturating_add(activations);
    let found = numbers.saturating_mul(BYTES_PER_NUMBER);
    match memory {
        Some(expected) if found > u128::from(expected) => {
            let tokens = training.tokens;
            Err(ModelError::Memory { parameters, tokens, found, expected })
        }
        _ => Ok(()),
    }
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
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: vec![0],
            pad_token_id: None,
            head: Head::CausalLm,
        }
        .into()
    }

    fn training<'a>(optimizer: &'a OptimizerConfig, freeze: &'a Freeze) -> Footprint<'a> {
        Footprint { optimizer, freeze, micro_batches: 1, tokens: 3 }
    }

    /// Checks that so many numbers are needed, and no fewer.
    #[track_caller]
    fn check(config: &ModelConfig, training: &Footprint, numbers: usize) {
        let bytes = 4 * numbers as u64;
        require_memory(config, training, Some(bytes)).unwrap();
        require_memory(config, training, None).unwrap();
        let error = require_memory(config, training, Some(bytes - 1)).unwrap_err().to_string();
        let listed = specification(config).num_values();
        let words =
            format!("of {listed} parameters with 3 tokens at once takes at least {bytes} bytes");
        assert!(error.contains(&words), "{error}");
    }

    #[test]
    fn parameters_are_counted_without_listing_all_layers() {
        let config = config(8, 5);
        let listed = specification(&config).num_values();
        let (optimizer, freeze) = (OptimizerConfig::default(), Freeze::default());
        let adamw = training(&optimizer, &freeze);
        check(&config, &adamw, 4 * listed + 3 * 8 * 5);
        check(&config, &Footprint { micro_batches: 5, ..adamw }, 6 * listed + 3 * 8 * 5);
        let sgd = SgdConfig::default().into();
        check(&config, &training(&sgd, &freeze), 3 * listed + 3 * 8 * 5);
    }

    #[test]
    fn what_is_frozen_needs_nothing_but_itself() {
        let config = config(8, 5);
        let whole = specification(&config);
        let freeze = Freeze { embeddings: true, layers: 3 };
        let is_trained = |part: Part| !freeze.holds(part);
        let trained = whole.iter().filter(|entry| is_trained(entry.part));
        let trained: usize = trained.map(|entry| entry.shape.iter().product::<usize>()).sum();
        let optimizer = OptimizerConfig::default();
        let numbers = whole.num_values() + 3 * trained + 3 * 8 * 2;
        check(&config, &training(&optimizer, &freeze), numbers);
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
