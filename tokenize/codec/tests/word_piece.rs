//! WordPiece against tokenizers, and against numbers of transformers from `reference/word_piece.py`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use codec::{Codec, CodecError, Engine, TokenSpan, tokenizer_json_of_vocab_txt};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

const TOKENIZER: &str = include_str!("reference/word_piece/tokenizer.json");
const CONFIG: &str = include_str!("reference/word_piece/tokenizer_config.json");
const VOCAB: &str = include_str!("reference/word_piece/vocab.txt");

#[derive(Deserialize)]
struct Reference {
    texts: Vec<Text>,
    words: Vec<Words>,
    byte_level_words: Vec<Words>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    /// Bytes.
    offsets: Vec<(usize, usize)>,
}

#[derive(Deserialize)]
struct Words {
    words: Vec<String>,
    ids: Vec<u32>,
    word_idx: Vec<usize>,
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_str(include_str!("reference/word_piece.json")).unwrap());

/// Ours and tokenizers, for the same file.
struct Pair {
    codec: Codec,
    oracle: Tokenizer,
}

impl Pair {
    fn of(tokenizer: &[u8]) -> Self {
        let mut oracle = Tokenizer::from_bytes(tokenizer).unwrap();
        oracle.with_truncation(None).unwrap();
        oracle.with_padding(None);
        oracle.set_encode_special_tokens(true);
        let codec = Codec::load(tokenizer, None).unwrap();
        assert_eq!(codec.engine(), &Engine::WordPiece);
        Self { codec, oracle }
    }

    #[track_caller]
    fn check(&self, text: &str) {
        let encoding = self.oracle.encode(text, false).unwrap();
        let spans = encoding.get_ids().iter().zip(encoding.get_offsets());
        let spans: Vec<TokenSpan> =
            spans.map(|(&id, &(start, end))| TokenSpan { id, start, end }).collect();
        assert_eq!(self.codec.encode_with_offsets(text).unwrap(), spans, "{text:?}");
        assert_eq!(self.codec.encode(text).unwrap(), encoding.get_ids(), "{text:?}");
    }
}

/// A vocabulary of single characters, with every way to normalize: [cleaned, spaced, stripped, lowered].
fn normalized(clean: bool, space: bool, strip: Option<bool>, lower: bool, vocab: &Value) -> Pair {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    file["normalizer"] = json!({
        "type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": space,
        "strip_accents": strip, "lowercase": lower
    });
    file["model"]["vocab"] = vocab.clone();
    Pair::of(file.to_string().as_bytes())
}

/// Special tokens, the characters of scripts with letters, first and later in a word, and ideographs.
fn characters() -> Value {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let characters = |codes: std::ops::Range<u32>| codes.filter_map(char::from_u32);
    let letters = characters(0x20..0x3100).flat_map(|c| [c.to_string(), format!("##{c}")]);
    let ideographs = characters(0x3400..0xA000).map(String::from);
    let vocab = special.into_iter().chain(letters).chain(ideographs).zip(0u32..);
    Value::Object(vocab.map(|(token, id)| (token, id.into())).collect::<Map<_, _>>())
}

/// Uncased, cased, and each with something left out.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let vocab = characters();
    [
        (true, true, None, true),
        (true, true, None, false),
        (true, true, Some(false), true),
        (true, false, Some(true), false),
        (false, true, Some(true), true),
        (false, false, None, false),
    ]
    .map(|(clean, space, strip, lower)| normalized(clean, space, strip, lower, &vocab))
    .into()
});

static SMALL: LazyLock<Pair> = LazyLock::new(|| Pair::of(TOKENIZER.as_bytes()));

fn small() -> Codec {
    Codec::load(TOKENIZER.as_bytes(), Some(CONFIG.as_bytes())).unwrap()
}

#[test]
fn ids_and_offsets_are_those_of_transformers() {
    let codec = small();
    assert_eq!(codec.engine().name(), "word-piece");
    assert!(REFERENCE.texts.len() > 15);
    for Text { text, ids, offsets } in &REFERENCE.texts {
        assert_eq!(&codec.encode(text).unwrap(), ids, "{text:?}");
        let spans = codec.encode_with_offsets(text).unwrap();
        assert!(spans.iter().map(|span| span.id).eq(ids.iter().copied()), "{text:?}");
        assert!(
            spans.iter().map(|span| (span.start, span.end)).eq(offsets.iter().copied()),
            "{text:?}"
        );
    }
}

