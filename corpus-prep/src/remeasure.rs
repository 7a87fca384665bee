//! Phase `remeasure`: edits every text, and measures what is left of it.
//!
//! Its table has all signals of a record, those of the text as it was extracted first. Texts that rules will drop are measured
//! too, so that a changed bound asks for no measuring.

use crate::cascade::Editor;
use crate::edit::C4Lines;
use crate::error::{Error, Result};
use crate::extract;
use crate::filters::{MEASURED, columns_after_edit};
use crate::measure::{self, SIGNALS, count};
use crate::rows::rows;
use crate::signal::{self, Dialect};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::TaskOutput;
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::TableReader;
use pipelines::table::documents::Extracted;
use pipelines::table::signals::{self as table, SignalsWriter};
use rayon::prelude::*;
use serde::Serialize;

/// Name of the phase.
pub const NAME: &str = "remeasure";

/// Edits and measures the texts of a part.
#[derive(Clone, Debug, Serialize)]
pub struct Remeasure {
    /// How texts are edited.
    pub edit: C4Lines,
    /// How words and sentences are cut.
    pub words: Dialect,
}

impl Phase for Remeasure {
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
        let task = |part: &String| {
            let extracted = view.output(extract::NAME, part, extract::EXTRACTED);
            let signals = view.output(measure::NAME, part, SIGNALS);
            let inputs = vec![Input::new("extracted", extracted), Input::new("signals", signals)];
            Task::new(part.clone(), inputs)
        };
        Ok(view.tasks(measure::NAME).iter().map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let extracted = TableReader::<Extracted>::open(&inputs.one("extracted")?.map()?)?;
        ctx.begin(extracted.rows(), Unit::Rows);
        let before = signal::columns(&MEASURED);
        let mut measured = rows(table::read(&inputs.one("signals")?.map()?, &before)?);
        let after = columns_after_edit();
        let columns: Vec<&str> = before.iter().chain(&after).copied().collect();
        let mut signals = SignalsWriter::create(out, SIGNALS, &columns)?;
        for batch in extracted {
            ctx.check_cancelled()?;
            let batch = batch?;
            ctx.advance(batch.len() as u64);
            let editor = || Editor::new(self.edit.clone(), self.words);
            let edited = batch.par_iter().map_init(editor, values);
            for (row, values) in batch.iter().zip(edited.collect::<Vec<_>>()) {
                let mut signals_of = next(&mut measured, row)?;
                signals_of.values.extend(values);
                signals.push(signals_of)?;
                count(row, out);
            }
        }
        Ok(signals.finish(out)?)
    }
}

/// The signals of a record by [`columns_after_edit`]; none of one without a text.
fn values(editor: &mut Editor, row: &Extracted) -> Vec<Option<f64>> {
    match row.text() {
        Some(text) => editor.edit(text).1.into_iter().map(Some).collect(),
        None => vec![None; columns_after_edit().len()],
    }
}

/// The signals of a record as it was extracted.
fn next(
    measured: &mut impl Iterator<Item = pipelines::error::Result<table::Signals>>,
    row: &Extracted,
) -> Result<table::Signals, TaskError> {
    match measured.next() {
        Some(Ok(signals)) if signals.key == row.key => Ok(signals),
        Some(Err(error)) => Err(error.into()),
        other => {
            let found = other.and_then(Result::ok).map_or("no row".to_owned(), |signals| {
                format!("record {} of unit {}", signals.key.record, signals.key.unit)
            });
            let expected = format!("record {} of unit {}", row.key.record, row.key.unit);
            Err(Error::Unexpected { file: SIGNALS.into(), found, expected }.into())
        }
    }
}
