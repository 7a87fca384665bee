//! Phase `classify`: what fine-tuned classifiers say of held-out rows, one task for each model and seed.

use std::num::NonZeroUsize;

use model::{NumericProfile, Sequence};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    stage::{Phase, Task, View},
    table::{TableWriter, examples::Split},
};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    classifier::Classifier,
    config::TooLong,
    error::{EvaluateError, Result},
    held_out::{self, HeldOut},
    model_files::{self, Loaded},
};

/// Name of the phase.
pub const NAME: &str = "classify";

/// The field of fine-tuned models.
pub(crate) const MODELS: &str = "models";

/// The table of predictions.
pub const PREDICTIONS: &str = "predictions";

/// Rows that are asked for together.
pub(crate) const BATCH_ROWS: usize = 256;

/// Asks a classifier for the rows of a split.
#[derive(Clone, Debug, Serialize)]
pub struct Classify {
    /// Whose rows.
    pub split: Split,
    /// Most tokens of a text, if fewer than the context holds.
    pub max_length: Option<NonZeroUsize>,
    /// What happens to longer texts.
    pub too_long: TooLong,
    /// The arithmetic.
    pub numeric_profile: NumericProfile,
}

impl Phase for Classify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        Ok(tasks(view)?)
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let model = Loaded::read(inputs, self.numeric_profile)?;
        let (_, listed) = held_out::labels(inputs)?;
        let rows = held_out::rows(inputs, self.split)?;
        let mut classifier = Classifier::new(model, self.max_length, self.too_long)?;
        let labels = Labels::new(&classifier, listed, &rows)?;
        // `collect` keeps the order, and the first error of the rows' order is not promised.
        let sequence = |row: &HeldOut| Ok(classifier.sequence(&row.place, row.texts())?.0);
        let sequences: Vec<Sequence> = rows.par_iter().map(sequence).collect::<Result<_>>()?;
        ctx.begin(rows.len() as u64, Unit::Rows);
        let mut table = TableWriter::create(out, PREDICTIONS)?;
        for (rows, sequences) in rows.chunks(BATCH_ROWS).zip(sequences.chunks(BATCH_ROWS)) {
            ctx.check_cancelled()?;
            let asked = classifier.probabilities(sequences, &|| ctx.check_cancelled())?;
            for (row, probabilities) in rows.iter().zip(asked) {
                let probabilities = labels.arrange(&probabilities);
                table.push(row.prediction(
                    classifier.name(),
                    classifier.seed(),
                    &labels.all,
                    probabilities,
                )?)?;
            }
            ctx.advance(rows.len() as u64);
        }
        out.count("rows", rows.len() as u64);
        Ok(table.finish(out)?)
    }
}

/// One task for each model and seed, over all examples.
pub(crate) fn tasks(view: &View) -> Result<Vec<Task>> {
    let examples = held_out::inputs(view)?;
    let mut tasks = Vec::new();
    for artifact in view.artifacts(MODELS) {
        for (seed, dir) in model_files::seeds(artifact)? {
            let inputs = model_files::inputs(artifact, &dir, seed)?;
            let name = format!("{}.seed-{seed}", artifact.name);
            tasks.push(Task::new(name, [inputs, examples.clone()].concat()));
        }
    }
    Ok(tasks)
}

/// The label list of the examples, behind it the labels that only the model knows.
struct Labels {
    all: Vec<String>,
    /// For each of them, the model's number.
    of_model: Vec<Option<usize>>,
}

impl Labels {
    /// Refuses rows whose label the model does not know.
    fn new(model: &Classifier, mut all: Vec<String>, rows: &[HeldOut]) -> Result<Self> {
        let known = model.labels();
        for row in rows {
            let label = row.label()?;
            if !known.iter().any(|known| known == label) {
                return Err(EvaluateError::UnknownLabel {
                    place: row.place.clone(),
                    model: model.name().to_owned(),
                    label: label.to_owned(),
                    known: known.join(", "),
                });
            }
        }
        let only_model: Vec<_> =
            known.iter().filter(|label| !all.contains(label)).cloned().collect();
        all.extend(only_model);
        let of_model =
            all.iter().map(|label| known.iter().position(|known| known == label)).collect();
        Ok(Self { all, of_model })
    }

    /// The model's probabilities in the order of the list; 0 for a label that it does not know.
    fn arrange(&self, probabilities: &[f64]) -> Vec<f64> {
        self.of_model.iter().map(|at| at.map_or(0.0, |at| probabilities[at])).collect()
    }
}
