//! Training states of every format version are read as they were meant, and written the same today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use model::{
    AdamW, AdamWConfig, Checkpoint, CpuModel, Head, LlamaConfig, ModelError, read_state,
    write_state,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const NOTES: &[u8] = b"{\"step\":3,\"train_loss\":1.5}\n";
const STEP: u64 = 3;
const HEADER_BYTES: usize = 24;

/// What the tensors of a state begin with, and the numerator of their values: `numerator / (1 + place)` in the tensor.
/// No kernel makes them, so they are the same on every machine.
const PARTS: [(&str, f32); 3] =
    [("parameter.", 1.0), ("first_moment.", -0.5), ("second_moment.", 0.25)];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/state")
}

fn good() -> Vec<u8> {
    fs::read(golden()).unwrap()
}

fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 3,
        hidden_size: 2,
        intermediate_size: 2,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 2,
        max_position_embeddings: 4,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn fresh(config: LlamaConfig) -> (CpuModel, AdamW) {
    let model = CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap();
    let optimizer = AdamW::new(AdamWConfig::default(), model.weights()).unwrap();
    (model, optimizer)
}

fn values(numerator: f32, count: usize) -> Vec<f32> {
    (1..).take(count).map(|place: u8| numerator / f32::from(place)).collect()
}

/// The tensors that the file means: name, type, shape and bytes.
fn meant() -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let (model, _) = fresh(config());
    let mut tensors = vec![("step".to_owned(), Dtype::U64, vec![], STEP.to_le_bytes().to_vec())];
    for entry in model.weights().iter() {
        for (prefix, numerator) in PARTS {
            let values = values(numerator, entry.shape.iter().product());
            let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
            let name = format!("{prefix}{}", entry.name);
            tensors.push((name, Dtype::F32, entry.shape.clone(), bytes));
        }
    }
    tensors
}

/// The state of `meant` as this build writes it: put together by hand, read, and written.
fn written() -> Vec<u8> {
    let tensors = meant();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let mut state = b"SBSTATE\0".to_vec();
    state.extend(1u64.to_le_bytes());
    state.extend((NOTES.len() as u64).to_le_bytes());
    state.extend(NOTES);
    state.extend(safetensors::serialize(views, None).unwrap());
    rewritten(&state)
}

fn rewritten(state: &[u8]) -> Vec<u8> {
    let (mut model, mut optimizer) = fresh(config());
    let notes = read_state(state, &golden(), &mut model, &mut optimizer).unwrap();
    let mut bytes = Vec::new();
    write_state(&mut bytes, notes, &model, &optimizer).unwrap();
    bytes
}

#[test]
#[ignore = "writes the golden file anew, which is right only before a version is released"]
fn write_golden() {
    fs::write(golden(), written()).unwrap();
}

#[test]
fn a_state_is_read_as_it_was_meant_and_written_the_same() {
    let good = good();
    let (mut model, mut optimizer) = fresh(config());
    assert_eq!(read_state(&good, &golden(), &mut model, &mut optimizer).unwrap(), NOTES);
    assert_eq!(optimizer.steps(), STEP);
    for entry in model.weights().iter() {
        assert_eq!(entry.value.values(), values(1.0, entry.value.values().len()), "{}", entry.name);
    }
    let said = "states are written with other bytes: raise their version";
    assert!(rewritten(&good) == good && written() == good, "{said}");
}

#[test]
fn the_tensors_of_a_state_are_safetensors_behind_the_notes() {
    let good = good();
    assert_eq!(&good[HEADER_BYTES..][..NOTES.len()], NOTES);
    let tensors = SafeTensors::deserialize(&good[HEADER_BYTES + NOTES.len()..]).unwrap();
    let meant = meant();
    assert_eq!(tensors.len(), meant.len());
    for (name, dtype, shape, bytes) in &meant {
        let found = tensors.tensor(name).unwrap();
        assert_eq!((found.dtype(), found.shape(), found.data()), (*dtype, &shape[..], &bytes[..]));
    }
}

#[track_caller]
fn refused(config: LlamaConfig, change: impl FnOnce(&mut Vec<u8>)) -> ModelError {
    let mut bytes = good();
    change(&mut bytes);
    let (mut model, mut optimizer) = fresh(config);
    read_state(&bytes, Path::new("state"), &mut model, &mut optimizer).unwrap_err()
}

#[test]
fn cut_foreign_and_newer_states_are_refused() {
    let not_a_state = |found: &'static str, change: &dyn Fn(&mut Vec<u8>)| {
        let error = refused(config(), change);
        assert!(matches!(error, ModelError::NotAState { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("state: found {found}, expected a training state"));
    };
    not_a_state("a file of fewer than 24 bytes", &|bytes| bytes.truncate(HEADER_BYTES - 1));
    not_a_state("a file that ends in its notes", &|bytes| bytes.truncate(HEADER_BYTES + 1));
    not_a_state("another start", &|bytes| bytes[..8].copy_from_slice(b"SEEDPTC\0"));
    let cut = refused(config(), |bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(cut, ModelError::Safetensors { .. }), "{cut:?}");
    assert_eq!(cut.to_string(), "state: not a safetensors file");
    let newer = refused(config(), |bytes| bytes[8] = 2);
    assert!(matches!(newer, ModelError::StateTooNew { found: 2, supported: 1, .. }), "{newer:?}");
    assert_eq!(
        newer.to_string(),
        "state: training state version 2; this build reads up to 1: use a newer seedbed"
    );
}

#[test]
fn the_state_of_another_model_is_refused() {
    let wider = LlamaConfig { intermediate_size: 3, ..config() };
    let error = refused(wider, |_| {});
    assert!(matches!(error, ModelError::WrongShape { .. }), "{error:?}");
    let untied = LlamaConfig { tie_word_embeddings: false, ..config() };
    let error = refused(untied, |_| {});
    assert!(matches!(error, ModelError::MissingTensor { .. }), "{error:?}");
}
