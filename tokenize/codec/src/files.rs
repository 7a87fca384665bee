//! The files of a vocabulary, as `transformers` loads them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{END_OF_TEXT, SpecialTokens, Vocabulary};

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
                bytes: json(&TokenizerConfig::of(self.special_tokens())),
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
    added_tokens: Vec<AddedToken<'a>>,
    normalizer: Option<()>,
    pre_tokenizer: ByteLevel,
    post_processor: Option<Template<'a>>,
    decoder: ByteLevel,
    model: Model<'a>,
}

#[derive(Serialize)]
struct AddedToken<'a> {
    id: usize,
    content: &'a str,
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

/// What stands around a text, or two, when a reader of the file asks for special tokens.
#[derive(Serialize)]
struct Template<'a> {
    r#type: &'static str,
    single: Vec<Piece<'a>>,
    pair: Vec<Piece<'a>>,
    special_tokens: BTreeMap<&'a str, TemplateToken<'a>>,
}

#[derive(Clone, Serialize)]
enum Piece<'a> {
    SpecialToken { id: &'a str, type_id: u32 },
    Sequence { id: &'static str, type_id: u32 },
}

#[derive(Serialize)]
struct TemplateToken<'a> {
    id: &'a str,
    ids: [usize; 1],
    tokens: [&'a str; 1],
}

impl<'a> Template<'a> {
    /// `cls text sep`, and `cls first sep second sep`, where there are such tokens.
    fn of(vocabulary: &'a Vocabulary) -> Option<Self> {
        let SpecialTokens { cls, sep, .. } = vocabulary.special_tokens();
        let (cls, sep) = (cls.as_deref()?, sep.as_deref()?);
        let special = |id, type_id| Piece::SpecialToken { id, type_id };
        let text = |id, type_id| Piece::Sequence { id, type_id };
        let single = vec![special(cls, 0), text("A", 0), special(sep, 0)];
        let pair = [single.clone(), vec![text("B", 1), special(sep, 1)]].concat();
        let token = |token: &'a str| {
            let id = vocabulary.id(token)?;
            Some((token, TemplateToken { id: token, ids: [id], tokens: [token] }))
        };
        let special_tokens = [token(cls)?, token(sep)?].into_iter().collect();
        Some(Self { r#type: "TemplateProcessing", single, pair, special_tokens })
    }
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

impl<'a> AddedToken<'a> {
    fn of(id: usize, content: &'a str) -> Self {
        Self {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }
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
            added_tokens: std::iter::once(END_OF_TEXT)
                .chain(vocabulary.special_tokens().iter())
                .filter_map(|token| Some(AddedToken::of(vocabulary.id(token)?, token)))
                .collect(),
            normalizer: None,
            pre_tokenizer: byte_level(),
            post_processor: Template::of(vocabulary),
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
struct TokenizerConfig<'a> {
    tokenizer_class: &'static str,
    bos_token: &'static str,
    eos_token: &'static str,
    pad_token: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cls_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sep_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_token: Option<&'a str>,
    add_bos_token: bool,
    add_eos_token: bool,
    clean_up_tokenization_spaces: bool,
}

impl<'a> TokenizerConfig<'a> {
    fn of(special: &'a SpecialTokens) -> Self {
        Self {
            // Takes `tokenizer.json` as it stands; the class of GPT-2 would rebuild parts of it.
            tokenizer_class: "PreTrainedTokenizerFast",
            bos_token: END_OF_TEXT,
            eos_token: END_OF_TEXT,
            pad_token: END_OF_TEXT,
            cls_token: special.cls.as_deref(),
            sep_token: special.sep.as_deref(),
            mask_token: special.mask.as_deref(),
            add_bos_token: false,
            add_eos_token: false,
            // Otherwise decoding would drop spaces before punctuation.
            clean_up_tokenization_spaces: false,
        }
    }
}
