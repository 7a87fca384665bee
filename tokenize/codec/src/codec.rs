//! Text to token ids and back, for any vocabulary.

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::{
    CodecError, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, Vocabulary, WordTokens, alphabet,
    recognise::{Recognised, recognise},
    vocab_txt::BERT_TOKENS,
};

/// What both engines encode before ours may be used: every branch of the pattern, scripts, runs, and special text.
const PROBE: &str = "Hello, world! It’s 2024 — naïve café 日本語 😀\n\n  x=1\r\n\tI'll they've you're he'd I'm SHE'S 'tis ''s\
    a  b   c \u{a0}\u{2003}d\u{85}\u{200b}e\u{301} ½Ⅷ٣४ \u{1f468}\u{200d}\u{1f469} aaaaaaaaaaaaaaaaaaaaaaaaa -------- 0000000000 \
    Привет, мир. Γειά σου. שלום مرحبا नमस्ते 안녕 <|endoftext|></s>[SEP]<pad> İSTANBUL ΣΊΣΥΦΟΣ ǅ ﬁ ≠ ẛ̣ o\u{302}\u{323}\u{302e} #include <x.h> f(a[i]) != \"q\"; \u{0}\u{1}\u{7f}\u{feff}\u{10ffff}   ";

/// What turns text into ids. The ids do not depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Ours: byte-level BPE over the GPT-2 pattern.
    ByteLevelBpe,
    /// Ours: WordPiece over BERT's words.
    WordPiece,
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
            Self::WordPiece => "word-piece",
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
    /// Whether a word of a list is encoded with the space before it.
    words_lead_with_space: bool,
}

/// Special ids by role.
#[derive(Default)]
struct Special {
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    unk: Option<u32>,
    cls: Option<u32>,
    sep: Option<u32>,
    mask: Option<u32>,
}

