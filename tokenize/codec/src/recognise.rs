//! Which `tokenizer.json` files our own engine can stand in for.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    alphabet,
    bpe::{Bpe, Merge},
    train::Pair,
};

/// A byte-level BPE vocabulary found in a `tokenizer.json`.
pub(crate) struct Recognised {
    pub(crate) bpe: Bpe,
    /// Bytes of text that each token of the model spells; 0 for special tokens.
    pub(crate) token_bytes: HashMap<u32, u32>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Merges,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    /// As written before tokenizers 0.20: the two tokens with a space between them.
    Joined(Vec<String>),
}

/// The engine for `file`, or the first reason why `tokenizers` has to encode.
pub(crate) fn recognise(file: &Value) -> Result<Recognised, String> {
    let added = special_tokens(&file["added_tokens"])?;
    require(file["normalizer"].is_null(), "it has a normalizer")?;
    require(is_gpt2_pattern(&file["pre_tokenizer"]), "its pre-tokenizer is not GPT-2's")?;
    require(file["model"]["type"] == "BPE", "its model is not BPE")?;
    let model = Model::deserialize(&file["model"]).map_err(|error| error.to_string())?;
    require(model.dropout.unwrap_or(0.0) == 0.0, "its merges have dropout")?;
    require(model.unk_token.is_none(), "it has an unknown token")?;
    let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
    require(
        affixes.iter().all(|affix| affix.as_ref().is_none_or(String::is_empty)),
        "it marks subwords",
    )?;
    require(!model.byte_fallback, "it falls back to bytes")?;
    require(!model.ignore_merges, "it ignores merges")?;
    let bpe = Bpe::new(byte_ids(&model.vocab)?, merges(&model)?.into_iter());
    Ok(Recognised { bpe, token_bytes: token_bytes(&model.vocab, &added) })
}

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Ids of the added tokens, all of which have to be special: others are looked for in text.
fn special_tokens(added: &Value) -> Result<Vec<u64>, String> {
    let added = added.as_array().map_or(&[][..], Vec::as_slice);
    require(
        added.iter().all(|token| token["special"] == true),
        "it adds tokens to be found in text",
    )?;
    Ok(added.iter().filter_map(|token| token["id"].as_u64()).collect())
}

fn is_gpt2_pattern(pre_tokenizer: &Value) -> bool {
    pre_tokenizer["type"] == "ByteLevel"
        && pre_tokenizer["add_prefix_space"] == false
        && pre_tokenizer["use_regex"].as_bool().unwrap_or(true)
}

fn byte_ids(vocab: &HashMap<String, u32>) -> Result<[u32; 256], String> {
    let mut ids = [0; 256];
    for byte in 0..=u8::MAX {
        let id = vocab.get(&alphabet::spell(&[byte]));
        ids[usize::from(byte)] = *id.ok_or_else(|| format!("it lacks byte {byte:#04x}"))?;
    }
    Ok(ids)
}

/// Pairs of ids and what joining them gives, by rank.
fn merges(model: &Model) -> Result<Vec<(Pair, Merge)>, String> {
    let pairs: Vec<(&str, &str)> = match &model.merges {
        Merges::Pairs(pairs) => pairs.iter().map(|(left, right)| (&**left, &**right)).collect(),
        Merges::Joined(lines) => lines
            .iter()
            .filter(|line| !line.starts_with("#version"))
            .map(|line| {
                line.split_once(' ').ok_or_else(|| format!("its merge {line:?} is no pair"))
            })
            .collect::<Result<_, _>>()?,
    };
    let id = |token: &str| {
        model
            .vocab
            .get(token)
            .copied()
            .ok_or_else(|| format!("its merges need {token:?}, which it lacks"))
    };
    (0..)
        .zip(pairs)
        .map(|(rank, (left, right))| {
            Ok(((id(left)?, id(right)?), Merge { rank, id: id(&[left, right].concat())? }))
        })
        .collect()
}

fn token_bytes(vocab: &HashMap<String, u32>, special: &[u64]) -> HashMap<u32, u32> {
    let text_bytes = |token: &str| alphabet::bytes_of(token)?.len().try_into().ok();
    let special_bytes = special.iter().filter_map(|&id| Some((u32::try_from(id).ok()?, 0)));
    vocab
        .iter()
        .filter_map(|(token, &id)| Some((id, text_bytes(token)?)))
        .chain(special_bytes)
        .collect()
}
