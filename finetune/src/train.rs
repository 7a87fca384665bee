//! The phase `train`: one classifier a seed.

use std::num::{NonZeroU32, NonZeroUsize};

use model::checkpoint::WEIGHTS_FILE;
use model::{CONFIG_FILE, Footprint, Freeze, Local, ModelConfig, NumericProfile, OptimizerConfig};
use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Phase, Task, Training, View};
use pipelines::table::examples::ExampleTask;
use serde::Serialize;
use serde_json::json;

use crate::config::{Init, LabelledTokens, TooLong};
use crate::data;
use crate::error::FinetuneError;
use crate::rows::{Dataset, Encoder};
use crate::tagged;
use crate::trainer::Trainer;

/// Name of the phase.
pub const NAME: &str = "train";
/// The output with what was measured after each epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Outputs of a task.
pub const FILES: [&str; 3] = [CONFIG_FILE, METRICS_FILE, WEIGHTS_FILE];

/// Training of the classifiers.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "each field is the config's of the same name")]
pub struct Train {
    pub init: Init,
    pub task: ExampleTask,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labelled_tokens: Option<LabelledTokens>,
    pub max_length: Option<NonZeroUsize>,
    pub too_long: TooLong,
    pub epochs: NonZeroU32,
    pub batch_size: NonZeroUsize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch_size: Option<NonZeroUsize>,
    pub peak_lr: f64,
    pub warmup_ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_lr_decay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    pub shuffle_labels: bool,
    pub numeric_profile: NumericProfile,
    /// One task each. A task knows its own seed by the tag of the config that it reads, so that a further seed changes no key.
    #[serde(skip)]
    pub seeds: Vec<u64>,
    /// Not in the key either: it changes no byte.
    #[serde(skip)]
    pub recompute: bool,
    /// The optimizer that follows from the fields above.
    #[serde(skip)]
    pub constants: OptimizerConfig,
}

impl Phase for Train {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        4
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the config has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let task = |seed: &u64| {
            let mut inputs = data::inputs(view, self.init)?;
            for input in inputs.iter_mut().filter(|input| input.role == CONFIG_FILE) {
                input.tag = seed.to_string();
            }
            // The rows, and so the steps, are not known before they are read.
            let training =
                Training { config: self.config(), from: 0, to: None, state_output: None };
            Ok(Task { training: Some(training), ..Task::new(task_name(*seed), inputs) })
        };
        self.seeds.iter().map(task).collect()
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        self.numeric_profile.require()?;
        let seed = seed(inputs)?;
        let shape = data::shape(inputs)?;
        let (codec, form) = data::codec(inputs, &shape)?;
        let context = shape.max_position_embeddings();
        let max_length = self.max_length.map_or(context, NonZeroUsize::get);
        if max_length > context {
            return Err(FinetuneError::MaxLength { found: max_length, expected: context }.into());
        }
        let encoder = Encoder { codec: &codec, form, max_length, too_long: self.too_long };
        let dataset = match self.task {
            ExampleTask::SequenceClassification => Dataset::read(inputs, &encoder)?,
            ExampleTask::TokenClassification => {
                tagged::read(inputs, &encoder, self.labelled_tokens.unwrap_or_default())?
            }
        };
        self.require_memory(&shape, dataset.train.num_rows(), ctx)?;
        let classifier = data::classifier(inputs, self, &dataset.labels, seed)?;
        let (classifier, metrics) =
            Trainer::new(self, &dataset, seed, classifier, Box::new(Local))?.run(ctx)?;
        out.write(CONFIG_FILE, classifier.config.to_json().as_bytes())?;
        out.write(METRICS_FILE, &metrics)?;
        let mut weights = out.create(WEIGHTS_FILE)?;
        classifier.write_weights(&mut weights)?;
        out.finish(weights, Size::Bytes)?;
        out.count("train_rows", dataset.train.num_rows());
        out.count("validation_rows", dataset.validation.num_rows());
        out.count("truncated_rows", dataset.num_truncated);
        if self.task == ExampleTask::TokenClassification {
            out.count("train_windows", dataset.train.sequences.len() as u64);
            out.count("validation_windows", dataset.validation.sequences.len() as u64);
        }
        out.details(json!({
            "architecture": classifier.config.architecture(),
            "labels": dataset.labels,
            "parameters": classifier.weights.num_values(),
        }));
        Ok(())
    }
}

impl Train {
    /// Sequences that are computed together.
    pub fn micro_batch_size(&self) -> usize {
        self.micro_batch_size.unwrap_or(self.batch_size).get()
    }

    /// What is not trained.
    pub fn freeze(&self) -> Freeze {
        self.freeze.clone().unwrap_or_default()
    }

    /// Refuses what cannot fit, with a token for each sequence, before weights are read.
    fn require_memory(
        &self,
        shape: &ModelConfig,
        rows: u64,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let [batch_size, micro_batch_size] =
            [self.batch_size.get(), self.micro_batch_size()].map(|size| rows.min(size as u64));
        let footprint = Footprint {
            optimizer: &self.constants,
            freeze: &self.freeze(),
            micro_batches: batch_size.div_ceil(micro_batch_size.max(1)),
            tokens: micro_batch_size,
            recompute: self.recompute,
        };
        Ok(model::require_memory(shape, &footprint, ctx.memory())?)
    }
}

/// The name of a seed's task, and of its directory in the checkpoint.
pub fn task_name(seed: u64) -> String {
    format!("seed-{seed}")
}

fn seed(inputs: &TaskInputs) -> Result<u64, TaskError> {
    let found = inputs.one(CONFIG_FILE)?.tag();
    found.parse().map_err(|_| FinetuneError::Seed { found: found.to_owned() }.into())
}
