//! GPT-2 as files hold it, and what training promises of it: the same bits on any number of threads, beside any other
//! sequences, and after a restart. Its arithmetic is tested in `oracle.rs` and `reference.rs`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use model::{
    Activation, AdamWConfig, Checkpoint, CpuModel, Gpt2Config, Head, ModelConfig, ModelError,
    Optimizer, Parameter, Parameters, Part, Sequences, TokenBatch, assert_gradients,
    checkpoint::{WEIGHTS_FILE, write_safetensors},
    read_state, write_state,
};
use pipelines::seed::Seed;

/// Large enough that every kernel splits its work.
fn config(head: Head) -> Gpt2Config {
    Gpt2Config {
        vocab_size: 700,
        n_positions: 300,
        n_embd: 72,
        n_layer: 2,
        n_head: 4,
        n_inner: Some(144),
        activation_function: Activation::GeluNew,
        layer_norm_epsilon: 1e-5,
        initializer_range: 0.05,
        resid_pdrop: 0.1,
        embd_pdrop: 0.1,
        attn_pdrop: 0.1,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: Some(1),
        eos_token_id: vec![2],
        pad_token_id: Some(2),
        head,
    }
}

fn labels() -> Vec<String> {
    ["no", "yes"].map(str::to_owned).to_vec()
}

fn fresh(head: Head) -> Checkpoint {
    Checkpoint::fresh(config(head), 1).unwrap()
}

fn causal() -> (CpuModel, Optimizer) {
    let model = CpuModel::from_checkpoint(fresh(Head::CausalLm)).unwrap();
    let optimizer = Optimizer::new(AdamWConfig::default(), &model.gradients()).unwrap();
    (model, optimizer)
}

fn classifier() -> CpuModel {
    let checkpoint = fresh(Head::CausalLm).into_classifier(labels(), 2).unwrap();
    CpuModel::from_checkpoint(checkpoint).unwrap()
}

fn windows() -> Vec<Vec<u32>> {
    let seed = Seed::new(3, "windows");
    let id = |window, at| u32::try_from(seed.below(700, window, at)).unwrap();
    [2u64, 257, 66, 130, 3, 201, 65]
        .into_iter()
        .zip(0..)
        .map(|(len, window)| (0..len).map(|at| id(window, at)).collect())
        .collect()
}

fn batch(windows: &[Vec<u32>]) -> TokenBatch {
    let mut batch = TokenBatch::new();
    windows.iter().for_each(|window| batch.push_window(window));
    batch
}

fn train(model: &mut CpuModel, optimizer: &mut Optimizer, steps: usize) {
    let mut gradients = model.gradients();
    for _ in 0..steps {
        gradients.clear();
        let loss = model.accumulate_tokens(&batch(&windows()), &mut gradients).unwrap();
        assert_gradients(&gradients).unwrap();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3).unwrap();
    }
}

fn state(model: &CpuModel, optimizer: &Optimizer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_state(&mut bytes, b"notes", model, optimizer).unwrap();
    bytes
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let trained = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut model, mut optimizer) = causal();
            train(&mut model, &mut optimizer, 2);
            let logits = classifier().class_logits(&windows().iter().collect()).unwrap();
            (state(&model, &optimizer), logits)
        })
    };
    let one = trained(1);
    assert!(one == trained(2), "two threads differ from one");
    assert!(one == trained(4), "four threads differ from one");
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_in_a_batch() {
    let (mut model, _) = causal();
    let together = model.token_nats(&batch(&windows())).unwrap().to_vec();
    let alone: Vec<f64> = windows()
        .iter()
        .flat_map(|window| model.token_nats(&batch(std::slice::from_ref(window))).unwrap().to_vec())
        .collect();
    assert!(together == alone, "losses of sequences differ alone");
    let mut model = classifier();
    let together = model.class_logits(&windows().iter().collect()).unwrap();
    let one =
        |window: &Vec<u32>| model.class_logits(&[window].into_iter().collect()).unwrap().remove(0);
    assert_eq!(together, windows().iter().map(one).collect::<Vec<_>>());
}

#[test]
fn four_steps_are_two_then_saved_loaded_and_two() {
    let (mut model, mut optimizer) = causal();
    train(&mut model, &mut optimizer, 2);
    let saved = state(&model, &optimizer);
    train(&mut model, &mut optimizer, 2);
    let (mut resumed, mut resumed_optimizer) = causal();
    read_state(&saved, Path::new("state"), &mut resumed, &mut resumed_optimizer).unwrap();
    assert!(state(&resumed, &resumed_optimizer) == saved);
    train(&mut resumed, &mut resumed_optimizer, 2);
    assert!(state(&resumed, &resumed_optimizer) == state(&model, &optimizer));
}

