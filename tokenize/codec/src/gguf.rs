//! The vocabulary inside a GGUF file, the form of models of llama.cpp.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{CodecError, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VocabularyFile};

/// Kinds of tokens, `llama_token_type`.
mod kind {
    pub(super) const NORMAL: i64 = 1;
    pub(super) const UNKNOWN: i64 = 2;
    pub(super) const CONTROL: i64 = 3;
    pub(super) const USER_DEFINED: i64 = 4;
    /// What fills the rows of an embedding that no token has.
    pub(super) const UNUSED: i64 = 5;
}

/// Special tokens by role: as a GGUF file calls their ids, and as `tokenizer_config.json` calls them.
const ROLES: [(&str, &str); 4] = [
    ("tokenizer.ggml.bos_token_id", "bos_token"),
    ("tokenizer.ggml.eos_token_id", "eos_token"),
    ("tokenizer.ggml.unknown_token_id", "unk_token"),
    ("tokenizer.ggml.padding_token_id", "pad_token"),
];

/// The pattern of Llama 3's pre-tokens.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a text is cut before it is merged.
struct PreTokens {
    pre_tokenizer: Value,
    /// Whether what is a token as a whole is not merged.
    ignore_merges: bool,
    /// Whether the token that begins a text is put before it, where the file does not say.
    add_bos: bool,
}

/// The `tokenizer.json` and `tokenizer_config.json` of the byte-level BPE vocabulary that a GGUF file says of itself;
/// `metadata` are its keys, the numbers and texts as JSON has them.
///
/// Tokens of kind *control* become special tokens, those that are *user-defined* are found in text, those that are
/// *unused* are left out. A chat template is taken over.
///
/// # Errors
/// [`CodecError::Gguf`] names the key when the vocabulary is of another model than `gpt2`, or cut by a pattern that is
/// not known here, and when a key is missing or not what its name promises.
///
/// Source: keys as in `ggml/docs/gguf.md` of ggml; `tokenizer.ggml.pre` as in `llama_vocab::impl::load` of llama.cpp; the
/// files as published with SmolLM2, GPT-2 and Llama 3.
///
/// ```
/// use codec::{Codec, tokenizer_files_of_gguf};
/// use serde_json::json;
///
/// let metadata = json!({
///     "tokenizer.ggml.model": "gpt2",
///     "tokenizer.ggml.pre": "smollm",
///     "tokenizer.ggml.tokens": ["<end>", "l", "o", "w", "4", "2", "lo"],
///     "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, 1],
///     "tokenizer.ggml.merges": ["l o"],
///     "tokenizer.ggml.eos_token_id": 0,
/// });
/// let [tokenizer, config] = tokenizer_files_of_gguf(metadata.as_object().expect("keys and values"))?;
/// let codec = Codec::load(&tokenizer.bytes, Some(&config.bytes))?;
/// assert_eq!(codec.encode("low42")?, [6, 3, 4, 5]);
/// assert_eq!((codec.eos(), codec.bos()), (Some(0), None));
/// # Ok::<_, codec::CodecError>(())
/// ```
pub fn tokenizer_files_of_gguf(
    metadata: &Map<String, Value>,
) -> Result<[VocabularyFile; 2], CodecError> {
    let keys = Keys(metadata);
    let cut = pre_tokens(&keys)?;
    let tokens = keys.texts("tokenizer.ggml.tokens")?;
    let kinds = kinds(&keys, tokens.len())?;
    let vocab = vocab(&tokens, &kinds)?;
    let merges = merges(&keys, &vocab)?;
    let roles = roles(&keys, &tokens, &vocab)?;
    let added = is_added(&keys, &cut)?;
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(&tokens, &kinds, &roles),
        "normalizer": null,
        "pre_tokenizer": cut.pre_tokenizer,
        "post_processor": template(added, &roles, &vocab),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": cut.ignore_merges,
            "vocab": vocab,
            "merges": merges,
        },
    });
    let config = config(&keys, added, &roles)?;
    Ok([
        VocabularyFile { name: TOKENIZER_JSON, bytes: format!("{tokenizer}\n").into_bytes() },
        VocabularyFile { name: TOKENIZER_CONFIG_JSON, bytes: format!("{config:#}\n").into_bytes() },
    ])
}

