//! The shape of a GPT-2.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    CONFIG_FILE, Head,
    check::Check,
    keys::{Keys, object, one_or_many, write},
};
use crate::error::Result;

/// What the names of its classes in `transformers` begin with.
pub(crate) const FAMILY: &str = "GPT2";

/// The heads that are implemented.
const HEADS: [&str; 4] =
    ["Model", "LMHeadModel", "ForSequenceClassification", "ForTokenClassification"];

/// Shape and constants of a GPT-2; fields are named as in published configs.
///
/// Source: `transformers` 5, `GPT2Config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Config {
    /// Rows of the embedding of tokens.
    pub vocab_size: usize,
    /// Longest sequence, in tokens: rows of the embedding of positions.
    pub n_positions: usize,
    /// Width of the residual stream; a multiple of `n_head`.
    pub n_embd: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Heads.
    pub n_head: usize,
    /// Width inside the feed-forward block; `None` is four times `n_embd`.
    pub n_inner: Option<usize>,
    /// Between the two matrices of the feed-forward block.
    pub activation_function: Activation,
    /// Added to the variance under the root.
    pub layer_norm_epsilon: f64,
    /// Standard deviation of fresh matrices. Those that write to the residual stream have it over `√(2 n_layer)`.
    pub initializer_range: f64,
    /// Share of what a branch adds to the residual stream that is dropped in training, from 0, below 1.
    pub resid_pdrop: f64,
    /// Share of the embedded tokens that is dropped in training, from 0, below 1.
    pub embd_pdrop: f64,
    /// Share of attention that is dropped in training, from 0, below 1.
    pub attn_pdrop: f64,
    /// Share of what a classifier reads that is dropped in training, from 0, below 1. `None` is 0, where `transformers` drops 0.1 before a classifier of
    /// tokens.
    pub classifier_dropout: Option<f64>,
    /// The output projection is the embedding of tokens itself, stored once.
    pub tie_word_embeddings: bool,
    /// Begins a sequence; `None` where the vocabulary has no such token.
    pub bos_token_id: Option<u32>,
    /// Ends a sequence; empty where the vocabulary has no such token.
    pub eos_token_id: Vec<u32>,
    /// Fills batches in other programs; we never pad.
    pub pad_token_id: Option<u32>,
    /// What stands on top.
    pub head: Head,
}

/// The two forms of GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// By `tanh`: `gelu_new`, and `gelu_pytorch_tanh`, which is the same.
    GeluNew,
    /// Exact: `gelu`.
    Gelu,
}

impl Activation {
    /// Its names, the one that is written first.
    const NAMES: [(&str, Self); 3] =
        [("gelu_new", Self::GeluNew), ("gelu", Self::Gelu), ("gelu_pytorch_tanh", Self::GeluNew)];

    fn read(keys: &Keys) -> Result<Self> {
        let key = "activation_function";
        let found = keys.only(key, &Self::NAMES.map(|(name, _)| name))?;
        let named = Self::NAMES.iter().find(|(name, _)| Some(*name) == found);
        Ok(named.map_or(Self::GeluNew, |(_, activation)| *activation))
    }

    fn name(self) -> &'static str {
        match self {
            Self::GeluNew => "gelu_new",
            Self::Gelu => "gelu",
        }
    }
}