#[test]
fn a_model_memorizes_one_batch() {
    let (mut model, _) = causal();
    let constants = AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() };
    let mut optimizer = Optimizer::new(constants, &model.gradients()).unwrap();
    let mut gradients = model.gradients();
    let windows = [[5, 6, 7, 8, 9, 5, 6, 1], [8, 7, 6, 5, 4, 3, 2, 1]].map(Vec::from);
    for step in 0..60 {
        gradients.clear();
        let loss = model.accumulate_tokens(&batch(&windows), &mut gradients).unwrap();
        if step == 0 {
            // A fresh model is close to guessing one of 700.
            assert!((loss.mean().unwrap() - 700f64.ln()).abs() < 0.3, "{loss:?}");
        }
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 5e-3).unwrap();
    }
    let loss = model.token_loss(&batch(&windows)).unwrap().mean().unwrap();
    assert!(loss < 0.05, "{loss}");
}

#[test]
fn every_head_is_read_back_equal_and_written_back_identical() {
    for head in [
        Head::Body,
        Head::CausalLm,
        Head::SequenceClassification { labels: labels() },
        Head::TokenClassification { labels: labels() },
    ] {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let checkpoint = fresh(head);
        checkpoint.write(dirs[0].path()).unwrap();
        let read = Checkpoint::read(dirs[0].path()).unwrap();
        assert!(read == checkpoint);
        read.write(dirs[1].path()).unwrap();
        for file in ["config.json", "generation_config.json", WEIGHTS_FILE] {
            let [first, second] =
                dirs.each_ref().map(|dir| fs::read(dir.path().join(file)).unwrap());
            assert!(first == second, "{file}");
        }
    }
}

#[test]
fn files_hold_the_linears_of_blocks_transposed() {
    let checkpoint = fresh(Head::CausalLm);
    let mut bytes = Vec::new();
    checkpoint.write_weights(&mut bytes).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.tensor("lm_head.weight").is_err(), "tied weights stand once");
    let (name, rows, cols) = ("transformer.h.1.attn.c_attn.weight", 216, 72);
    let held = checkpoint.weights.get(name).unwrap();
    let stored = file.tensor(name).unwrap();
    assert_eq!((held.shape.as_slice(), stored.shape()), (&[rows, cols][..], &[cols, rows][..]));
    let stored = stored.data().as_chunks().0;
    let at = |row: usize, col: usize| f32::from_le_bytes(stored[col * rows + row]);
    for (row, values) in held.value.chunks(cols).enumerate() {
        assert!(values.iter().enumerate().all(|(col, value)| *value == at(row, col)), "{row}");
    }
    for name in ["transformer.wte.weight", "transformer.wpe.weight"] {
        let held = checkpoint.weights.get(name).unwrap();
        assert_eq!(held.shape, file.tensor(name).unwrap().shape());
    }
}

#[test]
fn fresh_matrices_that_write_to_the_residual_stream_are_smaller() {
    let checkpoint = fresh(Head::CausalLm);
    let std = |name: &str| {
        let values = &checkpoint.weights.get(name).unwrap().value;
        let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
        (squares / values.len() as f64).sqrt()
    };
    for (part, expected) in
        [("attn.c_attn", 0.05), ("attn.c_proj", 0.025), ("mlp.c_fc", 0.05), ("mlp.c_proj", 0.025)]
    {
        let found = std(&format!("transformer.h.0.{part}.weight"));
        assert!((found / expected - 1.0).abs() < 0.05, "{part}: {found}");
    }
}

