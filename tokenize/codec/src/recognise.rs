//! Which `tokenizer.json` files our own engine can stand in for.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Engine, TokenSpan, alphabet,
    bert::Normalizer,
    bpe::{Bpe, Merge},
    train::Pair,
    word_piece::WordPiece,
};

/// A vocabulary found in a `tokenizer.json`.
pub(crate) enum Recognised {
    /// Byte-level BPE.
    ByteLevelBpe {
        bpe: Box<Bpe>,
        /// Bytes of text that each token of the model spells; 0 for special tokens.
        token_bytes: HashMap<u32, u32>,
    },
    /// WordPiece over BERT's words.
    WordPiece(Box<WordPiece>),
}

impl Recognised {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::ByteLevelBpe { .. } => Engine::ByteLevelBpe,
            Self::WordPiece(_) => Engine::WordPiece,
        }
    }

    /// Ids of `text`.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        match self {
            Self::ByteLevelBpe { bpe, .. } => bpe.encode(text),
            Self::WordPiece(word_piece) => word_piece.encode(text),
        }
    }

    /// Ids of `text` with offsets, where the engine knows them.
    pub(crate) fn encode_with_offsets(&self, text: &str) -> Option<Vec<TokenSpan>> {
        match self {
            Self::ByteLevelBpe { .. } => None,
            Self::WordPiece(word_piece) => Some(word_piece.encode_with_offsets(text)),
        }
    }

    /// Bytes of text that token `id` spells, where that is a property of the token.
    pub(crate) fn token_bytes(&self, id: u32) -> Option<u32> {
        match self {
            Self::ByteLevelBpe { token_bytes, .. } => token_bytes.get(&id).copied(),
            Self::WordPiece(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct BpeModel {
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
struct WordPieceModel {
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    vocab: HashMap<String, u32>,
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
    if file["model"]["type"] == "WordPiece" { word_piece(file) } else { byte_level_bpe(file) }
}

fn byte_level_bpe(file: &Value) -> Result<Recognised, String> {
    let added = special_tokens(&file["added_tokens"])?;
    require(file["normalizer"].is_null(), "it has a normalizer")?;
    require(is_gpt2_pattern(&file["pre_tokenizer"]), "its pre-tokenizer is not GPT-2's")?;
    require(file["model"]["type"] == "BPE", "its model is not BPE")?;
    let model = BpeModel::deserialize(&file["model"]).map_err(|error| error.to_string())?;
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
    let token_bytes = token_bytes(&model.vocab, &added);
    Ok(Recognised::ByteLevelBpe { bpe: Box::new(bpe), token_bytes })
}

fn word_piece(file: &Value) -> Result<Recognised, String> {
    special_tokens(&file["added_tokens"])?;
    let normalizer = &file["normalizer"];
    require(normalizer["type"] == "BertNormalizer", "its normalizer is not BERT's")?;
    let normalizer = Normalizer::deserialize(normalizer).map_err(|error| error.to_string())?;
    let pre_tokenizer = &file["pre_tokenizer"]["type"];
    require(pre_tokenizer == "BertPreTokenizer", "its pre-tokenizer is not BERT's")?;
    let model = WordPieceModel::deserialize(&file["model"]).map_err(|error| error.to_string())?;
    let unknown = model.vocab.get(&model.unk_token).ok_or("it lacks its unknown token")?;
    if let Some(token) = word_like(&file["added_tokens"]).find(|token| **token != *model.unk_token)
    {
        return Err(format!("text can be the special token {token:?}"));
    }
    let engine = WordPiece::new(
        normalizer,
        model.vocab.iter().map(|(piece, &id)| (piece.as_str(), id)),
        &model.continuing_subword_prefix,
        *unknown,
        model.max_input_chars_per_word,
    );
    Ok(Recognised::WordPiece(Box::new(engine)))
}

/// Added tokens that BERT's pre-tokenizer may leave whole: those without ASCII punctuation beside other characters.
fn word_like(added: &Value) -> impl Iterator<Item = &str> {
    let contents =
        added.as_array().into_iter().flatten().filter_map(|token| token["content"].as_str());
    contents.filter(|token| token.len() == 1 || !token.contains(|c: char| c.is_ascii_punctuation()))
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
fn merges(model: &BpeModel) -> Result<Vec<(Pair, Merge)>, String> {
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
