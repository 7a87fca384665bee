//! Phase `measure`: the signals of every text, and the index by which duplicates are found.

use crate::dedup::index::Entry;
use crate::error::{Error, Result};
use crate::extract;
use crate::filters::MEASURED;
use crate::signal::{self, Dialect, Measurer};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::TableReader;
use pipelines::table::documents::{Extracted, Reading};
use pipelines::table::signals::{self, SignalsWriter};
use rayon::prelude::*;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroU32;

/// Name of the phase.
pub const NAME: &str = "measure";

/// The table of signals.
pub const SIGNALS: &str = "signals";

/// The index of texts, one section a range of ids.
pub const INDEX: &str = "index";

/// Measures the texts of a part.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// How words are cut.
    pub words: Dialect,
    /// Ranges of ids, a power of two.
    pub ranges: NonZeroU32,
}

/// Name of the section of the index that holds range `range`.
pub fn section(range: u64) -> String {
    format!("range-{range}")
}

impl Phase for Measure {
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
        let task = |part: &String| {
            let source = view.output(extract::NAME, part, extract::EXTRACTED);
            Task::new(part.clone(), vec![Input::new("extracted", source)])
        };
        Ok(view.tasks(extract::NAME).iter().map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let table = TableReader::<Extracted>::open(&inputs.one("extracted")?.map()?)?;
        ctx.begin(table.rows(), Unit::Rows);
        let mut signals = SignalsWriter::create(out, SIGNALS, &signal::columns(&MEASURED))?;
        let mut index = Vec::new();
        for batch in table {
            ctx.check_cancelled()?;
            let batch = batch?;
            ctx.advance(batch.len() as u64);
            batch.iter().for_each(|row| count(row, out));
            let measurer = || Measurer::new(self.words, &MEASURED);
            let measured: Vec<_> = batch.into_par_iter().map_init(measurer, measure).collect();
            for (row, entry) in measured {
                signals.push(row)?;
                index.extend(entry);
            }
        }
        signals.finish(out)?;
        index.sort_unstable();
        self.write_index(&index, out)
    }
}

impl Measure {
    /// Writes the sorted entries, cut into ranges.
    fn write_index(&self, entries: &[Entry], out: &mut TaskOutput) -> Result<(), TaskError> {
        let range_bits = self.ranges.trailing_zeros();
        let mut file = out.create(INDEX)?;
        for range in entries.chunk_by(|a, b| a.range(range_bits) == b.range(range_bits)) {
            file.section(section(range[0].range(range_bits)));
            for entry in range {
                file.write_all(&entry.bytes())
                    .map_err(|source| Error::Write { output: INDEX, source })?;
            }
        }
        Ok(out.finish(file, Size::Rows(entries.len() as u64))?)
    }
}

fn measure(measurer: &mut Measurer, row: Extracted) -> (signals::Signals, Option<Entry>) {
    let Extracted { key, reading, .. } = row;
    match reading {
        Reading::Read { id, text, .. } => {
            let values = measurer.measure(&text).into_iter().map(Some).collect();
            let entry = Entry::of(&text, &key);
            (signals::Signals { key, id: Some(id), values }, entry)
        }
        _ => {
            let values = vec![None; signal::columns(&MEASURED).len()];
            (signals::Signals { key, id: None, values }, None)
        }
    }
}

/// Counts a record; read = kept + dropped + unreadable.
pub fn count(row: &Extracted, out: &mut TaskOutput) {
    out.count("read", 1);
    match &row.reading {
        Reading::Read { .. } => out.count("kept", 1),
        Reading::Excluded { .. } => out.count("dropped", 1),
        Reading::Unreadable { .. } => out.count("unreadable", 1),
    }
}
