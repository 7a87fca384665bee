//! What every step of a run has in common, whatever its length.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use codec::Codec;
use model::{AdamWConfig, Head, LlamaConfig, NumericProfile};
use serde::{Deserialize, Serialize};

/// Added to the mean square in norms, as in Llama 2 and 3.
const RMS_NORM_EPS: f64 = 1e-5;
/// Standard deviation of fresh weights, as in GPT-2 and Llama.
const INITIALIZER_RANGE: f64 = 0.02;
/// A feed-forward width that is not given is rounded up to a multiple of this.
const INTERMEDIATE_MULTIPLE: usize = 64;

/// Shape of a Llama, named as in published configs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelShape {
    /// Width of the residual stream; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads; `hidden_size / num_attention_heads` is even.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`, and is the same if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width inside the feed-forward block. `None` is 8/3 of `hidden_size`, rounded up to a multiple of 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Longest sequence that the model will read, in tokens. `None` is `seq_len`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_position_embeddings: Option<usize>,
    /// Base of the rotary frequencies; above 0.
    pub rope_theta: f64,
    /// Whether the output projection is the embedding itself, which saves `vocab_size * hidden_size` parameters.
    pub tie_word_embeddings: bool,
}

impl Default for ModelShape {
    fn default() -> Self {
        Self {
            hidden_size: 256,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: None,
            intermediate_size: None,
            max_position_embeddings: None,
            rope_theta: 10_000.0,
            tie_word_embeddings: true,
        }
    }
}

impl ModelShape {
    /// With what is not given filled in, for sequences of `seq_len` tokens.
    pub fn resolved(&self, seq_len: usize) -> Self {
        let wide = self.hidden_size.saturating_mul(8).div_ceil(3);
        Self {
            num_key_value_heads: Some(self.num_key_value_heads.unwrap_or(self.num_attention_heads)),
            intermediate_size: Some(self.intermediate_size.unwrap_or(
                wide.saturating_add(INTERMEDIATE_MULTIPLE - 1) / INTERMEDIATE_MULTIPLE
                    * INTERMEDIATE_MULTIPLE,
            )),
            max_position_embeddings: Some(self.max_position_embeddings.unwrap_or(seq_len)),
            ..self.clone()
        }
    }

    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self, seq_len: usize) -> Result<(), String> {
        let heads = self.num_attention_heads;
        if heads == 0 || !self.hidden_size.is_multiple_of(heads) {
            return Err(format!(
                "`model.hidden_size` is {}, expected a multiple of `model.num_attention_heads`, {heads}",
                self.hidden_size
            ));
        }
        if let Some(most) = self.max_position_embeddings.filter(|most| *most < seq_len) {
            return Err(format!(
                "`seq_len` is {seq_len}, expected at most `model.max_position_embeddings`, {most}"
            ));
        }
        self.config(1, seq_len).validate().map_err(|error| format!("`model`: {error}"))
    }

    /// The config of a causal model with `vocab_size` tokens, none of them special.
    fn config(&self, vocab_size: usize, seq_len: usize) -> LlamaConfig {
        let shape = self.resolved(seq_len);
        LlamaConfig {
            vocab_size,
            hidden_size: shape.hidden_size,
            intermediate_size: shape.intermediate_size.unwrap_or_default(),
            num_hidden_layers: shape.num_hidden_layers,
            num_attention_heads: shape.num_attention_heads,
            num_key_value_heads: shape.num_key_value_heads.unwrap_or_default(),
            head_dim: shape.hidden_size / shape.num_attention_heads.max(1),
            max_position_embeddings: shape.max_position_embeddings.unwrap_or_default(),
            rope_theta: shape.rope_theta,
            rms_norm_eps: RMS_NORM_EPS,
            initializer_range: INITIALIZER_RANGE,
            tie_word_embeddings: shape.tie_word_embeddings,
            bos_token_id: None,
            eos_token_id: Vec::new(),
            pad_token_id: None,
            head: Head::CausalLm,
        }
    }
}

/// What every step of a run has in common: the config of a phase without schedule lengths.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Shape of the model, resolved.
    pub model: ModelShape,
    /// Tokens of a sequence.
    pub seq_len: NonZeroUsize,
    /// Sequences of a micro-batch.
    pub micro_batch_size: NonZeroU32,
    /// Micro-batches of an optimizer step.
    pub micro_batches_per_step: NonZeroU32,
    /// Learning rate between warm-up and decay.
    pub peak_lr: f64,
    /// Constants of AdamW.
    pub optimizer: AdamWConfig,
    /// Optimizer steps between evaluations.
    pub eval_every: NonZeroU64,
    /// Most sequences of an evaluation.
    pub eval_sequences: NonZeroU64,
    /// Optimizer steps between training lines.
    pub log_every: NonZeroU64,
    /// Seed of fresh weights and of the order of sequences.
    pub seed: u64,
    /// The arithmetic.
    pub numeric_profile: NumericProfile,
}

impl Recipe {
    /// Sequences of an optimizer step.
    pub fn sequences_per_step(&self) -> u64 {
        u64::from(self.micro_batch_size.get()) * u64::from(self.micro_batches_per_step.get())
    }

    /// Tokens of an optimizer step.
    pub fn tokens_per_step(&self) -> u64 {
        self.sequences_per_step().saturating_mul(self.seq_len.get() as u64)
    }

    /// The config of the model over this vocabulary.
    pub fn llama(&self, codec: &Codec) -> LlamaConfig {
        LlamaConfig {
            bos_token_id: codec.bos(),
            eos_token_id: codec.eos().into_iter().collect(),
            pad_token_id: codec.pad(),
            ..self.model.config(codec.vocab_size(), self.seq_len.get())
        }
    }
}
