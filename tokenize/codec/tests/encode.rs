//! Encoding and decoding against tokenizers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::{Codec, CodecError, Engine, PretokenCounts, Vocabulary};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use tokenizers::Tokenizer;

const SAMPLE: &str = include_str!("reference/sample.txt");

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut counts = PretokenCounts::default();
    counts.count(SAMPLE).unwrap();
    counts.count(&"ab".repeat(500)).unwrap();
    Vocabulary::train(&counts, 400, |_| Ok::<_, CodecError>(())).unwrap()
});

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::of(&VOCABULARY).unwrap());

static ORACLE: LazyLock<Tokenizer> = LazyLock::new(|| {
    let mut oracle = Tokenizer::from_bytes(&VOCABULARY.files()[0].bytes).unwrap();
    oracle.set_encode_special_tokens(true);
    oracle
});

fn oracle(text: &str) -> Vec<u32> {
    ORACLE.encode(text, false).unwrap().get_ids().to_vec()
}

/// The codec of the test vocabulary with `change` made to its `tokenizer.json`.
fn changed(change: impl FnOnce(&mut Value)) -> Codec {
    let mut file: Value = serde_json::from_slice(&VOCABULARY.files()[0].bytes).unwrap();
    change(&mut file);
    Codec::load(file.to_string().as_bytes(), None).unwrap()
}

#[track_caller]
fn check_fallback(expected: &str, change: impl FnOnce(&mut Value)) -> Codec {
    let codec = changed(change);
    assert_eq!(codec.engine(), &Engine::Tokenizers { because: expected.to_owned() });
    codec
}

#[test]
fn our_engine_encodes_our_vocabulary() {
    assert_eq!(CODEC.engine(), &Engine::ByteLevelBpe);
    assert_eq!(CODEC.engine().name(), "byte-level-bpe");
    assert_eq!(CODEC.vocab_size(), 400);
    assert_eq!((CODEC.bos(), CODEC.eos(), CODEC.pad()), (Some(0), Some(0), Some(0)));
}

#[test]
fn pathological_runs_are_encoded_as_tokenizers_does() {
    for run in ["a", "ab", "abc", "0", "-", " ", "\n", "é", "日", "😀", "'", "the", " the"] {
        for times in [1, 2, 3, 7, 64, 5000] {
            let text = run.repeat(times);
            assert_eq!(CODEC.encode(&text).unwrap(), oracle(&text), "{run:?} x {times}");
        }
    }
    assert_eq!(CODEC.encode(SAMPLE).unwrap(), oracle(SAMPLE));
}

#[test]
fn a_pretoken_of_a_million_bytes_takes_no_time() {
    let text = "ab".repeat(500_000);
    let ids = CODEC.encode(&text).unwrap();
    assert_eq!(CODEC.decode(&ids).unwrap(), text);
}

#[test]
fn special_tokens_in_text_are_text() {
    let text = "a<|endoftext|>b";
    let ids = CODEC.encode(text).unwrap();
    assert!(!ids.contains(&0), "{ids:?}");
    assert_eq!(CODEC.decode(&ids).unwrap(), text);
    let fallback =
        check_fallback("it has a normalizer", |file| file["normalizer"] = json!({"type": "NFC"}));
    assert_eq!(fallback.encode(text).unwrap(), ids);
    assert!(fallback.encode_with_offsets(text).unwrap().iter().all(|token| token.id != 0));
}

#[test]
fn a_model_that_matches_special_text_itself_is_refused() {
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "added_tokens": [{
            "id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }],
        "model": {"type": "WordLevel", "vocab": {"a": 0, "</s>": 1, "?": 2}, "unk_token": "?"}
    });
    let codec = Codec::load(file.to_string().as_bytes(), None).unwrap();
    assert_eq!(codec.encode("a").unwrap(), [0]);
    assert_eq!(
        codec.encode("</s>").unwrap_err().to_string(),
        "the text holds \"</s>\", which this vocabulary can only encode as the special token 1"
    );
}

