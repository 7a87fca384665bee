//! The shape of a Llama, as a GGUF file tells it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Head, LlamaConfig, keys::Keys};
use crate::error::Result;

/// Keys that change what a Llama computes, with the number at which they do not; no other is implemented.
const NEUTRAL: [(&str, f64); 10] = [
    ("llama.attention.clamp_kqv", 0.0),
    ("llama.attention.max_alibi_bias", 0.0),
    ("llama.attention.scale", 0.0),
    ("llama.attention.sliding_window", 0.0),
    ("llama.attn_logit_softcapping", 0.0),
    ("llama.expert_count", 0.0),
    ("llama.final_logit_softcapping", 0.0),
    ("llama.logit_scale", 0.0),
    ("llama.residual_scale", 0.0),
    ("llama.rope.scale_linear", 1.0),
];

/// Tokens that end a text: of the text, of a turn, of a message.
const ENDS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

impl LlamaConfig {
    /// Reads what a GGUF file says of its model; `file` names it in errors. `embedding` is the number of rows of the
    /// embedding, where there is one, and whether the output projection is the embedding.
    ///
    /// # Errors
    /// When a key is missing or of another type, and when it asks for something that is not implemented.
    pub(crate) fn from_gguf(
        metadata: &Map<String, Value>,
        (rows, tied): (Option<usize>, bool),
        file: &Path,
    ) -> Result<Self> {
        let keys = Keys { file, object: metadata };
        reject_unimplemented(&keys)?;
        let hidden_size = keys.required("llama.embedding_length")?;
        let num_attention_heads = keys.required("llama.attention.head_count")?;
        let config = Self {
            vocab_size: vocab_size(&keys, rows)?,
            hidden_size,
            intermediate_size: keys.required("llama.feed_forward_length")?,
            num_hidden_layers: keys.required("llama.block_count")?,
            num_attention_heads,
            num_key_value_heads: keys
                .count("llama.attention.head_count_kv")?
                .unwrap_or(num_attention_heads),
            head_dim: head_dim(&keys, hidden_size.checked_div(num_attention_heads).unwrap_or(0))?,
            max_position_embeddings: keys.required("llama.context_length")?,
            rope_theta: keys.number("llama.rope.freq_base")?.unwrap_or(10_000.0),
            rms_norm_eps: required_number(&keys, "llama.attention.layer_norm_rms_epsilon")?,
            initializer_range: 0.02,
            attention_dropout: 0.0,
            classifier_dropout: None,
            tie_word_embeddings: tied,
            bos_token_id: keys.token_ids("tokenizer.ggml.bos_token_id")?.first().copied(),
            eos_token_id: ends(&keys)?,
            pad_token_id: keys.token_ids("tokenizer.ggml.padding_token_id")?.first().copied(),
            head: Head::CausalLm,
        };
        config.validate_as(file)?;
        Ok(config)
    }
}

fn reject_unimplemented(keys: &Keys) -> Result<()> {
    if keys.only("general.architecture", &["llama"])?.is_none() {
        return keys.refuse("general.architecture", &Value::Null, "[\"llama\"]");
    }
    keys.only("general.type", &["model"])?;
    if let Some(parts) = keys.count("split.count")?.filter(|&parts| parts > 1) {
        return keys.refuse("split.count", &json!(parts), "a model in one file");
    }
    keys.only("llama.rope.scaling.type", &["none"])?;
    if keys.flag("llama.attention.causal")? == Some(false) {
        return keys.refuse("llama.attention.causal", &Value::Bool(false), "true");
    }
    for (key, neutral) in NEUTRAL {
        if let Some(found) = keys.number(key)?.filter(|&found| found != neutral) {
            return keys.refuse(key, &json!(found), &format!("{neutral}"));
        }
    }
    Ok(())
}

/// Rows of the embedding, with which what is said of them has to agree.
fn vocab_size(keys: &Keys, rows: Option<usize>) -> Result<usize> {
    match (keys.count("llama.vocab_size")?, rows) {
        (Some(said), Some(rows)) if said != rows => keys.refuse(
            "llama.vocab_size",
            &json!(said),
            &format!("{rows}, the rows of the embedding"),
        ),
        (_, Some(rows)) => Ok(rows),
        (Some(said), None) => Ok(said),
        (None, None) => keys.required("llama.vocab_size"),
    }
}

/// Width of a head, of which rotary turns all.
fn head_dim(keys: &Keys, absent: usize) -> Result<usize> {
    let width = keys.count("llama.attention.key_length")?.unwrap_or(absent);
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if let Some(found) = keys.count(key)?.filter(|&found| found != width) {
            return keys.refuse(key, &json!(found), &format!("{width}, the width of a head"));
        }
    }
    Ok(width)
}

fn required_number(keys: &Keys, key: &str) -> Result<f64> {
    keys.number(key)?.map_or_else(|| keys.refuse(key, &Value::Null, "a number"), Ok)
}

fn ends(keys: &Keys) -> Result<Vec<u32>> {
    let mut ends = Vec::new();
    for key in ENDS {
        for id in keys.token_ids(key)? {
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
    }
    Ok(ends)
}