impl Gpt2Config {
    /// Reads `config.json`; `file` names it in errors. Unknown keys are ignored.
    ///
    /// Sizes may have the names that other families give them (`hidden_size` for `n_embd`), as in `transformers`.
    ///
    /// # Errors
    /// When it is not JSON, when a key is missing or of another type, and when it asks for something that is not
    /// implemented: another activation than GELU, other scales of attention, cross attention.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self> {
        let object = object(bytes, file)?;
        let keys = Keys { file, object: &object };
        reject_unimplemented(&keys)?;
        let size = |key: &str, other: &str| match keys.count(other)? {
            Some(size) if keys.get(key).is_none() => Ok(size),
            _ => keys.required(key),
        };
        let share = |key: &str| Ok(keys.number(key)?.unwrap_or(0.1));
        let config = Self {
            vocab_size: keys.required("vocab_size")?,
            n_positions: size("n_positions", "max_position_embeddings")?,
            n_embd: size("n_embd", "hidden_size")?,
            n_layer: size("n_layer", "num_hidden_layers")?,
            n_head: size("n_head", "num_attention_heads")?,
            n_inner: keys.count("n_inner")?,
            activation_function: Activation::read(&keys)?,
            layer_norm_epsilon: keys.number("layer_norm_epsilon")?.unwrap_or(1e-5),
            initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
            resid_pdrop: share("resid_pdrop")?,
            embd_pdrop: share("embd_pdrop")?,
            attn_pdrop: share("attn_pdrop")?,
            classifier_dropout: keys.number("classifier_dropout")?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(true),
            bos_token_id: keys.token_ids("bos_token_id")?.first().copied(),
            eos_token_id: keys.token_ids("eos_token_id")?,
            pad_token_id: keys.token_ids("pad_token_id")?.first().copied(),
            head: keys.head(FAMILY, &HEADS, Head::CausalLm)?,
        };
        config.validate_as(file)?;
        Ok(config)
    }

    /// `config.json` in a form that transformers 4 and 5 both read; ends with a newline, keys in alphabetical order.
    pub fn to_json(&self) -> String {
        let constant = json!({
            "activation_function": self.activation_function.name(),
            "architectures": [self.head.architecture(FAMILY)],
            "attn_pdrop": self.attn_pdrop,
            "bos_token_id": self.bos_token_id,
            "dtype": "float32",
            "embd_pdrop": self.embd_pdrop,
            "eos_token_id": one_or_many(&self.eos_token_id),
            "initializer_range": self.initializer_range,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "model_type": "gpt2",
            "n_embd": self.n_embd,
            "n_head": self.n_head,
            "n_inner": self.n_inner,
            "n_layer": self.n_layer,
            "n_positions": self.n_positions,
            "pad_token_id": self.pad_token_id,
            "reorder_and_upcast_attn": false,
            "resid_pdrop": self.resid_pdrop,
            "scale_attn_by_inverse_layer_idx": false,
            "scale_attn_weights": true,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float32",
            "vocab_size": self.vocab_size,
        });
        write(constant, self.classifier_dropout, &self.head)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad key, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        self.validate_as(Path::new(CONFIG_FILE))
    }

    /// The same body under another head.
    ///
    /// The end of text is no padding under a classifier of sequences, for the reason that [`LlamaConfig::with_head`]
    /// gives.
    ///
    /// [`LlamaConfig::with_head`]: crate::LlamaConfig::with_head
    #[must_use]
    pub fn with_head(self, head: Head) -> Self {
        let is_pooled = matches!(head, Head::SequenceClassification { .. });
        let is_end = |pad: &u32| self.eos_token_id.contains(pad);
        let pad_token_id = self.pad_token_id.filter(|pad| !(is_pooled && is_end(pad)));
        Self { head, pad_token_id, ..self }
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.n_embd / self.n_head
    }

    /// Width inside the feed-forward block.
    pub fn inner_size(&self) -> usize {
        self.n_inner.unwrap_or_else(|| self.n_embd.saturating_mul(4))
    }

    fn validate_as(&self, file: &Path) -> Result<()> {
        let check = Check { file };
        check.counts(&[
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_inner", self.inner_size()),
        ])?;
        check.that(
            "n_embd",
            self.n_embd.is_multiple_of(self.n_head),
            self.n_embd,
            &format!("a multiple of n_head, {}", self.n_head),
        )?;
        check.positive("layer_norm_epsilon", self.layer_norm_epsilon)?;
        check.not_negative("initializer_range", self.initializer_range)?;
        for (key, share) in [
            ("resid_pdrop", self.resid_pdrop),
            ("embd_pdrop", self.embd_pdrop),
            ("attn_pdrop", self.attn_pdrop),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ] {
            check.rate(key, share)?;
        }
        check.ids("bos_token_id", self.bos_token_id.as_slice(), self.vocab_size)?;
        check.ids("eos_token_id", &self.eos_token_id, self.vocab_size)?;
        check.ids("pad_token_id", self.pad_token_id.as_slice(), self.vocab_size)?;
        check.head(&self.head, FAMILY, &HEADS)
    }
}

