//! How much memory training takes, told before any of it is taken.

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::family::specification;

/// Bytes that a parameter takes in training: itself, its gradient and both moments of AdamW, four bytes each.
const BYTES_PER_PARAMETER: u128 = 16;

/// Checks that a model of this shape can be trained with `tokens` tokens at once in `memory` bytes.
///
/// Counted are weights, gradients and moments, and of the activations one hidden state for each token and layer. A step takes
/// more than that, so this refuses what cannot be, and promises nothing.
///
/// # Errors
/// [`ModelError::Memory`] with what is needed and what there is.
pub fn require_memory(config: &ModelConfig, tokens: u64, memory: Option<u64>) -> Result<()> {
    let parameters = num_parameters(config);
    let hidden = (config.hidden_size() as u128).saturating_mul(config.num_hidden_layers() as u128);
    let activations = hidden.saturating_mul(u128::from(tokens)).saturating_mul(4);
    let found = parameters.saturating_mul(BYTES_PER_PARAMETER).saturating_add(activations);
    match memory {
        Some(expected) if found > u128::from(expected) => {
            Err(ModelError::Memory { parameters, tokens, found, expected })
        }
        _ => Ok(()),
    }
}

/// Parameters of a model of this shape, without listing the tensors of all its layers, which may be very many.
fn num_parameters(config: &ModelConfig) -> u128 {
    let of = |layers: usize| -> u128 {
        let specification = specification(&config.clone().with_layers(layers));
        let size = |shape: &[usize]| {
            shape.iter().fold(1, |product: u128, length| product.saturating_mul(*length as u128))
        };
        specification.iter().map(|entry| size(&entry.shape)).fold(0, u128::saturating_add)
    };
    let (one, two) = (of(1), of(2));
    let further = (config.num_hidden_layers() as u128).saturating_sub(1);
    one.saturating_add((two - one).saturating_mul(further))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Head, LlamaConfig};
    use crate::family::specification;

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

    #[test]
    fn parameters_are_counted_without_listing_all_layers() {
        let config = config(8, 5);
        let listed = specification(&config).num_values() as u128;
        assert_eq!(num_parameters(&config), listed);
        let bytes = u64::try_from(listed * 16 + 3 * 8 * 5 * 4).unwrap();
        require_memory(&config, 3, Some(bytes)).unwrap();
        require_memory(&config, 3, None).unwrap();
        let error = require_memory(&config, 3, Some(bytes - 1)).unwrap_err().to_string();
        let words =
            format!("of {listed} parameters with 3 tokens at once takes at least {bytes} bytes");
        assert!(error.contains(&words), "{error}");
    }

    #[test]
    fn absurd_models_are_refused_without_trying() {
        let huge = config(2_000_000_000, 2_000_000_000);
        assert!(require_memory(&huge, 1, Some(u64::MAX)).is_err());
        assert!(require_memory(&config(8, 1), u64::MAX, Some(u64::MAX)).is_err());
    }
}
