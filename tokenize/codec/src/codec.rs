//! Text to token ids and back, for any vocabulary.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::{
    CodecError, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, Vocabulary, alphabet,
    bpe::{Bpe, Scratch},
    recognise::{Recognised, recognise},
};

/// What both engines encode before ours may be used: every branch of the pattern, scripts, runs, and special text.
const PROBE: &str = "Hello, world! It’s 2024 — naïve café 日本語 😀\n\n  x=1\r\n\tI'll they've you're he'd I'm SHE'S 'tis ''s\
    a  b   c \u{a0}\u{2003}d\u{85}\u{200b}e\u{301} ½Ⅷ٣४ \u{1f468}\u{200d}\u{1f469} aaaaaaaaaaaaaaaaaaaaaaaaa -------- 0000000000 \
    Привет, мир. Γειά σου. שלום مرحبا नमस्ते 안녕 <|endoftext|></s>[SEP]<pad> #include <x.h> f(a[i]) != \"q\"; \u{0}\u{1}\u{7f}\u{feff}\u{10ffff}   ";

/// What turns text into ids. The ids do not depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Ours: byte-level BPE over the GPT-2 pattern.
    ByteLevelBpe,
    /// The `tokenizers` crate.
    Tokenizers {
        /// Why ours is not used.
        because: String,
    },
}

impl Engine {
    /// Name of the engine, for provenance.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ByteLevelBpe => "byte-level-bpe",
            Self::Tokenizers { .. } => "tokenizers",
        }
    }
}

/// A token and the text it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSpan {
    /// Token id.
    pub id: u32,
    /// First byte of the text.
    pub start: usize,
    /// One past the last byte. Tokens that hold parts of one character all span the whole character.
    pub end: usize,
}

/// A vocabulary, loaded.
///
/// Text is only ever text: special tokens that are spelt in it are encoded as the characters they are written with, and
/// truncation, padding and tokens that `tokenizer.json` wants around a text are left out. Whoever needs a special token
/// appends its id.
///
/// Any number of threads may use one codec.
pub struct Codec {
    tokenizer: Tokenizer,
    own: Option<Recognised>,
    engine: Engine,
    vocab_size: usize,
    special: Special,
    /// Tokens that stand for no text, and that encoding a text must not give.
    control_ids: Vec<u32>,
    /// Working memory of threads that are not encoding now.
    idle: Mutex<Vec<Scratch>>,
}

/// Special ids by role.
#[derive(Default)]
struct Special {
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    cls: Option<u32>,
    sep: Option<u32>,
    mask: Option<u32>,
}

impl Codec {
    /// Loads the contents of `tokenizer.json` and, for the roles of special tokens, `tokenizer_config.json`.
    ///
    /// # Errors
    /// If either is not what its name promises, or a role names a token that the vocabulary lacks.
    pub fn load(tokenizer_json: &[u8], config_json: Option<&[u8]>) -> Result<Self, CodecError> {
        let bad = |problem: String| CodecError::BadVocabulary { file: TOKENIZER_JSON, problem };
        let file: Value =
            serde_json::from_slice(tokenizer_json).map_err(|error| bad(error.to_string()))?;
        let tokenizer = plain_tokenizer(tokenizer_json).map_err(bad)?;
        let special = match config_json {
            Some(config) => Special::read(config, &tokenizer)?,
            None => Special::default(),
        };
        let vocab_size =
            tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        let control_ids = control_ids(&tokenizer, &file["model"]);
        let mut codec = Self {
            tokenizer,
            own: None,
            engine: Engine::ByteLevelBpe,
            vocab_size,
            special,
            control_ids,
            idle: Mutex::default(),
        };
        codec.choose_engine(&file);
        Ok(codec)
    }

    /// The codec of a vocabulary of our own.
    ///
    /// # Errors
    /// None that a trained vocabulary can cause: its files are loaded as anyone's are.
    pub fn of(vocabulary: &Vocabulary) -> Result<Self, CodecError> {
        let [tokenizer, config] = vocabulary.files();
        Self::load(&tokenizer.bytes, Some(&config.bytes))
    }