fn pre_tokens(keys: &Keys) -> Result<PreTokens, CodecError> {
    match keys.text("tokenizer.ggml.model")? {
        Some("gpt2") => {}
        found => {
            let expected =
                "\"gpt2\", for of other vocabularies the model's own tokenizer.json is needed";
            return Err(refusal("tokenizer.ggml.model", &json!(found), expected));
        }
    }
    let bytes_of =
        |first: Value| json!({"type": "Sequence", "pretokenizers": [first, byte_level(true)]});
    let plain = |pre_tokenizer| PreTokens { pre_tokenizer, ignore_merges: false, add_bos: false };
    match keys.text("tokenizer.ggml.pre")? {
        Some("gpt-2") => Ok(plain(byte_level(true))),
        Some("smollm") => Ok(plain(bytes_of(json!({"type": "Digits", "individual_digits": true})))),
        Some("llama-bpe" | "llama3" | "llama-v3") => {
            let split = json!({
                "type": "Split", "pattern": {"Regex": LLAMA_3}, "behavior": "Isolated", "invert": false,
            });
            let pre_tokenizer =
                json!({"type": "Sequence", "pretokenizers": [split, byte_level(false)]});
            Ok(PreTokens { pre_tokenizer, ignore_merges: true, add_bos: true })
        }
        found => {
            let expected = "\"gpt-2\", \"smollm\" or \"llama-bpe\", for of other patterns the model's own \
                            tokenizer.json is needed";
            Err(refusal("tokenizer.ggml.pre", &json!(found), expected))
        }
    }
}

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

/// The kind of every token.
fn kinds(keys: &Keys, num_tokens: usize) -> Result<Vec<i64>, CodecError> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(found) = keys.get(KEY) else { return Ok(vec![kind::NORMAL; num_tokens]) };
    let known = |found: &Value| {
        found.as_i64().filter(|found| (kind::NORMAL..=kind::UNUSED).contains(found))
    };
    let listed = found.as_array().filter(|listed| listed.len() == num_tokens);
    let listed = listed.ok_or_else(|| {
        refusal(KEY, &shown(found), &format!("a list of {num_tokens}, one for each token"))
    })?;
    listed.iter().map(|found| known(found).ok_or_else(|| refusal(KEY, found, "1 to 5"))).collect()
}

/// Ids of the tokens in use, by spelling.
fn vocab(tokens: &[&str], kinds: &[i64]) -> Result<Map<String, Value>, CodecError> {
    let mut vocab = Map::new();
    for ((id, token), kind) in tokens.iter().enumerate().zip(kinds) {
        if *kind != kind::UNUSED && vocab.insert((*token).to_owned(), id.into()).is_some() {
            let found = json!(format!("{token} twice"));
            return Err(refusal("tokenizer.ggml.tokens", &found, "each token once"));
        }
    }
    Ok(vocab)
}

/// Pairs of tokens, by rank.
fn merges<'a>(
    keys: &Keys<'a>,
    vocab: &Map<String, Value>,
) -> Result<Vec<(&'a str, &'a str)>, CodecError> {
    const KEY: &str = "tokenizer.ggml.merges";
    let pair = |merge: &'a str| {
        let pair = merge.split_once(' ').filter(|(left, right)| {
            [left, right, &&*[*left, *right].concat()]
                .iter()
                .all(|token| vocab.contains_key(**token))
        });
        pair.ok_or_else(|| refusal(KEY, &json!(merge), "two tokens that together are one"))
    };
    keys.texts(KEY)?.into_iter().map(pair).collect()
}

/// The tokens of the roles that there are, by what `tokenizer_config.json` calls them.
fn roles<'a>(
    keys: &Keys,
    tokens: &[&'a str],
    vocab: &Map<String, Value>,
) -> Result<Vec<(&'static str, &'a str)>, CodecError> {
    let mut roles = Vec::new();
    for (key, role) in ROLES {
        let Some(found) = keys.get(key).filter(|found| found.as_i64() != Some(-1)) else {
            continue;
        };
        let id = found.as_u64().and_then(|id| usize::try_from(id).ok());
        let token = id.and_then(|id| tokens.get(id)).filter(|token| vocab.contains_key(**token));
        let expected = format!("the id of one of the {} tokens in use", vocab.len());
        roles.push((role, *token.ok_or_else(|| refusal(key, found, &expected))?));
    }
    Ok(roles)
}

