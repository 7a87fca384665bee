//! What training promises: the same bits on any number of threads, beside any other sequences, and after a restart.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use model::{
    AdamWConfig, Checkpoint, CpuModel, Head, LlamaConfig, ModelError, NumericProfile, Optimizer,
    Sequences, TokenBatch, assert_gradients, checkpoint::WEIGHTS_FILE, read_state, write_state,
};
use pipelines::seed::Seed;

/// Large enough that every kernel splits its work.
fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 700,
        hidden_size: 72,
        intermediate_size: 144,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 18,
        max_position_embeddings: 300,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.05,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: Some(1),
        eos_token_id: vec![2],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn labels() -> Vec<String> {
    ["no", "yes"].map(str::to_owned).to_vec()
}

fn causal() -> CpuModel {
    causal_in(NumericProfile::resolve())
}

fn causal_in(profile: NumericProfile) -> CpuModel {
    CpuModel::with_profile(Checkpoint::fresh(config(), 1).unwrap(), profile).unwrap()
}

fn classifier_in(profile: NumericProfile) -> CpuModel {
    let checkpoint = Checkpoint::fresh(config(), 1).unwrap().into_classifier(labels(), 2).unwrap();
    CpuModel::with_profile(checkpoint, profile).unwrap()
}

/// Every arithmetic that this processor has.
fn profiles() -> impl Iterator<Item = NumericProfile> {
    NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here())
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

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn train(model: &mut CpuModel, optimizer: &mut Optimizer, steps: usize) {
    let mut gradients = model.gradients();
    for _ in 0..steps {
        gradients.clear();
        let loss = model.accumulate_tokens(&batch(&windows()), &mut gradients).unwrap();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3).unwrap();
    }
}

fn state(model: &CpuModel, optimizer: &Optimizer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_state(&mut bytes, b"notes", model, optimizer).unwrap();
    bytes
}

fn fresh() -> (CpuModel, Optimizer) {
    fresh_in(NumericProfile::resolve())
}

