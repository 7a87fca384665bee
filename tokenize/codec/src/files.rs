//! The files of a vocabulary, as `transformers` loads them.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{END_OF_TEXT, Vocabulary};

/// Name of the file that holds the whole tokenizer.
pub const TOKENIZER_JSON: &str = "tokenizer.json";

/// Name of the file that says what `transformers` adds to it: class and special tokens.
pub const TOKENIZER_CONFIG_JSON: &str = "tokenizer_config.json";

/// One file of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VocabularyFile {
    /// Its name in a model directory.
    pub name: &'static str,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl Vocabulary {
    /// The files that `AutoTokenizer.from_pretrained` of `transformers` loads. Equal vocabularies give equal bytes.
    pub fn files(&self) -> [VocabularyFile; 2] {
        [
            VocabularyFile { name: TOKENIZER_JSON, bytes: json(&TokenizerFile::of(self)) },
            VocabularyFile {
                name: TOKENIZER_CONFIG_JSON,
                bytes: json(&TokenizerConfig::default()),
            },
        ]
    }
}

fn json(file: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(file).expect("string keys and writing to memory");
    bytes.push(b'\n');
    bytes
}

/// `tokenizer.json`, fields in the order in which tokenizers writes them.
#[derive(Serialize)]
struct TokenizerFile<'a> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: [AddedToken; 1],
    normalizer: Option<()>,
    pre_tokenizer: ByteLevel,
    post_processor: Option<()>,
    decoder: ByteLevel,
    model: Model<'a>,
}

#[derive(Serialize)]
struct AddedToken {
    id: u32,
    content: &'static str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Serialize)]
struct ByteLevel {
    r#type: &'static str,
    add_prefix_space: bool,
    trim_offsets: bool,
    use_regex: bool,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    dropout: Option<()>,
    unk_token: Option<()>,
    continuing_subword_prefix: Option<()>,
    end_of_word_suffix: Option<()>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: ById<'a>,
    merges: Vec<(&'a str, &'a str)>,
}

/// Tokens and their ids, in the order of the ids.
struct ById<'a>(&'a [String]);

impl Serialize for ById<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, token) in self.0.iter().enumerate() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

impl<'a> TokenizerFile<'a> {
    fn of(vocabulary: &'a Vocabulary) -> Self {
        let byte_level = || ByteLevel {
            r#type: "ByteLevel",
            add_prefix_space: false,
            trim_offsets: false,
            use_regex: true,
        };
        Self {
            version: "1.0",
            truncation: None,
            padding: None,
            added_tokens: [AddedToken {
                id: 0,
                content: END_OF_TEXT,
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: false,
                special: true,
            }],
            normalizer: None,
            pre_tokenizer: byte_level(),
            post_processor: None,
            decoder: byte_level(),
            model: Model {
                r#type: "BPE",
                dropout: None,
                unk_token: None,
                continuing_subword_prefix: None,
                end_of_word_suffix: None,
                fuse_unk: false,
                byte_fallback: false,
                ignore_merges: false,
                vocab: ById(vocabulary.tokens()),
                merges: vocabulary.merges().collect(),
            },
        }
    }
}

/// `tokenizer_config.json`.
#[derive(Serialize)]
struct TokenizerConfig {
    tokenizer_class: &'static str,
    bos_token: &'static str,
    eos_token: &'static str,
    pad_token: &'static str,
    add_bos_token: bool,
    add_eos_token: bool,
    clean_up_tokenization_spaces: bool,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            // Takes `tokenizer.json` as it stands; the class of GPT-2 would rebuild parts of it.
            tokenizer_class: "PreTrainedTokenizerFast",
            bos_token: END_OF_TEXT,
            eos_token: END_OF_TEXT,
            pad_token: END_OF_TEXT,
            add_bos_token: false,
            add_eos_token: false,
            // Otherwise decoding would drop spaces before punctuation.
            clean_up_tokenization_spaces: false,
        }
    }
}