#[test]
fn tokens_of_words_are_those_of_transformers() {
    let byte_level = Codec::load(
        include_bytes!("reference/vocabulary/tokenizer.json"),
        Some(include_bytes!("reference/vocabulary/tokenizer_config.json")),
    );
    for (codec, cases) in
        [(small(), &REFERENCE.words), (byte_level.unwrap(), &REFERENCE.byte_level_words)]
    {
        assert_eq!(cases.len(), 5);
        for case in cases {
            let found = codec.encode_words(&case.words).unwrap();
            assert_eq!((&found.ids, &found.word_idx), (&case.ids, &case.word_idx));
            assert_eq!(found.num_words, case.words.len());
        }
    }
}

#[test]
fn special_tokens_have_their_roles() {
    let plain = Codec::load(TOKENIZER.as_bytes(), None).unwrap();
    for codec in [small(), plain] {
        let roles = (codec.pad(), codec.unk(), codec.cls(), codec.sep(), codec.mask());
        assert_eq!(roles, (Some(0), Some(1), Some(2), Some(3), Some(4)));
        assert_eq!((codec.bos(), codec.eos()), (None, None));
        assert_eq!(codec.token_bytes(20), None);
        let ids = codec.encode("[CLS] a [SEP]").unwrap();
        assert!(ids.iter().all(|id| !(2..5).contains(id)), "{ids:?}");
    }
}

#[test]
fn a_list_of_tokens_is_a_vocabulary() {
    let tokenizer = tokenizer_json_of_vocab_txt(VOCAB.as_bytes(), Some(CONFIG.as_bytes())).unwrap();
    assert_eq!(tokenizer.name, "tokenizer.json");
    let codec = Codec::load(&tokenizer.bytes, Some(CONFIG.as_bytes())).unwrap();
    assert_eq!(codec.engine(), &Engine::WordPiece);
    assert_eq!((codec.vocab_size(), codec.mask()), (small().vocab_size(), Some(4)));
    for Text { text, ids, .. } in &REFERENCE.texts {
        assert_eq!(&codec.encode(text).unwrap(), ids, "{text:?}");
    }
    let dos = VOCAB.replace('\n', "\r\n");
    assert_eq!(tokenizer_json_of_vocab_txt(dos.as_bytes(), None).unwrap(), tokenizer);
    let cased = br#"{"do_lower_case": false, "unk_token": {"content": "?"}}"#;
    let cased = tokenizer_json_of_vocab_txt("?\nA\n".as_bytes(), Some(cased)).unwrap();
    let cased = Codec::load(&cased.bytes, None).unwrap();
    assert_eq!(cased.encode("A a").unwrap(), [1, 0]);
}