fn fresh_in(profile: NumericProfile) -> (CpuModel, Optimizer) {
    let model = causal_in(profile);
    let optimizer = Optimizer::new(AdamWConfig::default(), &model.gradients()).unwrap();
    (model, optimizer.with_profile(profile).unwrap())
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_every_profile() {
    for profile in profiles() {
        let trained = |threads| {
            on_threads(threads, || {
                let (mut model, mut optimizer) = fresh_in(profile);
                train(&mut model, &mut optimizer, 2);
                let sequences = windows().iter().collect();
                let logits = classifier_in(profile).class_logits(&sequences).unwrap();
                (state(&model, &optimizer), logits)
            })
        };
        let one = trained(1);
        assert!(one == trained(2), "{profile}: two threads differ from one");
        assert!(one == trained(4), "{profile}: four threads differ from one");
    }
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_in_a_batch_in_every_profile() {
    for profile in profiles() {
        let mut model = causal_in(profile);
        let together = model.token_nats(&batch(&windows())).unwrap().to_vec();
        let nats =
            |window| model.token_nats(&batch(std::slice::from_ref(window))).unwrap().to_vec();
        let alone: Vec<f64> = windows().iter().flat_map(nats).collect();
        assert!(together == alone, "{profile}: losses of sequences differ alone");
        let mut model = classifier_in(profile);
        let together = model.class_logits(&windows().iter().collect()).unwrap();
        let logits =
            |window| model.class_logits(&[window].into_iter().collect()).unwrap().remove(0);
        assert_eq!(together, windows().iter().map(logits).collect::<Vec<_>>(), "{profile}");
    }
}

#[test]
fn the_losses_of_sequences_add_up() {
    let mut model = causal();
    let whole = model.token_loss(&batch(&windows())).unwrap();
    let parts = model.sequence_losses(&batch(&windows())).unwrap();
    assert_eq!(
        parts.iter().map(|part| part.counted).collect::<Vec<_>>(),
        [1, 256, 65, 129, 2, 200, 64]
    );
    assert!(
        (parts.iter().map(|part| part.nats).sum::<f64>() - whole.nats).abs() < 1e-9 * whole.nats
    );
    assert_eq!(whole.counted, 717);
}

#[test]
fn four_steps_are_two_then_saved_loaded_and_two() {
    let (mut model, mut optimizer) = fresh();
    train(&mut model, &mut optimizer, 2);
    let saved = state(&model, &optimizer);
    train(&mut model, &mut optimizer, 2);
    let (mut resumed, mut resumed_optimizer) = fresh();
    let notes =
        read_state(&saved, Path::new("state"), &mut resumed, &mut resumed_optimizer).unwrap();
    assert_eq!(notes, b"notes");
    assert_eq!(resumed_optimizer.steps(), 2);
    assert!(
        state(&resumed, &resumed_optimizer) == saved,
        "a state changes when it is read and written"
    );
    train(&mut resumed, &mut resumed_optimizer, 2);
    assert!(state(&resumed, &resumed_optimizer) == state(&model, &optimizer));
}

#[test]
fn a_checkpoint_is_read_back_equal_and_written_back_identical() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let checkpoint = classifier_in(NumericProfile::resolve()).to_checkpoint();
    checkpoint.write(dirs[0].path()).unwrap();
    let read = Checkpoint::read(dirs[0].path()).unwrap();
    assert!(read == checkpoint);
    read.write(dirs[1].path()).unwrap();
    for file in ["config.json", "generation_config.json", WEIGHTS_FILE] {
        let [first, second] = dirs.each_ref().map(|dir| fs::read(dir.path().join(file)).unwrap());
        assert!(first == second, "{file}");
    }
}

#[test]
fn a_model_memorizes_one_batch() {
    let mut config = config();
    config.max_position_embeddings = 16;
    let mut model = CpuModel::from_checkpoint(Checkpoint::fresh(config, 4).unwrap()).unwrap();
    let constants = AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() };
    let mut optimizer = Optimizer::new(constants, &model.gradients()).unwrap();
    let mut gradients = model.gradients();
    let windows = [[5, 6, 7, 8, 9, 5, 6, 1], [8, 7, 6, 5, 4, 3, 2, 1]].map(Vec::from);
    for step in 0..60 {
        gradients.clear();
        let loss = model.accumulate_tokens(&batch(&windows), &mut gradients).unwrap();
        if step == 0 {
            assert_gradients(&gradients).unwrap();
            // A fresh model is close to guessing one of 700.
            assert!((loss.mean().unwrap() - 700f64.ln()).abs() < 0.2, "{loss:?}");
        }
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 5e-3).unwrap();
    }
    let loss = model.token_loss(&batch(&windows)).unwrap().mean().unwrap();
    assert!(loss < 0.05, "{loss}");
}

#[test]
fn a_classifier_memorizes_its_labels() {
    let mut model = classifier_in(NumericProfile::resolve());
    let mut optimizer = Optimizer::new(AdamWConfig::default(), &model.gradients()).unwrap();
    let mut gradients = model.gradients();
    let rows: Sequences = windows().iter().map(|window| window[..2].to_vec()).collect();
    let labels = [0, 1, 1, 0, 1, 0, 0];
    for _ in 0..30 {
        gradients.clear();
        let loss = model.accumulate_classes(&rows, &labels, &mut gradients).unwrap();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 3e-3).unwrap();
    }
    for (probabilities, label) in model.class_probabilities(&rows).unwrap().iter().zip(labels) {
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(probabilities[label as usize] > 0.9, "{probabilities:?} {label}");
    }
}

#[test]
fn a_classifier_keeps_the_body_and_never_goes_back() {
    let body = Checkpoint::fresh(config(), 1).unwrap();
    let classifier = body.clone().into_classifier(labels(), 2).unwrap();
    for entry in body.weights.iter() {
        assert!(classifier.weights.get(&entry.name).unwrap() == entry, "{}", entry.name);
    }
    assert_eq!(classifier.weights.get("score.weight").unwrap().shape, [2, 72]);
    let error = classifier.into_classifier(labels(), 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model is a LlamaForSequenceClassification; this needs a LlamaForCausalLM"
    );
}

