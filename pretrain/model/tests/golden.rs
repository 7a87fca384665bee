//! Training states of every format version are read as they were meant, and written the same today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use model::{
    AdamWConfig, Checkpoint, CpuModel, Freeze, Head, LlamaConfig, ModelError, MuonConfig,
    Optimizer, OptimizerConfig, Part, read_state, write_state,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const NOTES: &[u8] = b"{\"step\":3,\"train_loss\":1.5}\n";
const STEP: u64 = 3;
const HEADER_BYTES: usize = 24;

/// What the tensors of a state begin with, and the numerator of their values: `numerator / (1 + place)` in the tensor.
/// No kernel makes them, so they are the same on every machine.
const PARTS: [(&str, f32); 4] =
    [("parameter.", 1.0), ("first_moment.", -0.5), ("second_moment.", 0.25), ("momentum.", 0.125)];

/// Version 1 is of AdamW alone, for all parameters; that of version 2 here, of Muon with the embeddings frozen.
const VERSIONS: [u64; 2] = [1, 2];

fn golden(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}/state"))
}

fn good(version: u64) -> Vec<u8> {
    fs::read(golden(version)).unwrap()
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
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn fresh(config: LlamaConfig, version: u64) -> (CpuModel, Optimizer) {
    let model = CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap();
    let embeddings = version > 1;
    let gradients = model.gradients_except(&Freeze { embeddings, layers: 0 }).unwrap();
    let config: OptimizerConfig =
        if version > 1 { MuonConfig::default().into() } else { AdamWConfig::default().into() };
    let optimizer = Optimizer::new(config, &gradients).unwrap();
    (model, optimizer)
}

fn values(numerator: f32, count: usize) -> Vec<f32> {
    (1..).take(count).map(|place: u8| numerator / f32::from(place)).collect()
}

/// Which of [`PARTS`] a state has of a parameter.
fn parts(version: u64, part: Part, is_matrix: bool) -> &'static [usize] {
    match (version, part) {
        (2, Part::Embeddings) => &[0],
        (2, Part::Layer(_)) if is_matrix => &[0, 3],
        _ => &[0, 1, 2],
    }
}

/// The tensors that a file means: name, type, shape and bytes.
fn meant(version: u64) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let (model, _) = fresh(config(), version);
    let mut tensors = vec![("step".to_owned(), Dtype::U64, vec![], STEP.to_le_bytes().to_vec())];
    for entry in model.weights().iter() {
        for at in parts(version, entry.part, entry.shape.len() > 1) {
            let (prefix, numerator) = PARTS[*at];
            let values = values(numerator, entry.shape.iter().product());
            let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
            let name = format!("{prefix}{}", entry.name);
            tensors.push((name, Dtype::F32, entry.shape.clone(), bytes));
        }
    }
    tensors
}

/// The state of `meant` as this build writes it: put together by hand, read, and written.
fn written(version: u64) -> Vec<u8> {
    let tensors = meant(version);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let mut state = b"SBSTATE\0".to_vec();
    state.extend(version.to_le_bytes());
    state.extend((NOTES.len() as u64).to_le_bytes());
    state.extend(NOTES);
    state.extend(safetensors::serialize(views, None).unwrap());
    rewritten(version, &state)
}

fn rewritten(version: u64, state: &[u8]) -> Vec<u8> {
    let (mut model, mut optimizer) = fresh(config(), version);
    let notes = read_state(state, &golden(version), &mut model, &mut optimizer).unwrap();
    let mut bytes = Vec::new();
    write_state(&mut bytes, notes, &model, &optimizer).unwrap();
    bytes
}

#[test]
#[ignore = "writes the golden file anew, which is right only before a version is released"]
fn write_golden() {
    fs::write(golden(2), written(2)).unwrap();
}

#[test]
fn a_state_is_read_as_it_was_meant_and_written_the_same() {
    for version in VERSIONS {
        let good = good(version);
        let (mut model, mut optimizer) = fresh(config(), version);
        let notes = read_state(&good, &golden(version), &mut model, &mut optimizer).unwrap();
        assert_eq!((notes, optimizer.steps()), (NOTES, STEP));
        for entry in model.weights().iter() {
            let found = entry.value.values();
            assert_eq!(found, values(1.0, found.len()), "{}", entry.name);
        }
        // What was read of version 1 is written as version 2.
        let mut expected = good.clone();
        expected[8] = 2;
        let said = "states are written with other bytes: raise their version";
        assert!(rewritten(version, &good) == expected && written(version) == expected, "{said}");
    }
}

#[test]
fn the_tensors_of_a_state_are_safetensors_behind_the_notes() {
    for version in VERSIONS {
        let good = good(version);
        assert_eq!(&good[HEADER_BYTES..][..NOTES.len()], NOTES);
        let tensors = SafeTensors::deserialize(&good[HEADER_BYTES + NOTES.len()..]).unwrap();
        let meant = meant(version);
        assert_eq!(tensors.len(), meant.len());
        for (name, dtype, shape, bytes) in &meant {
            let found = tensors.tensor(name).unwrap();
            let found = (found.dtype(), found.shape(), found.data());
            assert_eq!(found, (*dtype, &shape[..], &bytes[..]));
        }
    }
}

#[track_caller]
fn refused(config: LlamaConfig, change: impl FnOnce(&mut Vec<u8>)) -> ModelError {
    let mut bytes = good(1);
    change(&mut bytes);
    let (mut model, mut optimizer) = fresh(config, 1);
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
    let ModelError::Truncated { found, expected, .. } = cut else { panic!("{cut:?}") };
    assert_eq!(found + 1, expected);
    let newer = refused(config(), |bytes| bytes[8] = 3);
    assert!(matches!(newer, ModelError::StateTooNew { found: 3, supported: 2, .. }), "{newer:?}");
    assert_eq!(
        newer.to_string(),
        "state: training state version 3; this build reads up to 2: use a newer seedbed"
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

#[test]
fn the_state_of_another_optimizer_is_refused() {
    let refused = |state: u64, optimizer: u64| {
        let (mut model, mut optimizer) = fresh(config(), optimizer);
        let before = model.to_checkpoint();
        let error =
            read_state(&good(state), Path::new("state"), &mut model, &mut optimizer).unwrap_err();
        assert!(model.to_checkpoint() == before && optimizer.steps() == 0);
        error.to_string()
    };
    assert_eq!(
        refused(1, 2),
        "state: tensor `momentum.model.layers.0.self_attn.q_proj.weight` is missing; expected it with shape [2, 2]"
    );
    assert_eq!(
        refused(2, 1),
        "state: tensor `first_moment.model.embed_tokens.weight` is missing; expected it with shape [3, 2]"
    );
}

#[test]
fn a_state_with_more_than_is_trained_is_refused() {
    let model = CpuModel::from_checkpoint(Checkpoint::fresh(config(), 1).unwrap()).unwrap();
    let frozen = model.gradients_except(&Freeze { embeddings: true, layers: 0 }).unwrap();
    let mut optimizer = Optimizer::new(AdamWConfig::default(), &frozen).unwrap();
    let (mut model, _) = fresh(config(), 1);
    let error = read_state(&good(1), Path::new("state"), &mut model, &mut optimizer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state: tensor `first_moment.model.embed_tokens.weight` was not expected in a training state of `adamw`"
    );
}