/// Whether other programs put the token that begins a text before it, and the one that ends it behind it.
fn is_added(keys: &Keys, cut: &PreTokens) -> Result<[bool; 2], CodecError> {
    let bos = keys.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(cut.add_bos);
    Ok([bos, keys.flag("tokenizer.ggml.add_eos_token")?.unwrap_or(false)])
}

/// What puts special tokens around a text, for other programs; nothing where there are none to put.
fn template(added: [bool; 2], roles: &[(&str, &str)], vocab: &Map<String, Value>) -> Value {
    let token = |is_added: bool, role: &str| {
        let (_, token) = roles.iter().find(|(known, _)| is_added && *known == role)?;
        Some(*token)
    };
    let (bos, eos) = (token(added[0], "bos_token"), token(added[1], "eos_token"));
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let special = |token: Option<&str>, part: u32| {
        token.map(|token| json!({"SpecialToken": {"id": token, "type_id": part}}))
    };
    let text = |name: &str, part: u32| {
        let text = json!({"Sequence": {"id": name, "type_id": part}});
        [special(bos, part), Some(text), special(eos, part)].into_iter().flatten()
    };
    let tokens: Map<String, Value> = [bos, eos]
        .into_iter()
        .flatten()
        .map(|token| {
            let ids = [&vocab[token]];
            (token.to_owned(), json!({"id": token, "ids": ids, "tokens": [token]}))
        })
        .collect();
    json!({
        "type": "TemplateProcessing",
        "single": text("A", 0).collect::<Vec<_>>(),
        "pair": text("A", 0).chain(text("B", 1)).collect::<Vec<_>>(),
        "special_tokens": tokens,
    })
}

/// Tokens that are looked for in text, or are special.
fn added_tokens(tokens: &[&str], kinds: &[i64], roles: &[(&str, &str)]) -> Vec<Value> {
    let with_role: BTreeSet<&str> = roles.iter().map(|(_, token)| *token).collect();
    let added = tokens.iter().enumerate().zip(kinds).filter_map(|((id, token), kind)| {
        let special = match *kind {
            kind::UNUSED => return None,
            kind::CONTROL | kind::UNKNOWN => true,
            _ if with_role.contains(token) => true,
            kind::USER_DEFINED => false,
            _ => return None,
        };
        Some(json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special,
        }))
    });
    added.collect()
}

/// `tokenizer_config.json`.
fn config(keys: &Keys, added: [bool; 2], roles: &[(&str, &str)]) -> Result<Value, CodecError> {
    let mut config = json!({
        // Takes `tokenizer.json` as it stands.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": added[0],
        "add_eos_token": added[1],
        // Otherwise decoding would drop spaces before punctuation.
        "clean_up_tokenization_spaces": false,
    });
    for (role, token) in roles {
        config[*role] = json!(token);
    }
    if let Some(template) = keys.text("tokenizer.chat_template")? {
        config["chat_template"] = json!(template);
    }
    Ok(config)
}

/// What a file says of itself.
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &'static str) -> Result<Option<&'a str>, CodecError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        found.as_str().map(Some).ok_or_else(|| refusal(key, &shown(found), "a text"))
    }

    fn flag(&self, key: &'static str) -> Result<Option<bool>, CodecError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        found.as_bool().map(Some).ok_or_else(|| refusal(key, &shown(found), "true or false"))
    }

    fn texts(&self, key: &'static str) -> Result<Vec<&'a str>, CodecError> {
        let found = self.get(key).unwrap_or(&Value::Null);
        let listed = found.as_array().map(|listed| listed.iter().map(Value::as_str).collect());
        listed.flatten().ok_or_else(|| refusal(key, &shown(found), "a list of texts"))
    }
}

/// A value as a message shows it: of a list, how long it is.
fn shown(found: &Value) -> Value {
    found
        .as_array()
        .map_or_else(|| found.clone(), |list| json!(format!("a list of {}", list.len())))
}

fn refusal(key: &'static str, found: &Value, expected: &str) -> CodecError {
    CodecError::Gguf { key, found: found.to_string(), expected: expected.to_owned() }
}