#[test]
fn truncation_padding_and_templates_do_not_leak_in() {
    let text = SAMPLE.repeat(2);
    let codec = changed(|file| {
        file["truncation"] = json!({
            "max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"
        });
        file["padding"] = json!({
            "strategy": {"Fixed": 100_000}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"
        });
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}
            ],
            "pair": [],
            "special_tokens": {
                "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
            }
        });
    });
    assert_eq!(codec.engine(), &Engine::ByteLevelBpe);
    assert_eq!(codec.encode(&text).unwrap(), oracle(&text));
    assert_eq!(codec.encode_with_offsets(&text).unwrap().len(), oracle(&text).len());
}

#[test]
fn what_is_not_recognised_falls_back() {
    check_fallback("its pre-tokenizer is not GPT-2's", |file| {
        file["pre_tokenizer"]["add_prefix_space"] = json!(true);
    });
    check_fallback("its merges have dropout", |file| file["model"]["dropout"] = json!(0.5));
    check_fallback("it ignores merges", |file| file["model"]["ignore_merges"] = json!(true));
    check_fallback("it falls back to bytes", |file| file["model"]["byte_fallback"] = json!(true));
    check_fallback("it adds tokens to be found in text", |file| {
        file["added_tokens"][0]["special"] = json!(false);
    });
    check_fallback("it lacks byte 0x21", |file| {
        let vocab = file["model"]["vocab"].as_object_mut().unwrap();
        vocab.remove("!");
        file["model"]["merges"] = json!([]);
    });
}

#[test]
fn merges_of_older_files_are_read() {
    let codec = changed(|file| {
        for merge in file["model"]["merges"].as_array_mut().unwrap() {
            *merge =
                json!(format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()));
        }
    });
    assert_eq!(codec.engine(), &Engine::ByteLevelBpe);
    assert_eq!(codec.encode(SAMPLE).unwrap(), oracle(SAMPLE));
}

#[test]
fn bad_files_are_named() {
    let message = |tokenizer: &[u8], config: &[u8]| {
        Codec::load(tokenizer, Some(config)).err().unwrap().to_string()
    };
    let [tokenizer, ..] = VOCABULARY.files();
    assert!(message(b"{", b"{}").starts_with("tokenizer.json: "));
    assert!(message(b"{}", b"{}").starts_with("tokenizer.json: "));
    assert!(message(&tokenizer.bytes, b"[").starts_with("tokenizer_config.json: "));
    assert_eq!(
        message(&tokenizer.bytes, br#"{"eos_token": {"content": "</s>"}}"#),
        "tokenizer_config.json: eos_token is \"</s>\", which tokenizer.json lacks"
    );
}

#[test]
fn unknown_ids_are_refused() {
    assert_eq!(
        CODEC.decode(&[1, 400]).unwrap_err().to_string(),
        "token id 400; this vocabulary has 400 tokens"
    );
}

#[test]
fn special_tokens_stand_for_no_bytes() {
    assert_eq!(CODEC.token_bytes(0), Some(0));
    assert_eq!(CODEC.token_bytes(1), Some(1));
    assert_eq!(CODEC.token_bytes(400), None);
}

proptest! {
    #[test]
    fn any_text_is_encoded_as_tokenizers_does(text in "\\PC*|[\\s\\S]*|([a-d 0-9']|the|  |\n|é|<\\|endoftext\\|>)*") {
        let ids = CODEC.encode(&text).unwrap();
        prop_assert_eq!(&ids, &oracle(&text));
        prop_assert_eq!(CODEC.decode(&ids).unwrap(), text.as_str());
        let bytes: u32 = ids.iter().map(|&id| CODEC.token_bytes(id).unwrap()).sum();
        prop_assert_eq!(bytes as usize, text.len());
        let spans = CODEC.encode_with_offsets(&text).unwrap();
        prop_assert!(spans.iter().map(|span| span.id).eq(ids));
        prop_assert_eq!(spans.last().map_or(0, |span| span.end), text.len());
        prop_assert!(spans.iter().all(|span| text.get(span.start..span.end).is_some()));
    }
}
