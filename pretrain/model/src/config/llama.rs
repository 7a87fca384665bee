//! The shape of a Llama.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    CONFIG_FILE, Head,
    check::Check,
    keys::{Keys, object, one_or_many, write},
};
use crate::error::Result;

/// What the names of its classes in `transformers` begin with.
pub(crate) const FAMILY: &str = "Llama";

/// The heads that are implemented.
const HEADS: [&str; 3] = ["ForCausalLM", "ForSequenceClassification", "ForTokenClassification"];

/// Shape and constants of a Llama; fields are named as in published configs.
///
/// Source: `transformers` 5, `LlamaConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even, because rotary turns pairs.
    pub head_dim: usize,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Added to the mean square under the root.
    pub rms_norm_eps: f64,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Share of attention that is dropped in training, from 0, below 1.
    pub attention_dropout: f64,
    /// Share of what a classifier reads that is dropped in training, from 0, below 1. `None` is 0, where `transformers` drops 0.1 before a classifier of
    /// tokens.
    pub classifier_dropout: Option<f64>,
    /// The output projection is the embedding itself, stored once.
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

impl LlamaConfig {
    /// Reads `config.json`; `file` names it in errors. Unknown keys are ignored.
    ///
    /// Both spellings are read: `rope_theta` and `torch_dtype` of transformers 4, `rope_parameters` and `dtype` of 5.
    ///
    /// # Errors
    /// When it is not JSON, when a key is missing or of another type, and when it asks for something that is not
    /// implemented: bias, scaled rotary, another activation.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self> {
        let object = object(bytes, file)?;
        let keys = Keys { file, object: &object };
        reject_unimplemented(&keys)?;
        let hidden_size = keys.required("hidden_size")?;
        let num_attention_heads = keys.required("num_attention_heads")?;
        let config = Self {
            vocab_size: keys.required("vocab_size")?,
            hidden_size,
            intermediate_size: keys.required("intermediate_size")?,
            num_hidden_layers: keys.required("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: keys.count("num_key_value_heads")?.unwrap_or(num_attention_heads),
            head_dim: keys
                .count("head_dim")?
                .unwrap_or_else(|| hidden_size.checked_div(num_attention_heads).unwrap_or(0)),
            max_position_embeddings: keys.count("max_position_embeddings")?.unwrap_or(2048),
            rope_theta: rope_theta(&keys)?,
            rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
            initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
            attention_dropout: keys.number("attention_dropout")?.unwrap_or(0.0),
            classifier_dropout: keys.number("classifier_dropout")?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
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
            "architectures": [self.head.architecture(FAMILY)],
            "attention_bias": false,
            "attention_dropout": self.attention_dropout,
            "bos_token_id": self.bos_token_id,
            "dtype": "float32",
            "eos_token_id": one_or_many(&self.eos_token_id),
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": { "rope_theta": self.rope_theta, "rope_type": "default" },
            "rope_theta": self.rope_theta,
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
    /// `transformers` pools the last token that is not padding: were the end of text that too, a classifier would pass
    /// over it. So it is no padding there.
    #[must_use]
    pub fn with_head(self, head: Head) -> Self {
        let pad_token_id = match head {
            Head::SequenceClassification { .. } => {
                self.pad_token_id.filter(|pad| !self.eos_token_id.contains(pad))
            }
            _ => self.pad_token_id,
        };
        Self { head, pad_token_id, ..self }
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    pub(super) fn validate_as(&self, file: &Path) -> Result<()> {
        let check = Check { file };
        check.counts(&[
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ])?;
        let heads = self.num_attention_heads;
        check.that(
            "num_key_value_heads",
            heads.is_multiple_of(self.num_key_value_heads),
            self.num_key_value_heads,
            &format!("a divisor of num_attention_heads, {heads}"),
        )?;
        check.that(
            "head_dim",
            self.head_dim.is_multiple_of(2),
            self.head_dim,
            "an even number, for rotary turns pairs",
        )?;
        check.positive("rope_theta", self.rope_theta)?;
        check.positive("rms_norm_eps", self.rms_norm_eps)?;
        check.not_negative("initializer_range", self.initializer_range)?;
        check.rate("attention_dropout", self.attention_dropout)?;
        check.rate("classifier_dropout", self.classifier_dropout.unwrap_or(0.0))?;
        check.ids("bos_token_id", self.bos_token_id.as_slice(), self.vocab_size)?;
        check.ids("eos_token_id", &self.eos_token_id, self.vocab_size)?;
        check.ids("pad_token_id", self.pad_token_id.as_slice(), self.vocab_size)?;
        check.head(&self.head, FAMILY, &HEADS)
    }
}

fn reject_unimplemented(keys: &Keys) -> Result<()> {
    keys.only("model_type", &["llama"])?;
    keys.only("hidden_act", &["silu"])?;
    for key in ["attention_bias", "mlp_bias"] {
        if keys.flag(key)? == Some(true) {
            return keys.refuse(key, &Value::Bool(true), "false");
        }
    }
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(scaling) = keys.get(key) else { continue };
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        if kind.is_some_and(|kind| kind != "default") {
            return keys.refuse(key, scaling, "rope_type \"default\"");
        }
    }
    Ok(())
}

/// The base of the rotary frequencies, as transformers 5 or 4 spells it.
fn rope_theta(keys: &Keys) -> Result<f64> {
    let nested = keys.get("rope_parameters").and_then(|parameters| parameters.get("rope_theta"));
    match nested {
        Some(value) => value
            .as_f64()
            .map_or_else(|| keys.refuse("rope_parameters.rope_theta", value, "a number"), Ok),
        None => Ok(keys.number("rope_theta")?.unwrap_or(10_000.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 97,
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 3, "max_position_embeddings": 32, "rope_theta": 500.5, "rope_scaling": null,
        "rms_norm_eps": 1e-05, "tie_word_embeddings": true, "torch_dtype": "float32", "bos_token_id": 1,
        "eos_token_id": 2, "use_cache": true, "no_such_key": [1]}"#;

    fn read(json: &str) -> Result<LlamaConfig> {
        LlamaConfig::from_json(json.as_bytes(), Path::new("m/config.json"))
    }

    #[track_caller]
    fn refused(from: &str, to: &str, message: &str) {
        assert!(OLD.contains(from), "{from}");
        assert_eq!(read(&OLD.replace(from, to)).unwrap_err().to_string(), message);
    }

    #[test]
    fn both_spellings_of_rotary_are_read() {
        let old = read(OLD).unwrap();
        assert_eq!((old.rope_theta, old.head_dim, old.num_key_value_heads), (500.5, 4, 3));
        let new = OLD.replace(
            "\"rope_theta\": 500.5, \"rope_scaling\": null",
            "\"rope_parameters\": {\"rope_theta\": 500.5, \"rope_type\": \"default\"}",
        );
        assert_eq!(read(&new).unwrap(), old);
    }

    #[test]
    fn written_configs_are_read_back_equal() {
        let mut config = read(OLD).unwrap();
        assert_eq!(read(&config.to_json()).unwrap(), config);
        config.head = Head::SequenceClassification { labels: vec!["no".into(), "yes".into()] };
        config.eos_token_id = vec![2, 3];
        config.pad_token_id = Some(0);
        (config.attention_dropout, config.classifier_dropout) = (0.25, Some(0.5));
        assert_eq!(read(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn what_is_not_implemented_is_refused() {
        refused(
            "\"use_cache\": true",
            "\"attention_bias\": true",
            "m/config.json: `attention_bias` is true; expected false",
        );
        refused(
            "\"rope_scaling\": null",
            "\"rope_scaling\": {\"rope_type\": \"llama3\"}",
            "m/config.json: `rope_scaling` is {\"rope_type\":\"llama3\"}; expected rope_type \"default\"",
        );
        refused(
            "\"use_cache\": true",
            "\"hidden_act\": \"gelu\"",
            "m/config.json: `hidden_act` is \"gelu\"; expected [\"silu\"]",
        );
        refused(
            "\"use_cache\": true",
            "\"attention_dropout\": 1.0",
            "m/config.json: `attention_dropout` is 1; expected 0 or more and below 1",
        );
        refused(
            "LlamaForCausalLM",
            "LlamaModel",
            "m/config.json: `architectures` is [\"LlamaModel\"]; expected [\"LlamaForCausalLM\"] or \
             [\"LlamaForSequenceClassification\"] or [\"LlamaForTokenClassification\"]",
        );
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        refused(
            "\"num_key_value_heads\": 3",
            "\"num_key_value_heads\": 4",
            "m/config.json: `num_key_value_heads` is 4; expected a divisor of num_attention_heads, 6",
        );
        refused(
            "\"hidden_size\": 24",
            "\"hidden_size\": 18",
            "m/config.json: `head_dim` is 3; expected an even number, for rotary turns pairs",
        );
        refused(
            "\"num_attention_heads\": 6",
            "\"num_attention_heads\": 0",
            "m/config.json: `num_attention_heads` is 0; expected 1 to 2^31 - 1",
        );
        refused(
            "\"vocab_size\": 97",
            "\"vocab_size\": -97",
            "m/config.json: `vocab_size` is -97; expected a whole number",
        );
        refused(
            "\"eos_token_id\": 2",
            "\"eos_token_id\": 97",
            "m/config.json: `eos_token_id` is 97; expected an id below vocab_size, 97",
        );
    }
}
