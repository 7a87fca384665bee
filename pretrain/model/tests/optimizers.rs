//! Optimizers against `torch.optim`, by `tests/reference/optimizers.py`, and on any number of threads.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use model::{
    AdamWConfig, Gradients, MuonConfig, Optimizer, OptimizerConfig, Parameter, Parameters, Part,
    SgdConfig, cpu::Tensor,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    lr: f64,
    parameters: Vec<Given>,
    gradients: Vec<Vec<Vec<f32>>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Given {
    name: String,
    shape: Vec<usize>,
    part: Place,
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Layer(usize),
    Named(String),
}

#[derive(Deserialize)]
struct Run {
    name: String,
    config: OptimizerConfig,
    layer_lr_decay: Option<f64>,
    weights: Vec<Vec<f32>>,
}

impl Fixture {
    fn read() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/optimizers.json");
        serde_json::from_slice(&fs::read(here).unwrap()).unwrap()
    }

    fn weights(&self) -> Parameters<Tensor> {
        let entry = |given: &Given| {
            let part = match &given.part {
                Place::Layer(layer) => Part::Layer(*layer),
                Place::Named(name) if name == "embeddings" => Part::Embeddings,
                Place::Named(name) if name == "neck" => Part::Neck,
                Place::Named(_) => Part::Head,
            };
            let value = tensor(&given.shape, &given.values);
            Parameter { name: given.name.clone(), shape: given.shape.clone(), part, value }
        };
        self.parameters.iter().map(entry).collect()
    }

    fn gradients(&self, step: usize) -> Gradients<Tensor> {
        let mut values = self.gradients[step].iter();
        self.weights().map(|entry| Some(tensor(&entry.shape, values.next().unwrap())))
    }

    /// The weights after all steps.
    fn trained(&self, run: &Run) -> Parameters<Tensor> {
        let mut weights = self.weights();
        let optimizer = Optimizer::new(run.config.clone(), &self.gradients(0)).unwrap();
        let mut optimizer =
            optimizer.with_layer_lr_decay(run.layer_lr_decay.unwrap_or(1.0)).unwrap();
        for step in 0..self.gradients.len() {
            optimizer.step(&mut weights, &self.gradients(step), 1, self.lr).unwrap();
        }
        weights
    }
}

fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    let (rows, cols) = if let [rows, cols] = shape { (*rows, *cols) } else { (1, shape[0]) };
    Tensor::new(rows, cols, values.to_vec())
}

#[test]
fn steps_agree_with_torch() {
    let fixture = Fixture::read();
    for run in &fixture.runs {
        let found = fixture.trained(run);
        // Rounding of f32; the iterations of Muon make a few hundred times as much of it, and bf16 keeps two digits.
        let most = match run.name.as_str() {
            "muon-bf16" => 0.1,
            name if name.starts_with("muon") => 1e-4,
            _ => 2e-6,
        };
        for (entry, expected) in found.iter().zip(&run.weights) {
            for (found, expected) in entry.value.values().iter().zip(expected) {
                let difference = (found - expected).abs();
                assert!(difference <= most, "{}, {}: {found} {expected}", run.name, entry.name);
            }
        }
    }
}

fn configs() -> [OptimizerConfig; 3] {
    [AdamWConfig::default().into(), MuonConfig::default().into(), SgdConfig::default().into()]
}

/// Large enough that everything is split into tasks.
fn large(salt: usize) -> Parameters<Tensor> {
    let entry = |(name, part, shape): (&str, Part, &[usize])| {
        let len: usize = shape.iter().product();
        let value = |at: usize| ((at * 7919 + salt * 104_729) % 2003) as f32 / 1001.0 - 1.0;
        let values: Vec<f32> = (0..len).map(value).collect();
        let value = tensor(shape, &values);
        Parameter { name: name.to_owned(), shape: shape.to_vec(), part, value }
    };
    let shapes: [(&str, Part, &[usize]); 4] = [
        ("embedding", Part::Embeddings, &[300, 96]),
        ("tall", Part::Layer(0), &[500, 128]),
        ("wide", Part::Layer(0), &[96, 300]),
        ("bias", Part::Layer(0), &[20_000]),
    ];
    shapes.into_iter().map(entry).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for config in configs() {
        let trained = |threads| {
            on_threads(threads, || {
                let (mut weights, gradients) =
                    (large(0), large(1).map(|it| Some(it.value.clone())));
                let mut optimizer = Optimizer::new(config.clone(), &gradients).unwrap();
                let norms = [0, 1]
                    .map(|_| optimizer.step(&mut weights, &gradients, 3, 1e-2).unwrap().to_bits());
                (weights, norms)
            })
        };
        let one = trained(1);
        assert!(one == trained(2) && one == trained(4), "{}", config.kind());
    }
}
