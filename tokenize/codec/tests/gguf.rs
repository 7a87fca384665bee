//! Vocabularies in GGUF files; ids by `reference/gguf_vocabulary.py`, which merges as llama.cpp does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::{Codec, CodecError, tokenizer_files_of_gguf};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Fixture {
    metadata: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pre: String,
    text: String,
    ids: Vec<u32>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("reference/gguf_vocabulary.json")).unwrap()
}

/// The keys of the fixture with this one in place of what it was.
fn with(key: &str, value: Value) -> Map<String, Value> {
    let mut metadata = fixture().metadata;
    metadata.insert("tokenizer.ggml.pre".to_owned(), json!("smollm"));
    metadata.insert(key.to_owned(), value);
    metadata
}

fn load(metadata: &Map<String, Value>) -> Result<Codec, CodecError> {
    let [tokenizer, config] = tokenizer_files_of_gguf(metadata)?;
    Codec::load(&tokenizer.bytes, Some(&config.bytes))
}

fn file(metadata: &Map<String, Value>, at: usize) -> Value {
    serde_json::from_slice(&tokenizer_files_of_gguf(metadata).unwrap()[at].bytes).unwrap()
}

#[test]
fn ids_are_those_of_llama_cpp() {
    let Fixture { cases, .. } = fixture();
    assert_eq!(cases.len(), 27);
    for Case { pre, text, ids } in cases {
        let codec = load(&with("tokenizer.ggml.pre", json!(pre))).unwrap();
        assert_eq!(codec.encode(&text).unwrap(), ids, "{pre}: {text:?}");
        assert_eq!(codec.decode(&ids).unwrap(), text, "{pre}");
    }
}

#[test]
fn kinds_of_tokens_say_what_text_may_be() {
    let metadata = with("tokenizer.ggml.padding_token_id", json!(3));
    let codec = load(&metadata).unwrap();
    let tokens = metadata["tokenizer.ggml.tokens"].as_array().unwrap();
    let id = |token: &str| {
        u32::try_from(tokens.iter().position(|other| other == token).unwrap()).unwrap()
    };
    assert_eq!(
        (codec.bos(), codec.eos(), codec.pad(), codec.unk()),
        (Some(0), Some(0), Some(3), None)
    );
    assert!(codec.is_special(0) && codec.is_special(3) && !codec.is_special(id("<unit>")));
    assert_eq!(codec.encode("<unit>").unwrap(), [id("<unit>")]);
    assert_eq!(codec.vocab_size(), tokens.len() - 1, "the unused token at the end is left out");
}

#[test]
fn what_stands_around_a_text_is_told_to_other_programs() {
    let config = file(&with("tokenizer.ggml.pre", json!("smollm")), 1);
    assert_eq!(config["chat_template"], "{{ messages[0]['content'] }}");
    assert_eq!(
        (&config["add_bos_token"], &config["bos_token"]),
        (&json!(false), &json!("<|endoftext|>"))
    );
    let template = |key: &str, value: Value| file(&with(key, value), 0)["post_processor"].clone();
    assert_eq!(template("tokenizer.ggml.add_bos_token", json!(false)), Value::Null);
    let single = |part: Value| json!([part, {"Sequence": {"id": "A", "type_id": 0}}]);
    let bos = json!({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}});
    assert_eq!(
        template("tokenizer.ggml.add_bos_token", json!(true))["single"],
        single(bos.clone())
    );
    assert_eq!(template("tokenizer.ggml.pre", json!("llama-bpe"))["single"], single(bos));
    assert_eq!(
        template("tokenizer.ggml.add_eos_token", json!(true))["single"][1]["SpecialToken"]["id"],
        "<|endoftext|>"
    );
}

#[track_caller]
fn refused(key: &str, value: Value, message: &str) {
    assert_eq!(load(&with(key, value)).err().unwrap().to_string(), message);
}

#[test]
fn what_cannot_be_used_is_told_by_its_key() {
    refused(
        "tokenizer.ggml.model",
        json!("llama"),
        "`tokenizer.ggml.model` is \"llama\"; expected \"gpt2\", for of other vocabularies the model's own \
         tokenizer.json is needed",
    );
    refused(
        "tokenizer.ggml.pre",
        json!("tekken"),
        "`tokenizer.ggml.pre` is \"tekken\"; expected \"gpt-2\", \"smollm\" or \"llama-bpe\", for of other patterns the \
         model's own tokenizer.json is needed",
    );
    refused(
        "tokenizer.ggml.tokens",
        json!([1]),
        "`tokenizer.ggml.tokens` is \"a list of 1\"; expected a list of texts",
    );
    refused(
        "tokenizer.ggml.merges",
        Value::Null,
        "`tokenizer.ggml.merges` is null; expected a list of texts",
    );
    refused(
        "tokenizer.ggml.merges",
        json!(["t q"]),
        "`tokenizer.ggml.merges` is \"t q\"; expected two tokens that together are one",
    );
    refused(
        "tokenizer.ggml.token_type",
        json!([6]),
        "`tokenizer.ggml.token_type` is \"a list of 1\"; expected a list of 413, one for each token",
    );
    refused(
        "tokenizer.ggml.eos_token_id",
        json!(412),
        "`tokenizer.ggml.eos_token_id` is 412; expected the id of one of the 412 tokens in use",
    );
    refused(
        "tokenizer.ggml.add_bos_token",
        json!(1),
        "`tokenizer.ggml.add_bos_token` is 1; expected true or false",
    );
    let mut twice = fixture().metadata["tokenizer.ggml.tokens"].clone();
    twice[1] = json!("q");
    refused(
        "tokenizer.ggml.tokens",
        twice,
        "`tokenizer.ggml.tokens` is \"q twice\"; expected each token once",
    );
}
