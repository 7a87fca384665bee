//! Logits, gradients and training against PyTorch; fixtures by `tests/reference/llama.py`, `bert.py`, `gpt2.py` and
//! `dropout.py`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use model::{
    Checkpoint, Dropout, Gradients, Head, LossSum, Model, NumericProfile, Optimizer,
    OptimizerConfig, Sequences, TokenBatch, TreeSum, cpu::Cpu, device::Device, ops::Ops,
};
use pipelines::seed::Seed;
use serde::Deserialize;

#[derive(Deserialize)]
struct Inputs {
    windows: Vec<Vec<u32>>,
    /// Token types; none are of type 0.
    #[serde(default)]
    types: Vec<Vec<u32>>,
    /// Of sequences or, one after another, of tokens. None are the next tokens.
    #[serde(default, alias = "labels")]
    targets: Vec<Option<u32>>,
    loss: f64,
    optimizer: Constants,
}

#[derive(Deserialize)]
struct Constants {
    lr: f64,
    #[serde(flatten)]
    config: OptimizerConfig,
}

struct Fixture<O: Ops> {
    model: Model<O>,
    inputs: Inputs,
    /// Logits, gradients and losses by name.
    expected: BTreeMap<String, Vec<f64>>,
}

fn fixture(name: &str) -> Fixture<Cpu> {
    fixture_over(name, Cpu::new(NumericProfile::resolve()).unwrap())
}

fn fixture_over<O: Ops>(name: &str, ops: O) -> Fixture<O> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    let bytes = fs::read(dir.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let wide = |view: safetensors::tensor::TensorView| -> Vec<f64> {
        match view.dtype() {
            safetensors::Dtype::F64 => {
                view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
            }
            _ => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes).into())
                .collect(),
        }
    };
    Fixture {
        model: Model::new(Checkpoint::read(&dir).unwrap(), ops).unwrap(),
        inputs: serde_json::from_slice(&fs::read(dir.join("inputs.json")).unwrap()).unwrap(),
        expected: expected.tensors().into_iter().map(|(name, view)| (name, wide(view))).collect(),
    }
}

impl<O: Ops> Fixture<O> {
    fn is_classifier(&self) -> bool {
        matches!(self.model.config().head(), Head::SequenceClassification { .. })
    }

    /// The tokens of each type.
    fn texts(&self) -> impl Iterator<Item = (&[u32], &[u32])> {
        let is_next = self.inputs.targets.is_empty();
        self.inputs.windows.iter().enumerate().map(move |(at, window)| {
            let tokens = &window[..window.len() - usize::from(is_next)];
            let second = self.inputs.types.get(at).map_or(0, |types| types.iter().sum::<u32>());
            tokens.split_at(tokens.len() - second as usize)
        })
    }

    fn sequences(&self) -> Sequences {
        let mut sequences = Sequences::new();
        self.texts().for_each(|(first, second)| sequences.push_pair(first, second));
        sequences
    }

    fn next_tokens(&self, windows: std::ops::Range<usize>) -> TokenBatch {
        let mut batch = TokenBatch::new();
        self.inputs.windows[windows].iter().for_each(|window| batch.push_window(window));
        batch
    }

    fn batch(&self) -> TokenBatch {
        if self.inputs.targets.is_empty() {
            return self.next_tokens(0..self.inputs.windows.len());
        }
        let (mut batch, mut targets) = (TokenBatch::new(), self.inputs.targets.as_slice());
        for (first, second) in self.texts() {
            let (these, rest) = targets.split_at(first.len() + second.len());
            batch.push_pair(first, second, these).unwrap();
            targets = rest;
        }
        batch
    }

    fn accumulate(&mut self, gradients: &mut Gradients<O::Tensor>) -> LossSum {
        if self.is_classifier() {
            let labels: Vec<u32> = self.inputs.targets.iter().map(|label| label.unwrap()).collect();
            self.model.accumulate_classes(&self.sequences(), &labels, gradients).unwrap()
        } else {
            let batch = self.batch();
            self.model.accumulate_tokens(&batch, gradients).unwrap()
        }
    }

    fn logits(&mut self) -> Vec<f32> {
        let sequences = self.sequences();
        if self.is_classifier() {
            self.model.class_logits(&sequences).unwrap().concat()
        } else {
            self.model.logits(&sequences).unwrap()
        }
    }
}

const FIXTURES: [&str; 11] = [
    "untied",
    "tied",
    "classifier",
    "tokens",
    "bert-masked",
    "bert-classifier",
    "bert-tokens",
    "gpt2-untied",
    "gpt2-tied",
    "gpt2-classifier",
    "gpt2-tokens",
];

/// Devices that candle computes on here.
fn devices_here() -> impl Iterator<Item = Device> {
    let cuda = NumericProfile::Cuda.is_here().then(|| Device::cuda().unwrap());
    std::iter::once(Device::cpu()).chain(cuda)
}

#[test]
fn logits_agree() {
    for name in FIXTURES {
        check_logits(name, fixture(name));
        devices_here().for_each(|device| check_logits(name, fixture_over(name, device)));
    }
}

fn check_logits<O: Ops>(name: &str, mut fixture: Fixture<O>) {
    let logits = fixture.logits();
    let expected = &fixture.expected["logits"];
    assert_eq!(logits.len(), expected.len(), "{name}");
    for (found, expected) in logits.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() <= 1e-5, "{name}: {found} {expected}");
    }
}

#[test]
fn every_gradient_agrees() {
    for name in FIXTURES {
        check_gradients(name, fixture(name));
        devices_here().for_each(|device| check_gradients(name, fixture_over(name, device)));
    }
}

