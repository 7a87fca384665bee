//! What every step of a run has in common, whatever its length.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use codec::Codec;
use model::{
    Activation, BertConfig, Gpt2Config, Head, LlamaConfig, ModelConfig, NumericProfile,
    OptimizerConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::is_zero;
use crate::mask::Mask;

/// Added to the mean square in norms, as in Llama 2 and 3.
const RMS_NORM_EPS: f64 = 1e-5;
/// Added to the variance in norms, as in BERT.
const LAYER_NORM_EPS: f64 = 1e-12;
/// The same, as in GPT-2.
const LAYER_NORM_EPSILON: f64 = 1e-5;
/// Base of the rotary frequencies, as in Llama 2.
const ROPE_THETA: f64 = 10_000.0;
/// Token types, as in BERT: pre-training shows the first only.
const TYPE_VOCAB_SIZE: usize = 2;
/// Special tokens around the text of a sequence of masked tokens, and among `seq_len`.
pub const FRAME_TOKENS: usize = 2;
/// Standard deviation of fresh weights, as in GPT-2, Llama and BERT.
const INITIALIZER_RANGE: f64 = 0.02;
/// A feed-forward width that is not given is rounded up to a multiple of this.
const INTERMEDIATE_MULTIPLE: usize = 64;

/// Families of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Rotary positions, root-mean-square norms, SwiGLU; reads to the left.
    #[default]
    Llama,
    /// Learned positions, layer norms, GELU, biases; reads both ways.
    Bert,
    /// Learned positions, layer norms before each part, GELU by tanh, biases; reads to the left.
    Gpt2,
}

impl Family {
    fn is_llama(&self) -> bool {
        *self == Self::Llama
    }
}

/// Shape of a model, named as in published configs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelShape {
    /// The family.
    #[serde(skip_serializing_if = "Family::is_llama")]
    pub family: Family,
    /// Width of the hidden states; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads; of a Llama, `hidden_size / num_attention_heads` is even.
    pub num_attention_heads: usize,
    /// Key and value heads of a Llama; divides `num_attention_heads`, and is the same if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width inside the feed-forward block. `None` is 8/3 of `hidden_size`, rounded up to a multiple of 64; of a BERT or a
    /// GPT-2, 4 times `hidden_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Longest sequence that the model will read, in tokens. `None` is `seq_len`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_position_embeddings: Option<usize>,
    /// Base of the rotary frequencies of a Llama; above 0. `None` is 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Whether the output projection of a Llama or a GPT-2 is the embedding itself, which saves `vocab_size * hidden_size`
    /// parameters. `None` is that it is; a BERT's always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tie_word_embeddings: Option<bool>,
}

impl Default for ModelShape {
    fn default() -> Self {
        Self {
            family: Family::Llama,
            hidden_size: 256,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: None,
            intermediate_size: None,
            max_position_embeddings: None,
            rope_theta: None,
            tie_word_embeddings: None,
        }
    }
}