#[test]
fn half_precision_is_widened() {
    let checkpoint = Checkpoint::fresh(config(), 1).unwrap();
    for (dtype, bits) in [(safetensors::Dtype::BF16, 0x3fc0u16), (safetensors::Dtype::F16, 0x3e00)]
    {
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = (checkpoint.weights.iter())
            .map(|entry| {
                (
                    entry.name.clone(),
                    entry.shape.clone(),
                    bits.to_le_bytes().repeat(entry.value.len()),
                )
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        let config = checkpoint.config.to_json();
        let files = [Path::new("config.json"), Path::new(WEIGHTS_FILE)];
        let read =
            Checkpoint::from_bytes((config.as_bytes(), files[0]), (&bytes, files[1])).unwrap();
        assert!(
            read.weights.iter().all(|entry| entry.value.iter().all(|&value| value == 1.5)),
            "{dtype:?}"
        );
    }
}

/// Reads the weights of `written` under the config of `promised`.
fn reread(written: &LlamaConfig, promised: &LlamaConfig) -> String {
    let mut bytes = Vec::new();
    Checkpoint::fresh(written.clone(), 1).unwrap().write_weights(&mut bytes).unwrap();
    let config = (promised.to_json(), Path::new("m/config.json"));
    let error = Checkpoint::from_bytes((config.0.as_bytes(), config.1), (&bytes, Path::new("m/w")));
    error.unwrap_err().to_string()
}

#[test]
fn a_stored_copy_of_a_tied_projection_is_passed_over() {
    let tied = config();
    let untied = LlamaConfig { tie_word_embeddings: false, ..tied.clone() };
    let mut bytes = Vec::new();
    let written = Checkpoint::fresh(untied, 1).unwrap();
    written.write_weights(&mut bytes).unwrap();
    let json = tied.to_json();
    let files = ((json.as_bytes(), Path::new("config.json")), (&*bytes, Path::new("weights")));
    let read = Checkpoint::from_bytes(files.0, files.1).unwrap();
    assert!(read.weights.get("lm_head.weight").is_none());
    assert_eq!(read.weights.num_values() + 700 * 72, written.weights.num_values());
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let config = config();
    let untied = LlamaConfig { tie_word_embeddings: false, ..config.clone() };
    let wider = LlamaConfig { intermediate_size: 145, ..config.clone() };
    assert_eq!(
        reread(&config, &untied),
        "m/w: tensor `lm_head.weight` is missing; expected it with shape [700, 72]"
    );
    let deeper = LlamaConfig { num_hidden_layers: 2_000_000_000, ..config.clone() };
    assert_eq!(
        reread(&config, &deeper),
        "m/w: found 20 tensors, expected some for each of the 2000000000 layers that its config has"
    );
    assert_eq!(
        reread(&config, &wider),
        "m/w: tensor `model.layers.0.mlp.gate_proj.weight` has shape [144, 72]; its config promises [145, 72]"
    );
    let (mut model, mut optimizer) = fresh();
    let error = read_state(b"short", Path::new("s"), &mut model, &mut optimizer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "s: found a file of fewer than 24 bytes, expected a training state"
    );
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let mut model = causal();
    let mut gradients = model.gradients();
    let long = vec![0; 302];
    let error = model.accumulate_tokens(&batch(&[vec![1, 2], long]), &mut gradients).unwrap_err();
    assert!(matches!(
        error,
        ModelError::SequenceTooLong { sequence: 1, found: 301, expected: 300 }
    ));
    let error = model.token_loss(&batch(&[vec![0, 700]])).unwrap_err();
    assert!(matches!(error, ModelError::UnknownToken { token: 0, found: 700, expected: 700 }));
    let error = model.class_logits(&Sequences::new()).unwrap_err();
    assert!(matches!(error, ModelError::WrongHead { .. }));
    let rows: Sequences = [[1, 2], [3, 4]].iter().collect();
    let error = classifier_in(NumericProfile::resolve()).class_loss(&rows, &[0]).unwrap_err();
    assert_eq!(error.to_string(), "1 labels were given; expected 2, one for each sequence");
    let error = classifier_in(NumericProfile::resolve()).class_loss(&rows, &[0, 2]).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has label 2; expected one below the number of labels 2");
}