/// Reads weights under other names, with the masks of old checkpoints beside them.
fn reread(
    checkpoint: &Checkpoint,
    promised: &Gpt2Config,
    rename: impl Fn(&str) -> String,
) -> Result<Checkpoint, ModelError> {
    let dir = tempfile::tempdir().unwrap();
    checkpoint.write(dir.path()).unwrap();
    let bytes = fs::read(dir.path().join(WEIGHTS_FILE)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mask = |name: &str| Parameter {
        name: rename(&format!("transformer.h.0.attn.{name}")),
        shape: vec![1, 1, 2, 2],
        part: Part::Embeddings,
        value: vec![1.0; 4],
    };
    let renamed: Parameters<Vec<f32>> = file
        .iter()
        .map(|(name, tensor)| Parameter {
            name: rename(name),
            shape: tensor.shape().to_vec(),
            part: Part::Embeddings,
            value: tensor
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|&four| f32::from_le_bytes(four))
                .collect(),
        })
        .chain([mask("bias"), mask("masked_bias")])
        .collect();
    let mut bytes = Vec::new();
    write_safetensors(&mut bytes, &renamed).unwrap();
    let config = ModelConfig::from(promised.clone()).to_json();
    Checkpoint::from_bytes((config.as_bytes(), Path::new("m/c")), (&bytes, Path::new("m/w")))
}

#[test]
fn names_of_old_and_bare_checkpoints_are_understood() {
    let causal = fresh(Head::CausalLm);
    let (same, bare) = (
        |name: &str| name.to_owned(),
        |name: &str| name.strip_prefix("transformer.").unwrap_or(name).to_owned(),
    );
    assert!(reread(&causal, &config(Head::CausalLm), same).unwrap() == causal);
    assert!(reread(&causal, &config(Head::CausalLm), bare).unwrap() == causal);
    let body = fresh(Head::Body);
    let prefixed = |name: &str| match name.strip_prefix("transformer.") {
        Some(_) => name.to_owned(),
        None => format!("transformer.{name}"),
    };
    assert!(reread(&body, &config(Head::Body), prefixed).unwrap() == body);
    let untied = Gpt2Config { tie_word_embeddings: false, ..config(Head::CausalLm) };
    let error = reread(&causal, &untied, same).unwrap_err().to_string();
    assert_eq!(error, "m/w: tensor `lm_head.weight` is missing; expected it with shape [700, 72]");
    // A tied copy is passed over.
    let untied = Checkpoint::fresh(untied, 1).unwrap();
    assert!(reread(&untied, &config(Head::CausalLm), same).unwrap() == causal);
    let narrower = Gpt2Config { n_inner: Some(145), ..config(Head::CausalLm) };
    let error = reread(&causal, &narrower, same).unwrap_err().to_string();
    let shapes = "has shape [72, 144]; its config promises [72, 145]";
    assert_eq!(error, format!("m/w: tensor `transformer.h.0.mlp.c_fc.weight` {shapes}"));
    let tagger = fresh(Head::TokenClassification { labels: labels() });
    let error = reread(&tagger, &config(Head::CausalLm), same).unwrap_err().to_string();
    assert_eq!(error, "m/w: tensor `classifier.bias` was not expected in a GPT2LMHeadModel");
}

#[test]
fn new_heads_keep_the_body() {
    let causal = fresh(Head::CausalLm);
    let classifier = causal.clone().into_classifier(labels(), 2).unwrap();
    for entry in causal.weights.iter() {
        assert!(classifier.weights.get(&entry.name).unwrap() == entry, "{}", entry.name);
    }
    assert_eq!(classifier.weights.get("score.weight").unwrap().shape, [2, 72]);
    let ModelConfig::Gpt2(config) = &classifier.config else { unreachable!() };
    assert_eq!(config.pad_token_id, None, "the end of text pads, and must be pooled");
    let tagger = fresh(Head::Body).into_token_classifier(labels(), 2).unwrap();
    assert_eq!(tagger.weights.get("classifier.bias").unwrap().value, [0.0, 0.0]);
    let [of_body, of_tagger] =
        [("wte.weight", fresh(Head::Body)), ("transformer.wte.weight", tagger)]
            .map(|(name, checkpoint)| checkpoint.weights.get(name).unwrap().value.clone());
    assert!(of_body == of_tagger);
    let error = classifier.into_token_classifier(labels(), 2).unwrap_err().to_string();
    assert_eq!(error, "the model is a GPT2ForSequenceClassification; this needs a GPT2LMHeadModel");
}

#[test]
fn a_body_alone_has_hidden_states_and_nothing_else() {
    let mut model = CpuModel::from_checkpoint(fresh(Head::Body)).unwrap();
    let texts: Sequences = windows().iter().collect();
    assert_eq!(model.hidden_states(&texts).unwrap().len(), texts.tokens().len() * 72);
    for error in [model.logits(&texts).unwrap_err(), model.class_logits(&texts).unwrap_err()] {
        assert!(matches!(error, ModelError::WrongHead { .. }), "{error}");
    }
}