impl Codec {
    /// Loads the contents of `tokenizer.json` and, for the roles of special tokens, `tokenizer_config.json`.
    ///
    /// # Errors
    /// If either is not what its name promises, a role names a token that the vocabulary lacks, or the two disagree on
    /// what is done to case, accents and ideographs.
    pub fn load(tokenizer_json: &[u8], config_json: Option<&[u8]>) -> Result<Self, CodecError> {
        let bad = |problem: String| CodecError::BadVocabulary { file: TOKENIZER_JSON, problem };
        let file: Value =
            serde_json::from_slice(tokenizer_json).map_err(|error| bad(error.to_string()))?;
        let tokenizer = plain_tokenizer(tokenizer_json).map_err(bad)?;
        let special = Special::read(&file, config_json, &tokenizer)?;
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
            words_lead_with_space: is_byte_level(&file["pre_tokenizer"]),
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
            Some(own) => Ok(own.encode(text)),
            None => self.oracle(text),
        }
    }

    /// Ids of `text` and the bytes they stand for. The ids are those of [`encode`](Self::encode).
    ///
    /// For byte-level BPE by `tokenizers`, and about ten times slower; white space that the vocabulary's post-processor
    /// trims off is outside every span. For WordPiece by ours; what normalizing drops is outside every span where it
    /// stands before the first or behind the last character of a token.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_with_offsets(&self, text: &str) -> Result<Vec<TokenSpan>, CodecError> {
        match self.own.as_ref().and_then(|own| own.encode_with_offsets(text)) {
            Some(spans) => Ok(spans),
            None => self.oracle_with_offsets(text),
        }
    }

    /// Ids of a text that comes in words, as the tokens of labelled examples do, and the word that each is of.
    ///
    /// Every word is encoded alone; for byte-level vocabularies with a space before it, the first one too.
    ///
    /// Source: `is_split_into_words=True` of `transformers`, with `add_prefix_space=True` for byte-level vocabularies.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_words<W: AsRef<str>>(&self, words: &[W]) -> Result<WordTokens, CodecError> {
        let mut tokens =
            WordTokens { ids: Vec::new(), word_idx: Vec::new(), num_words: words.len() };
        for (at, word) in words.iter().map(AsRef::as_ref).enumerate() {
            let needs_space =
                self.words_lead_with_space && !word.is_empty() && !word.starts_with(' ');
            let ids =
                if needs_space { self.encode(&[" ", word].concat())? } else { self.encode(word)? };
            tokens.word_idx.extend(ids.iter().map(|_| at));
            tokens.ids.extend(ids);
        }
        Ok(tokens)
    }

    /// Ids of a text in which the mask token is spelt wherever a token is to be guessed; all else is only text.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_masked(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let Some((id, mask)) = self.special.mask.and_then(|id| Some((id, self.token(id)?))) else {
            return self.encode(text);
        };
        // Some mask tokens take the white space beside them.
        let (takes_left, takes_right) =
            added.get(&id).map_or((false, false), |token| (token.lstrip, token.rstrip));
        let pieces: Vec<&str> = text.split(mask.as_str()).collect();
        let mut ids = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                ids.push(id);
            }
            let piece = if takes_left && at + 1 < pieces.len() { piece.trim_end() } else { piece };
            let piece = if takes_right && at > 0 { piece.trim_start() } else { piece };
            ids.extend(self.encode(piece)?);
        }
        Ok(ids)
    }

    /// How the vocabulary spells token `id`; of byte-level ones that is not its text.
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
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

    /// Id of the token that stands for what the vocabulary cannot spell, if there is one.
    pub fn unk(&self) -> Option<u32> {
        self.special.unk
    }

    /// Id of the token that begins what a BERT reads, and whose state classifies it, if the vocabulary names one.
    pub fn cls(&self) -> Option<u32> {
        self.special.cls
    }

    /// Id of the token that ends each text that a BERT reads, if the vocabulary names one.
    pub fn sep(&self) -> Option<u32> {
        self.special.sep
    }

    /// Id of the token that hides another for a masked language model, if the vocabulary names one.
    pub fn mask(&self) -> Option<u32> {
        self.special.mask
    }

    /// Whether a token is special: it stands for no text. The unknown token is not.
    pub fn is_special(&self, id: u32) -> bool {
        self.control_ids.binary_search(&id).is_ok()
    }

    /// Whether token `id` goes on with the word that the token before it is of.
    ///
    /// In byte-level vocabularies a word is a run of letters, digits and characters outside ASCII, with the space before it;
    /// in others, that is what `##` says. Special tokens are no part of a word.
    pub fn continues_word(&self, before: u32, id: u32) -> bool {
        if self.is_special(before) || self.is_special(id) {
            return false;
        }
        let spelling = |id| self.tokenizer.id_to_token(id).unwrap_or_default();
        if self.engine != Engine::ByteLevelBpe {
            return spelling(id).starts_with("##");
        }
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        let bytes = |id| alphabet::bytes_of(&spelling(id)).unwrap_or_default();
        bytes(before).last().is_some_and(|&byte| byte == b' ' || is_of_word(byte))
            && bytes(id).first().is_some_and(|&byte| is_of_word(byte))
    }

    /// Bytes of text that token `id` stands for: what bits per byte divide by. Special tokens stand for none.
    ///
    /// `None` where that is not a property of the token (all vocabularies but those that [`Engine::ByteLevelBpe`]
    /// encodes), and for ids that no token has.
    pub fn token_bytes(&self, id: u32) -> Option<u32> {
        self.own.as_ref()?.token_bytes(id)
    }

    /// Uses our engine if it knows the form of `file` and gives what `tokenizers` gives for the probe text.
    fn choose_engine(&mut self, file: &Value) {
        match recognise(file) {
            Ok(own) if self.agrees(&own) => {
                self.engine = own.engine();
                self.own = Some(own);
            }
            Ok(_) => self.fall_back("it differs from tokenizers on the probe text".to_owned()),
            Err(because) => self.fall_back(because),
        }
    }

    fn agrees(&self, own: &Recognised) -> bool {
        let spans = own.encode_with_offsets(PROBE);
        self.oracle(PROBE).is_ok_and(|ids| ids == own.encode(PROBE))
            && spans
                .is_none_or(|own| self.oracle_with_offsets(PROBE).is_ok_and(|spans| spans == own))
    }

    fn fall_back(&mut self, because: String) {
        self.engine = Engine::Tokenizers { because };
    }

    /// Ids of `text` by `tokenizers`.
    fn oracle(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| encode_error(text, &error))?;
        self.refuse_control(encoding.get_ids())?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of `text` and the bytes they stand for, by `tokenizers`.
    fn oracle_with_offsets(&self, text: &str) -> Result<Vec<TokenSpan>, CodecError> {
        let encoding =
            self.tokenizer.encode(text, false).map_err(|error| encode_error(text, &error))?;
        self.refuse_control(encoding.get_ids())?;
        let spans = encoding.get_ids().iter().zip(encoding.get_offsets());
        Ok(spans.map(|(&id, &(start, end))| TokenSpan { id, start, end }).collect())
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

/// Whether `pre_tokenizer`, or one of a sequence, spells bytes.
fn is_byte_level(pre_tokenizer: &Value) -> bool {
    let parts = pre_tokenizer["pretokenizers"].as_array();
    pre_tokenizer["type"] == "ByteLevel"
        || parts.is_some_and(|parts| parts.iter().any(is_byte_level))
}

impl Special {
    /// Roles as `tokenizer_config.json` names them. Where it is silent, WordPiece vocabularies have BERT's names if they
    /// hold them.
    fn read(
        file: &Value,
        config_json: Option<&[u8]>,
        tokenizer: &Tokenizer,
    ) -> Result<Self, CodecError> {
        let bad =
            |problem: String| CodecError::BadVocabulary { file: TOKENIZER_CONFIG_JSON, problem };
        let config: Value = config_json
            .map_or(Ok(Value::Null), serde_json::from_slice)
            .map_err(|error| bad(error.to_string()))?;
        check_normalizer(&config, &file["normalizer"]).map_err(bad)?;
        let is_word_piece = file["model"]["type"] == "WordPiece";
        let id = |role: &str| {
            // A plain string, or an object that also says how the token matches.
            let token = config[role].as_str().or_else(|| config[role]["content"].as_str());
            let by_default = || {
                let (_, token) = BERT_TOKENS.iter().find(|(known, _)| *known == role)?;
                is_word_piece.then(|| tokenizer.token_to_id(token))?
            };
            match token {
                Some(token) => tokenizer.token_to_id(token).map(Some).ok_or_else(|| {
                    bad(format!("{role} is {token:?}, which {TOKENIZER_JSON} lacks"))
                }),
                None => Ok(by_default()),
            }
        };
        Ok(Self {
            bos: id("bos_token")?,
            eos: id("eos_token")?,
            pad: id("pad_token")?,
            unk: id("unk_token")?,
            cls: id("cls_token")?,
            sep: id("sep_token")?,
            mask: id("mask_token")?,
        })
    }
}

/// Whether `tokenizer_config.json` says of BERT's normalizer what `tokenizer.json` says: programs differ in which of the
/// two they believe.
fn check_normalizer(config: &Value, normalizer: &Value) -> Result<(), String> {
    if normalizer["type"] != "BertNormalizer" {
        return Ok(());
    }
    for (key, theirs) in [
        ("do_lower_case", "lowercase"),
        ("strip_accents", "strip_accents"),
        ("tokenize_chinese_chars", "handle_chinese_chars"),
    ] {
        if let Some(found) = config.get(key)
            && *found != normalizer[theirs]
        {
            let expected = &normalizer[theirs];
            return Err(format!(
                "{key} is {found}, but {TOKENIZER_JSON} has {theirs} = {expected}"
            ));
        }
    }
    Ok(())
}
