//! The shape of a Llama, read from and written to Hugging Face's `config.json`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::error::{ModelError, Result};

/// Name of the file inside a model directory.
pub const CONFIG_FILE: &str = "config.json";

/// What stands on top of the last hidden state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// `LlamaForCausalLM`: the next token.
    CausalLm,
    /// `LlamaForSequenceClassification`: one class of the whole sequence, by name, in the order of their ids.
    SequenceClassification {
        /// Names of the classes; at least one.
        labels: Vec<String>,
    },
}

impl Head {
    /// The class of `transformers` that loads such a model.
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::CausalLm => "LlamaForCausalLM",
            Self::SequenceClassification { .. } => "LlamaForSequenceClassification",
        }
    }
}

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
    /// implemented: bias, scaled rotary, another activation, dropout.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self> {
        let object: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|source| ModelError::Json { file: file.to_owned(), source })?;
        let keys = Keys { file, object: &object };
        keys.reject_unimplemented()?;
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
            rope_theta: keys.rope_theta()?,
            rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
            initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: keys.token_ids("bos_token_id")?.first().copied(),
            eos_token_id: keys.token_ids("eos_token_id")?,
            pad_token_id: keys.token_ids("pad_token_id")?.first().copied(),
            head: keys.head()?,
        };
        config.validate_as(file)?;
        Ok(config)
    }

    /// `config.json` in a form that transformers 4 and 5 both read; ends with a newline, keys in alphabetical order.
    pub fn to_json(&self) -> String {
        let constant = json!({
            "architectures": [self.head.architecture()],
            "attention_bias": false,
            "attention_dropout": 0.0,
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
        // Sorted maps all the way, so that the bytes do not depend on the features serde_json is built with.
        let mut keys: BTreeMap<String, Value> =
            constant.as_object().cloned().into_iter().flatten().collect();
        if let Head::SequenceClassification { labels } = &self.head {
            let named = || labels.iter().enumerate();
            let id2label: BTreeMap<_, _> =
                named().map(|(id, label)| (id.to_string(), label)).collect();
            let label2id: BTreeMap<_, _> = named().map(|(id, label)| (label, id)).collect();
            keys.insert("id2label".to_owned(), json!(id2label));
            keys.insert("label2id".to_owned(), json!(label2id));
            keys.insert("problem_type".to_owned(), json!("single_label_classification"));
        }
        format!("{:#}\n", json!(keys))
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad key, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        self.validate_as(Path::new(CONFIG_FILE))
    }

    /// Number of classes, or `None` for a causal model.
    pub fn num_labels(&self) -> Option<usize> {
        match &self.head {
            Head::CausalLm => None,
            Head::SequenceClassification { labels } => Some(labels.len()),
        }
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    fn validate_as(&self, file: &Path) -> Result<()> {
        let check = |key: &str, holds: bool, found: String, expected: &str| {
            if holds { Ok(()) } else { Err(refusal(file, key, found, expected)) }
        };
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            check(key, (1..=MAX_COUNT).contains(&value), value.to_string(), "1 to 2^31 - 1")?;
        }
        let heads = self.num_attention_heads;
        check(
            "num_key_value_heads",
            heads.is_multiple_of(self.num_key_value_heads),
            self.num_key_value_heads.to_string(),
            &format!("a divisor of num_attention_heads, {heads}"),
        )?;
        check(
            "head_dim",
            self.head_dim.is_multiple_of(2),
            self.head_dim.to_string(),
            "an even number, for rotary turns pairs",
        )?;
        for (key, value) in [("rope_theta", self.rope_theta), ("rms_norm_eps", self.rms_norm_eps)] {
            check(key, value > 0.0 && value.is_finite(), value.to_string(), "a positive number")?;
        }
        let range = self.initializer_range;
        check(
            "initializer_range",
            range >= 0.0 && range.is_finite(),
            range.to_string(),
            "0 or more",
        )?;
        let ids = self.bos_token_id.iter().map(|id| ("bos_token_id", id));
        let ids = ids.chain(self.eos_token_id.iter().map(|id| ("eos_token_id", id)));
        for (key, &id) in ids.chain(self.pad_token_id.iter().map(|id| ("pad_token_id", id))) {
            let expected = format!("an id below vocab_size, {}", self.vocab_size);
            check(key, (id as usize) < self.vocab_size, id.to_string(), &expected)?;
        }
        check("num_labels", self.num_labels() != Some(0), "0".to_owned(), "at least 1")
    }
}

/// Largest count in a config: what fits an `i32`, the index type of most readers.
const MAX_COUNT: usize = i32::MAX as usize;

fn refusal(file: &Path, key: &str, found: String, expected: &str) -> ModelError {
    ModelError::Config {
        file: PathBuf::from(file),
        key: key.to_owned(),
        found,
        expected: expected.to_owned(),
    }
}

fn one_or_many(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => json!(id),
        many => json!(many),
    }
}

