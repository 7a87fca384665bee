//! BERT vocabularies that are only a list of tokens.

use serde_json::{Map, Value, json};

use crate::{CodecError, TOKENIZER_CONFIG_JSON, VocabularyFile, files::TOKENIZER_JSON};

/// Name of the file that lists the tokens of a BERT vocabulary, one a line, in the order of their ids.
pub const VOCAB_TXT: &str = "vocab.txt";

/// Special tokens of BERT by role, as `BertTokenizer` of `transformers` calls them where no file does.
pub(crate) const BERT_TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// Most characters of a word that is not unknown.
const MAX_WORD_CHARS: usize = 100;

/// The `tokenizer.json` that `BertTokenizer` of `transformers` makes of a `vocab.txt` and, for case, accents and the
/// names of special tokens, a `tokenizer_config.json`. Without one, text is made lower case and loses its accents.
///
/// # Errors
/// If a file is not what its name promises, or the list lacks the unknown token.
///
/// ```
/// use codec::{Codec, tokenizer_json_of_vocab_txt};
///
/// let vocab = "[UNK]\n[CLS]\n[SEP]\nlow\n##er\n";
/// let tokenizer = tokenizer_json_of_vocab_txt(vocab.as_bytes(), None)?;
/// let codec = Codec::load(&tokenizer.bytes, None)?;
/// assert_eq!(codec.encode("Lower lows")?, [3, 4, 0]);
/// assert_eq!((codec.cls(), codec.sep(), codec.mask()), (Some(1), Some(2), None));
/// # Ok::<_, codec::CodecError>(())
/// ```
pub fn tokenizer_json_of_vocab_txt(
    vocab_txt: &[u8],
    config_json: Option<&[u8]>,
) -> Result<VocabularyFile, CodecError> {
    let vocab = read(vocab_txt)?;
    let config: Value =
        config_json.map_or(Ok(Value::Null), serde_json::from_slice).map_err(|error| {
            CodecError::BadVocabulary { file: TOKENIZER_CONFIG_JSON, problem: error.to_string() }
        })?;
    let name = |role: usize| {
        let (role, default) = BERT_TOKENS[role];
        config[role].as_str().or_else(|| config[role]["content"].as_str()).unwrap_or(default)
    };
    let [unk, sep, pad, cls, mask] = std::array::from_fn(name);
    if !vocab.contains_key(unk) {
        return Err(bad(format!("it lacks {unk:?}, the unknown token")));
    }
    let added: Vec<Value> = [unk, sep, pad, cls, mask]
        .into_iter()
        .filter_map(|token| {
            Some(json!({
                "id": vocab.get(token)?, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true
            }))
        })
        .collect();
    let post_processor = match (vocab.get(cls), vocab.get(sep)) {
        (Some(cls_id), Some(sep_id)) => {
            json!({"type": "BertProcessing", "sep": [sep, sep_id], "cls": [cls, cls_id]})
        }
        _ => Value::Null,
    };
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": config["tokenize_chinese_chars"].as_bool().unwrap_or(true),
            "strip_accents": config["strip_accents"].as_bool(),
            "lowercase": config["do_lower_case"].as_bool().unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": post_processor,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": unk,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": MAX_WORD_CHARS,
            "vocab": vocab,
        },
    });
    Ok(VocabularyFile { name: TOKENIZER_JSON, bytes: file.to_string().into_bytes() })
}

/// Ids of the tokens; of equal ones the last counts, as in `transformers`.
fn read(vocab_txt: &[u8]) -> Result<Map<String, Value>, CodecError> {
    let text = str::from_utf8(vocab_txt).map_err(|error| bad(error.to_string()))?;
    Ok(text.lines().zip(0u32..).map(|(token, id)| (token.to_owned(), id.into())).collect())
}

fn bad(problem: String) -> CodecError {
    CodecError::BadVocabulary { file: VOCAB_TXT, problem }
}