#[test]
fn bad_files_are_named() {
    let message = |vocab: &[u8], config: &[u8]| {
        tokenizer_json_of_vocab_txt(vocab, Some(config)).unwrap_err().to_string()
    };
    assert_eq!(message(b"a\n", b"{}"), "vocab.txt: it lacks \"[UNK]\", the unknown token");
    assert!(message(b"\xff", b"{}").starts_with("vocab.txt: invalid utf-8"));
    assert!(message(b"[UNK]", b"{").starts_with("tokenizer_config.json: "));
    let message = |config: &str| {
        let loaded: Result<Codec, CodecError> =
            Codec::load(TOKENIZER.as_bytes(), Some(config.as_bytes()));
        loaded.err().unwrap().to_string()
    };
    assert_eq!(
        message(r#"{"do_lower_case": false}"#),
        "tokenizer_config.json: do_lower_case is false, but tokenizer.json has lowercase = true"
    );
    assert_eq!(
        message(r#"{"cls_token": "<s>"}"#),
        "tokenizer_config.json: cls_token is \"<s>\", which tokenizer.json lacks"
    );
}

#[test]
fn what_is_not_recognised_falls_back() {
    let check = |expected: &str, change: fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
        change(&mut file);
        let codec = Codec::load(file.to_string().as_bytes(), None).unwrap();
        assert_eq!(codec.engine(), &Engine::Tokenizers { because: expected.to_owned() });
        assert_eq!(codec.encode("a b").unwrap(), SMALL.codec.encode("a b").unwrap());
        let words = codec.encode_words(&["a", "", "b"]).unwrap();
        assert_eq!(words, SMALL.codec.encode_words(&["a", "", "b"]).unwrap());
    };
    check("its normalizer is not BERT's", |file| file["normalizer"] = json!({"type": "Lowercase"}));
    check("its pre-tokenizer is not BERT's", |file| {
        file["pre_tokenizer"] = json!({"type": "Whitespace"});
    });
    check("it adds tokens to be found in text", |file| {
        file["added_tokens"][0]["special"] = json!(false);
    });
    check("text can be the special token \"pad\"", |file| {
        file["added_tokens"][0]["content"] = json!("pad");
        let vocab = file["model"]["vocab"].as_object_mut().unwrap();
        vocab.remove("[PAD]");
        vocab.insert("pad".to_owned(), json!(0));
    });
}

#[test]
fn long_words_are_unknown_and_take_no_time() {
    let codec = small();
    assert_eq!(codec.encode(&"in".repeat(500_000)).unwrap(), [1]);
    let ids = codec.encode(&"日".repeat(300_000)).unwrap();
    assert_eq!(ids, codec.encode("日").unwrap().repeat(300_000));
    for run in ["in", "é", "e\u{301}", "İ", "\u{1112}\u{1161}", "한", "\u{0}a", "'", "\u{301}"] {
        for times in [1, 49, 50, 51, 99, 100, 101, 5000] {
            SMALL.check(&run.repeat(times));
        }
    }
}

#[test]
fn every_character_is_encoded_as_tokenizers_does() {
    // Takes seconds, as tokenizers does. Characters that the vocabularies lack tell by their words.
    let check = |pair: &Pair, codes: std::ops::Range<u32>| {
        for start in codes.step_by(64) {
            let chars = (start..start + 64).filter_map(char::from_u32);
            // Alone, inside a word, at marks of other combining classes, before a punctuation mark.
            pair.check(
                &chars
                    .flat_map(|c| [c, ' ', 'b', c, '\u{301}', '\u{323}', '.'])
                    .collect::<String>(),
            );
        }
    };
    PAIRS.iter().for_each(|pair| check(pair, 0..0x3100));
    PAIRS.iter().for_each(|pair| check(pair, 0xF800..0x1_0000));
    check(&PAIRS[0], 0x3100..0x2_0000);
    // Ideographs, at the bounds of their blocks.
    for start in
        [0x2_0000, 0x2_A6C0, 0x2_A700, 0x2_B700, 0x2_B800, 0x2_B900, 0x2_CE80, 0x2_F800, 0x2_FA00]
    {
        check(&PAIRS[0], start..start + 256);
    }
}

proptest! {
    #[test]
    fn any_text_is_encoded_as_tokenizers_does(
        text in "\\PC*|[\\s\\S]*|([a-dA-D ,.]|the|in|é|É|\u{301}|\u{323}|日|한|İ|ß|Σ|\u{200b}|\u{a0}|\\[SEP\\]|ing|\n)*"
    ) {
        SMALL.check(&text);
        for pair in PAIRS.iter() {
            pair.check(&text);
        }
        let spans = SMALL.codec.encode_with_offsets(&text).unwrap();
        prop_assert!(spans.iter().all(|span| text.get(span.start..span.end).is_some_and(|text| !text.is_empty())));
        prop_assert!(spans.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].end <= pair[1].end));
    }

    #[test]
    fn words_that_are_joined_by_spaces_have_the_tokens_of_the_text(words in prop::collection::vec("[a-z,.é日]{0,9}", 0..9)) {
        let tokens = SMALL.codec.encode_words(&words).unwrap();
        prop_assert_eq!(&tokens.ids, &SMALL.codec.encode(&words.join(" ")).unwrap());
        prop_assert!(tokens.word_idx.is_sorted());
        prop_assert_eq!(tokens.word_idx.len(), tokens.ids.len());
    }
}

/// Files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Says it even where the output of tests that pass is not shown.
fn say(what: &str) {
    io::stderr().write_all(format!("{what}\n").as_bytes()).unwrap();
}

/// The vocabulary in the directory that SEEDBED_BERT names, on all files below the one that SEEDBED_TEXTS names.
#[test]
fn real_text_is_encoded_as_tokenizers_does() {
    let (Ok(bert), Ok(texts)) = (env::var("SEEDBED_BERT"), env::var("SEEDBED_TEXTS")) else {
        say("skipped: SEEDBED_BERT and SEEDBED_TEXTS name no directories");
        return;
    };
    let config = fs::read(Path::new(&bert).join("tokenizer_config.json")).unwrap();
    let vocab = fs::read(Path::new(&bert).join("vocab.txt")).unwrap();
    let listed = tokenizer_json_of_vocab_txt(&vocab, Some(&config)).unwrap();
    let mut vocabularies = vec![Pair::of(&listed.bytes)];
    if let Ok(whole) = fs::read(Path::new(&bert).join("tokenizer.json")) {
        vocabularies.push(Pair::of(&whole));
    }
    let (mut bytes, mut num_files) = (0, 0);
    for path in files(Path::new(&texts)) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        for pair in &vocabularies {
            text.split_inclusive("\n\n").for_each(|part| pair.check(part));
        }
        bytes += text.len();
        num_files += 1;
    }
    say(&format!("{num_files} files of {bytes} bytes, {} vocabularies", vocabularies.len()));
    assert!(bytes > 0);
}