impl ModelShape {
    /// With what is not given filled in, for sequences of `seq_len` tokens.
    pub fn resolved(&self, seq_len: usize) -> Self {
        let wide = self.hidden_size.saturating_mul(8).div_ceil(3);
        let rounded = wide.saturating_add(INTERMEDIATE_MULTIPLE - 1) / INTERMEDIATE_MULTIPLE
            * INTERMEDIATE_MULTIPLE;
        let shape = Self {
            max_position_embeddings: Some(self.max_position_embeddings.unwrap_or(seq_len)),
            ..self.clone()
        };
        let or = |default: usize| Some(self.intermediate_size.unwrap_or(default));
        match self.family {
            Family::Bert => {
                Self { intermediate_size: or(self.hidden_size.saturating_mul(4)), ..shape }
            }
            Family::Gpt2 => Self {
                intermediate_size: or(self.hidden_size.saturating_mul(4)),
                tie_word_embeddings: Some(self.tie_word_embeddings.unwrap_or(true)),
                ..shape
            },
            Family::Llama => Self {
                num_key_value_heads: Some(
                    self.num_key_value_heads.unwrap_or(self.num_attention_heads),
                ),
                intermediate_size: or(rounded),
                rope_theta: Some(self.rope_theta.unwrap_or(ROPE_THETA)),
                tie_word_embeddings: Some(self.tie_word_embeddings.unwrap_or(true)),
                ..shape
            },
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
        let (llama, gpt2) = ([Family::Llama].as_slice(), [Family::Llama, Family::Gpt2].as_slice());
        let of_some = [
            ("num_key_value_heads", self.num_key_value_heads.is_some(), llama),
            ("rope_theta", self.rope_theta.is_some(), llama),
            ("tie_word_embeddings", self.tie_word_embeddings.is_some(), gpt2),
        ];
        let is_foreign =
            |(_, given, of): &&(_, bool, &[Family])| *given && !of.contains(&self.family);
        if let Some((field, ..)) = of_some.iter().find(is_foreign) {
            return Err(format!("`model.{field}` belongs to `model.family = \"llama\"`"));
        }
        self.config(1, seq_len).validate().map_err(|error| format!("`model`: {error}"))
    }

    /// The config of a language model with `vocab_size` tokens, none of them special.
    fn config(&self, vocab_size: usize, seq_len: usize) -> ModelConfig {
        let shape = self.resolved(seq_len);
        match self.family {
            Family::Llama => ModelConfig::Llama(LlamaConfig {
                vocab_size,
                hidden_size: shape.hidden_size,
                intermediate_size: shape.intermediate_size.unwrap_or_default(),
                num_hidden_layers: shape.num_hidden_layers,
                num_attention_heads: shape.num_attention_heads,
                num_key_value_heads: shape.num_key_value_heads.unwrap_or_default(),
                head_dim: shape.hidden_size / shape.num_attention_heads.max(1),
                max_position_embeddings: shape.max_position_embeddings.unwrap_or_default(),
                rope_theta: shape.rope_theta.unwrap_or_default(),
                rms_norm_eps: RMS_NORM_EPS,
                initializer_range: INITIALIZER_RANGE,
                attention_dropout: 0.0,
                classifier_dropout: None,
                tie_word_embeddings: shape.tie_word_embeddings.unwrap_or_default(),
                bos_token_id: None,
                eos_token_id: Vec::new(),
                pad_token_id: None,
                head: Head::CausalLm,
            }),
            Family::Bert => ModelConfig::Bert(BertConfig {
                vocab_size,
                hidden_size: shape.hidden_size,
                intermediate_size: shape.intermediate_size.unwrap_or_default(),
                num_hidden_layers: shape.num_hidden_layers,
                num_attention_heads: shape.num_attention_heads,
                max_position_embeddings: shape.max_position_embeddings.unwrap_or_default(),
                type_vocab_size: TYPE_VOCAB_SIZE,
                layer_norm_eps: LAYER_NORM_EPS,
                initializer_range: INITIALIZER_RANGE,
                hidden_dropout_prob: 0.0,
                attention_probs_dropout_prob: 0.0,
                classifier_dropout: None,
                pad_token_id: None,
                pooler: true,
                head: Head::MaskedLm,
            }),
            Family::Gpt2 => ModelConfig::Gpt2(Gpt2Config {
                vocab_size,
                n_positions: shape.max_position_embeddings.unwrap_or_default(),
                n_embd: shape.hidden_size,
                n_layer: shape.num_hidden_layers,
                n_head: shape.num_attention_heads,
                n_inner: shape.intermediate_size,
                activation_function: Activation::GeluNew,
                layer_norm_epsilon: LAYER_NORM_EPSILON,
                initializer_range: INITIALIZER_RANGE,
                resid_pdrop: 0.0,
                embd_pdrop: 0.0,
                attn_pdrop: 0.0,
                classifier_dropout: None,
                tie_word_embeddings: shape.tie_word_embeddings.unwrap_or_default(),
                bos_token_id: None,
                eos_token_id: Vec::new(),
                pad_token_id: None,
                head: Head::CausalLm,
            }),
        }
    }
}

/// What every step of a run has in common: the config of a phase without schedule lengths.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Which tokens are to be guessed; absent where every next token is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
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
    /// The optimizer and its constants.
    pub optimizer: OptimizerConfig,
    /// Probability of numbers to be dropped in training.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropout: f64,
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
    /// Whether the backward pass makes activations again; not in the key, for it changes no byte.
    #[serde(skip)]
    pub recompute: bool,
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

    /// Tokens of the shards in a sequence.
    pub fn text_len(&self) -> usize {
        let frame = if self.mask.is_some() { FRAME_TOKENS } else { 0 };
        self.seq_len.get() - frame
    }

    /// The config of the model over this vocabulary.
    pub fn model_config(&self, codec: &Codec) -> ModelConfig {
        let config = self.model.config(codec.vocab_size(), self.seq_len.get());
        // Without dropout, what a classifier would drop is not said either.
        let config =
            if is_zero(&self.dropout) { config } else { config.with_dropout(self.dropout) };
        match config {
            ModelConfig::Llama(config) => ModelConfig::Llama(LlamaConfig {
                bos_token_id: codec.bos(),
                eos_token_id: codec.eos().into_iter().collect(),
                pad_token_id: codec.pad(),
                ..config
            }),
            ModelConfig::Bert(config) => {
                ModelConfig::Bert(BertConfig { pad_token_id: codec.pad(), ..config })
            }
            ModelConfig::Gpt2(config) => ModelConfig::Gpt2(Gpt2Config {
                bos_token_id: codec.bos(),
                eos_token_id: codec.eos().into_iter().collect(),
                pad_token_id: codec.pad(),
                ..config
            }),
        }
    }
}