    /// Ids of `text`, without special tokens.
    ///
    /// # Errors
    /// If `tokenizers` encodes and fails, or can only give a special token for text that spells it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        match &self.own {
            Some(own) => Ok(self.encode_with(&own.bpe, text)),
            None => self.oracle(text),
        }
    }

    /// Ids of `text` and the bytes they stand for. The ids are those of [`encode`](Self::encode); always by
    /// `tokenizers`, and about ten times slower.
    ///
    /// White space that the vocabulary's post-processor trims off is outside every span.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_with_offsets(&self, text: &str) -> Result<Vec<TokenSpan>, CodecError> {
        let encoding =
            self.tokenizer.encode(text, false).map_err(|error| encode_error(text, &error))?;
        self.refuse_control(encoding.get_ids())?;
        let spans = encoding.get_ids().iter().zip(encoding.get_offsets());
        Ok(spans.map(|(&id, &(start, end))| TokenSpan { id, start, end }).collect())
    }

    /// The text of `ids`; special tokens are left out, bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// If an id is not below [`vocab_size`](Self::vocab_size).
    pub fn decode(&self, ids: &[u32]) -> Result<String, CodecError> {
        if let Some(&found) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(CodecError::UnknownId { found, expected: self.vocab_size });
        }
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| CodecError::Decode { tokens: ids.len(), problem: error.to_string() })
    }

    /// The engine that encodes.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Id of the token that begins a sequence, if the vocabulary names one.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// Id of the token that ends a document, if the vocabulary names one.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// Id of the token that fills a batch, if the vocabulary names one.
    pub fn pad(&self) -> Option<u32> {
        self.special.pad
    }

    /// Id of the token that begins a sequence and by which it is classified, if the vocabulary names one.
    pub fn cls(&self) -> Option<u32> {
        self.special.cls
    }

    /// Id of the token that ends each text of a sequence, if the vocabulary names one.
    pub fn sep(&self) -> Option<u32> {
        self.special.sep
    }

    /// Id of the token that stands where one is to be guessed, if the vocabulary names one.
    pub fn mask(&self) -> Option<u32> {
        self.special.mask
    }

    /// Whether a token is special: it stands for no text. The unknown token is not.
    pub fn is_special(&self, id: u32) -> bool {
        self.control_ids.binary_search(&id).is_ok()
    }

    /// Whether token `id` goes on with the word that the token before it is of.
    ///
    /// In WordPiece vocabularies that is what `##` says; in byte-level ones a word is a run of letters, digits and
    /// characters outside ASCII, with the space before it. Special tokens are no part of a word.
    pub fn continues_word(&self, before: u32, id: u32) -> bool {
        if self.is_special(before) || self.is_special(id) {
            return false;
        }
        let spelling = |id| self.tokenizer.id_to_token(id).unwrap_or_default();
        if self.own.is_none() {
            return spelling(id).starts_with("##");
        }
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        let bytes = |id| alphabet::bytes_of(&spelling(id)).unwrap_or_default();
        bytes(before).last().is_some_and(|&byte| byte == b' ' || is_of_word(byte))
            && bytes(id).first().is_some_and(|&byte| is_of_word(byte))
    }

    /// Bytes of text that token `id` stands for: what bits per byte divide by. Special tokens stand for none.
    ///
    /// `None` where that is not a property of the token (vocabularies that [`Engine::Tokenizers`] encodes), and for
    /// ids that no token has.
    pub fn token_bytes(&self, id: u32) -> Option<u32> {
        self.own.as_ref()?.token_bytes.get(&id).copied()
    }

    /// Uses our engine if it knows the form of `file` and gives the ids of `tokenizers` for the probe text.
    fn choose_engine(&mut self, file: &Value) {
        match recognise(file) {
            Ok(own) if self.oracle(PROBE).ok() == Some(self.encode_with(&own.bpe, PROBE)) => {
                self.own = Some(own);
            }
            Ok(_) => self.fall_back("it differs from tokenizers on the probe text".to_owned()),
            Err(because) => self.fall_back(because),
        }
    }

    fn fall_back(&mut self, because: String) {
        self.engine = Engine::Tokenizers { because };
    }

    fn encode_with(&self, bpe: &Bpe, text: &str) -> Vec<u32> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle().pop().unwrap_or_else(Scratch::new);
        let mut ids = Vec::new();
        bpe.encode(text, &mut scratch, &mut ids);
        idle().push(scratch);
        ids
    }

    /// Ids of `text` by `tokenizers`.
    fn oracle(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| encode_error(text, &error))?;
        self.refuse_control(encoding.get_ids())?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Some models (Unigram with control pieces) match special tokens themselves; better an error than a document that
    /// seems to end where it only speaks of ends.
    fn refuse_control(&self, ids: &[u32]) -> Result<(), CodecError> {
        match ids.iter().find(|id| self.control_ids.contains(id)) {
            Some(&id) => {
                let token = self.tokenizer.id_to_token(id).unwrap_or_default();
                Err(CodecError::SpecialInText { token, id })
            }
            None => Ok(()),
        }
    }
}

/// The tokenizer without truncation, padding, or an eye for special tokens in text.
fn plain_tokenizer(tokenizer_json: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(tokenizer_json).map_err(|error| error.to_string())?;
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

fn encode_error(text: &str, error: &tokenizers::Error) -> CodecError {
    CodecError::Encode { bytes: text.len(), problem: error.to_string() }
}

/// Ids of special tokens, except the unknown token, which text may well give.
fn control_ids(tokenizer: &Tokenizer, model: &Value) -> Vec<u32> {
    let unknown = model["unk_token"].as_str();
    let unknown_id = model["unk_id"].as_u64();
    let mut ids: Vec<u32> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(id, token)| {
            token.special && Some(&*token.content) != unknown && Some(u64::from(*id)) != unknown_id
        })
        .map(|(id, _)| id)
        .collect();
    ids.sort_unstable();
    ids
}

impl Special {
    fn read(config_json: &[u8], tokenizer: &Tokenizer) -> Result<Self, CodecError> {
        let bad =
            |problem: String| CodecError::BadVocabulary { file: TOKENIZER_CONFIG_JSON, problem };
        let config: Value =
            serde_json::from_slice(config_json).map_err(|error| bad(error.to_string()))?;
        let id = |role: &str| {
            // A plain string, or an object that also says how the token matches.
            let token = config[role].as_str().or_else(|| config[role]["content"].as_str());
            token
                .map(|token| {
                    tokenizer.token_to_id(token).ok_or_else(|| {
                        bad(format!("{role} is {token:?}, which {TOKENIZER_JSON} lacks"))
                    })
                })
                .transpose()
        };
        Ok(Self {
            bos: id("bos_token")?,
            eos: id("eos_token")?,
            pad: id("pad_token")?,
            cls: id("cls_token")?,
            sep: id("sep_token")?,
            mask: id("mask_token")?,
        })
    }
}