fn reject_unimplemented(keys: &Keys) -> Result<()> {
    keys.only("model_type", &["gpt2"])?;
    for (key, implemented) in [
        ("scale_attn_weights", true),
        ("scale_attn_by_inverse_layer_idx", false),
        ("reorder_and_upcast_attn", false),
        ("add_cross_attention", false),
    ] {
        if keys.flag(key)?.is_some_and(|found| found != implemented) {
            return keys.refuse(key, &Value::Bool(!implemented), &implemented.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = r#"{"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.2, "eos_token_id": 50256,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768,
        "n_head": 12, "n_layer": 6, "n_positions": 1024, "resid_pdrop": 0.3, "summary_activation": null,
        "summary_first_dropout": 0.1, "task_specific_params": {"text-generation": {"do_sample": true}},
        "use_cache": true, "vocab_size": 50257}"#;

    fn read(json: &str) -> Result<Gpt2Config> {
        Gpt2Config::from_json(json.as_bytes(), Path::new("m/config.json"))
    }

    #[track_caller]
    fn refused(from: &str, to: &str, message: &str) {
        assert!(PUBLISHED.contains(from), "{from}");
        assert_eq!(read(&PUBLISHED.replace(from, to)).unwrap_err().to_string(), message);
    }

    #[test]
    fn published_configs_and_the_names_of_other_families_are_read() {
        let config = read(PUBLISHED).unwrap();
        assert_eq!(
            (config.head_dim(), config.inner_size(), &config.head),
            (64, 3072, &Head::CausalLm)
        );
        assert_eq!((config.embd_pdrop, config.resid_pdrop, config.attn_pdrop), (0.2, 0.3, 0.1));
        assert!(config.tie_word_embeddings);
        let mut renamed = PUBLISHED.to_owned();
        for (own, other) in [
            ("n_embd", "hidden_size"),
            ("n_head", "num_attention_heads"),
            ("n_layer", "num_hidden_layers"),
            ("n_positions", "max_position_embeddings"),
        ] {
            renamed = renamed.replace(own, other);
        }
        assert_eq!(read(&renamed).unwrap(), config);
    }

    #[test]
    fn written_configs_are_read_back_equal() {
        let mut config = read(PUBLISHED).unwrap();
        let labels = vec!["no".to_owned(), "yes".to_owned()];
        for head in [
            Head::Body,
            Head::CausalLm,
            Head::SequenceClassification { labels: labels.clone() },
            Head::TokenClassification { labels },
        ] {
            config.head = head;
            config.classifier_dropout = config.head.labels().map(|_| 0.2);
            assert_eq!(read(&config.to_json()).unwrap(), config);
        }
        config.activation_function = Activation::Gelu;
        (config.n_inner, config.tie_word_embeddings) = (Some(100), false);
        assert_eq!(read(&config.to_json()).unwrap(), config);
        let by_another_name = PUBLISHED.replace("gelu_new", "gelu_pytorch_tanh");
        assert_eq!(read(&by_another_name).unwrap(), read(PUBLISHED).unwrap());
    }

    #[test]
    fn what_is_not_implemented_is_refused() {
        refused(
            "gelu_new",
            "relu",
            "m/config.json: `activation_function` is \"relu\"; expected [\"gelu_new\", \"gelu\", \
             \"gelu_pytorch_tanh\"]",
        );
        for key in
            ["scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention"]
        {
            let message = format!("m/config.json: `{key}` is true; expected false");
            refused("use_cache", key, &message);
        }
        refused(
            "\"use_cache\": true",
            "\"scale_attn_weights\": false",
            "m/config.json: `scale_attn_weights` is false; expected true",
        );
        refused(
            "GPT2LMHeadModel",
            "GPT2ForCausalLM",
            "m/config.json: `architectures` is [\"GPT2ForCausalLM\"]; expected [\"GPT2Model\"] or \
             [\"GPT2LMHeadModel\"] or [\"GPT2ForSequenceClassification\"] or [\"GPT2ForTokenClassification\"]",
        );
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        refused(
            "\"n_head\": 12",
            "\"n_head\": 10",
            "m/config.json: `n_embd` is 768; expected a multiple of n_head, 10",
        );
        refused(
            "\"resid_pdrop\": 0.3",
            "\"resid_pdrop\": 1",
            "m/config.json: `resid_pdrop` is 1; expected 0 or more and below 1",
        );
        refused(
            "\"n_layer\": 6",
            "\"layers\": 6",
            "m/config.json: `n_layer` is null; expected a whole number",
        );
    }
}