/// The keys of one `config.json`. A `null` is an absent key, as in `transformers`.
struct Keys<'a> {
    file: &'a Path,
    object: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn refuse<T>(&self, key: &str, found: &Value, expected: &str) -> Result<T> {
        Err(refusal(self.file, key, found.to_string(), expected))
    }

    fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().map(usize::try_from) {
            Some(Ok(count)) => Ok(Some(count)),
            _ => self.refuse(key, value, "a whole number"),
        }
    }

    fn required(&self, key: &str) -> Result<usize> {
        match self.count(key)? {
            Some(count) => Ok(count),
            None => self.refuse(key, &Value::Null, "a whole number"),
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value
            .as_f64()
            .map_or_else(|| self.refuse(key, value, "a number"), |number| Ok(Some(number)))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value
            .as_bool()
            .map_or_else(|| self.refuse(key, value, "true or false"), |flag| Ok(Some(flag)))
    }

    /// One id, a list of ids, or none. Published configs use `-1` for none as well.
    fn token_ids(&self, key: &str) -> Result<Vec<u32>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let listed = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut ids = Vec::with_capacity(listed.len());
        for id in listed.iter().filter(|id| id.as_i64() != Some(-1)) {
            match id.as_u64().map(u32::try_from) {
                Some(Ok(id)) => ids.push(id),
                _ => return self.refuse(key, value, "a token id or a list of them"),
            }
        }
        Ok(ids)
    }

    fn reject_unimplemented(&self) -> Result<()> {
        self.only("model_type", &["llama"])?;
        self.only("hidden_act", &["silu"])?;
        for key in ["attention_bias", "mlp_bias"] {
            if self.flag(key)? == Some(true) {
                return self.refuse(key, &Value::Bool(true), "false");
            }
        }
        if let Some(dropout) = self.number("attention_dropout")?.filter(|&dropout| dropout != 0.0) {
            return self.refuse("attention_dropout", &json!(dropout), "0");
        }
        for key in ["rope_scaling", "rope_parameters"] {
            let Some(scaling) = self.get(key) else { continue };
            let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
            if kind.is_some_and(|kind| kind != "default") {
                return self.refuse(key, scaling, "rope_type \"default\"");
            }
        }
        Ok(())
    }

    fn only(&self, key: &str, known: &[&str]) -> Result<()> {
        match self.get(key) {
            Some(found) if !known.iter().any(|known| found == known) => {
                self.refuse(key, found, &format!("{known:?}"))
            }
            _ => Ok(()),
        }
    }

    fn rope_theta(&self) -> Result<f64> {
        let nested =
            self.get("rope_parameters").and_then(|parameters| parameters.get("rope_theta"));
        match nested {
            Some(value) => value
                .as_f64()
                .map_or_else(|| self.refuse("rope_parameters.rope_theta", value, "a number"), Ok),
            None => Ok(self.number("rope_theta")?.unwrap_or(10_000.0)),
        }
    }

    /// The head by `architectures`; a config without it is a causal model, as `AutoModelForCausalLM` takes it.
    fn head(&self) -> Result<Head> {
        let Some(architectures) = self.get("architectures") else { return Ok(Head::CausalLm) };
        match architectures.get(0).and_then(Value::as_str) {
            Some("LlamaForCausalLM") => Ok(Head::CausalLm),
            Some("LlamaForSequenceClassification") => {
                Ok(Head::SequenceClassification { labels: self.labels()? })
            }
            _ => self.refuse(
                "architectures",
                architectures,
                "[\"LlamaForCausalLM\"] or [\"LlamaForSequenceClassification\"]",
            ),
        }
    }

    /// Names by id; two classes with the names `transformers` gives them where the config has none.
    fn labels(&self) -> Result<Vec<String>> {
        let expected = "an object from \"0\", \"1\", … to names";
        let Some(value) = self.get("id2label") else {
            let count = self.count("num_labels")?.unwrap_or(2);
            return Ok((0..count).map(|id| format!("LABEL_{id}")).collect());
        };
        let Some(names) = value.as_object() else {
            return self.refuse("id2label", value, expected);
        };
        let by_id =
            |id: usize| names.get(&id.to_string()).and_then(Value::as_str).map(str::to_owned);
        let labels: Option<Vec<String>> = (0..names.len()).map(by_id).collect();
        labels.map_or_else(|| self.refuse("id2label", value, expected), Ok)
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
            "\"attention_dropout\": 0.1",
            "m/config.json: `attention_dropout` is 0.1; expected 0",
        );
        refused(
            "LlamaForCausalLM",
            "LlamaModel",
            "m/config.json: `architectures` is [\"LlamaModel\"]; expected [\"LlamaForCausalLM\"] or \
             [\"LlamaForSequenceClassification\"]",
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