fn check_gradients<O: Ops>(name: &str, mut fixture: Fixture<O>) {
    let mut gradients = fixture.model.gradients();
    let loss = fixture.accumulate(&mut gradients);
    assert!((loss.mean().unwrap() / fixture.inputs.loss - 1.0).abs() < 1e-6, "{name}");
    let promised = fixture.expected.keys().filter(|key| key.starts_with("gradient.")).count();
    assert_eq!(gradients.iter().len(), promised, "{name}");
    for entry in gradients.iter() {
        let expected = &fixture.expected[&format!("gradient.{}", entry.name)];
        let gradient = fixture.model.ops().values(entry.value.as_ref().unwrap());
        let found = gradient.iter().map(|&sum| sum / loss.counted as f64);
        let difference: f64 =
            found.zip(expected).map(|(found, expected)| (found - expected).powi(2)).sum();
        let size: f64 = expected.iter().map(|value| value * value).sum();
        // A number added to all keys changes no softmax, so their bias has no gradient but noise.
        let noise = if entry.name.ends_with("key.bias") { 1e-6 } else { 0.0 };
        let most = 1e-4 * size.sqrt() + noise;
        assert!(difference.sqrt() <= most, "{name}: {}", entry.name);
    }
}

/// What `dropout.py` measured with masks of ours in place of torch's.
#[derive(Deserialize)]
struct Dropped {
    /// The key of [`Seed`] 3 at the site `reference`, as Rust writes it.
    seed: String,
    step: u64,
    rate: f64,
    fixtures: BTreeMap<String, DroppedFixture>,
}

#[derive(Deserialize)]
struct DroppedFixture {
    /// In nats, over all targets.
    loss: f64,
    /// Of each parameter the norm of the gradient, and the sum of its numbers times `cos(0)`, `cos(1)`, …
    gradients: BTreeMap<String, [f64; 2]>,
}

#[test]
fn everything_that_transformers_drops_is_dropped() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let expected: Dropped =
        serde_json::from_slice(&fs::read(dir.join("dropout.json")).unwrap()).unwrap();
    let seed = Seed::new(3, "reference");
    assert_eq!(format!("{seed:?}"), expected.seed);
    for (name, expected_of) in &expected.fixtures {
        let mut fixture = fixture(name);
        let mut checkpoint = fixture.model.to_checkpoint();
        checkpoint.config = checkpoint.config.with_dropout(expected.rate);
        fixture.model = Model::from_checkpoint(checkpoint).unwrap();
        fixture.model.drop_out(Some(Dropout { seed, step: expected.step }));
        let mut gradients = fixture.model.gradients();
        let loss = fixture.accumulate(&mut gradients);
        assert!((loss.nats / expected_of.loss - 1.0).abs() < 1e-5, "{name}: {loss:?}");
        assert_eq!(gradients.iter().len(), expected_of.gradients.len(), "{name}");
        for entry in gradients.iter() {
            let [norm, sum] = expected_of.gradients[&entry.name];
            let values: Vec<f64> =
                entry.value.as_ref().unwrap().values().iter().map(|&it| f64::from(it)).collect();
            let found_norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let found_sum: f64 =
                values.iter().enumerate().map(|(at, value)| value * (at as f64).cos()).sum();
            // A number added to all keys changes no softmax, so their bias has no gradient but noise.
            let noise = if entry.name.ends_with("key.bias") { 1e-3 } else { 0.0 };
            let most = 1e-4 * norm + noise;
            assert!(
                (found_norm - norm).abs() <= most,
                "{name}: {}: {found_norm} {norm}",
                entry.name
            );
            assert!((found_sum - sum).abs() <= most, "{name}: {}: {found_sum} {sum}", entry.name);
        }
    }
}

#[test]
fn twenty_steps_of_training_agree() {
    for name in FIXTURES {
        let mut fixture = fixture(name);
        let mut gradients = fixture.model.gradients();
        let mut optimizer =
            Optimizer::new(fixture.inputs.optimizer.config.clone(), &gradients).unwrap();
        for (step, expected) in fixture.expected["losses"].clone().into_iter().enumerate() {
            gradients.clear();
            let loss = fixture.accumulate(&mut gradients);
            let found = loss.mean().unwrap();
            assert!(
                (found / expected - 1.0).abs() <= 1e-5,
                "{name}, step {step}: {found} {expected}"
            );
            let lr = fixture.inputs.optimizer.lr;
            optimizer.step(fixture.model.weights_mut(), &gradients, loss.counted, lr).unwrap();
        }
    }
}

#[test]
fn accumulated_micro_batches_give_the_step_of_one_batch() {
    let steps = |name: &str, cuts: &[usize]| -> Vec<f64> {
        let mut fixture = fixture(name);
        let config = fixture.inputs.optimizer.config.clone();
        let gradients = fixture.model.gradients();
        let mut optimizer = Optimizer::new(config, &gradients).unwrap();
        let mut sum = TreeSum::new(gradients);
        (0..10)
            .map(|_| {
                sum.begin(0);
                for cut in cuts.windows(2) {
                    let batch = fixture.next_tokens(cut[0]..cut[1]);
                    let model = &mut fixture.model;
                    sum.leaf(|gradients| model.accumulate_tokens(&batch, gradients)).unwrap();
                }
                sum.finish();
                let (gradients, loss) = sum.total();
                optimizer.step(fixture.model.weights_mut(), gradients, loss.counted, 3e-3).unwrap();
                loss.mean().unwrap()
            })
            .collect()
    };
    // The micro-batches hold 1, 7, 70 and 15 tokens: a mean of means would be far off.
    for name in ["untied", "gpt2-untied", "gpt2-tied"] {
        for (one, four) in steps(name, &[0, 5]).iter().zip(steps(name, &[0, 1, 2, 3, 5])) {
            assert!((one / four - 1.0).abs() < 1e-6, "{name}: {one} {four}");
        }
    }
}
