//! Phase `baseline`: baselines fitted on the train split and asked for the held-out rows.

use std::collections::HashMap;

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
    classify::PREDICTIONS,
    config::Baseline,
    error::{EvaluateError, Result},
    held_out,
    tfidf::Tfidf,
};

/// Name of the phase.
pub const NAME: &str = "baseline";

/// Fits `tfidf` and asks it for the rows of a split.
#[derive(Clone, Debug, Serialize)]
pub struct FitBaseline {
    /// Which.
    pub baseline: Baseline,
    /// Whose rows.
    pub split: Split,
}

impl Phase for FitBaseline {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        Ok(vec![Task::new(self.baseline.name(), held_out::inputs(view)?)])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let (name, labels) = held_out::labels(inputs)?;
        let train = held_out::rows(inputs, Split::Train)?;
        let rows = held_out::rows(inputs, self.split)?;
        let numbers: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let number = |row: &held_out::HeldOut| {
            let label = row.label()?;
            numbers.get(label).copied().ok_or_else(|| EvaluateError::UnknownLabel {
                place: row.place.clone(),
                model: self.baseline.name().to_owned(),
                label: label.to_owned(),
                known: labels.join(", "),
            })
        };
        let answers = train.iter().map(number).collect::<Result<Vec<u32>>>()?;
        rows.iter().try_for_each(|row| number(row).map(|_| ()))?;
        let texts: Vec<_> = train.iter().map(held_out::HeldOut::texts).collect();
        ctx.begin(rows.len() as u64, Unit::Rows);
        let Baseline::Tfidf = self.baseline;
        let fitted = Tfidf::fit(&texts, &answers, labels.len(), &name, || ctx.check_cancelled())?;
        let asked: Vec<Vec<f64>> =
            rows.par_iter().map(|row| fitted.probabilities(row.texts())).collect();
        let mut table = TableWriter::create(out, PREDICTIONS)?;
        for (row, probabilities) in rows.iter().zip(asked) {
            table.push(row.prediction(self.baseline.name(), 0, &labels, probabilities)?)?;
        }
        ctx.advance(rows.len() as u64);
        out.count("train_rows", train.len() as u64);
        out.count("rows", rows.len() as u64);
        out.count("terms", fitted.num_terms() as u64);
        Ok(table.finish(out)?)
    }
}
