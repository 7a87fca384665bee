//! Phase `deduplicate`: exact duplicates over the whole corpus, one task a range of ids.
//!
//! A task reads that range of every part's index and writes one section a part, so that a changed text reaches only the
//! parts that hold it.

use crate::dedup::exact::{self, DUPLICATE_BYTES};
use crate::dedup::index;
use crate::error::{Error, Result};
use crate::measure;
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::{TaskInput, TaskInputs};
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Input, Phase, Task, View};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroU32;

/// Name of the phase.
pub const NAME: &str = "deduplicate";

/// The duplicates of a range, one section a part.
pub const DUPLICATES: &str = "duplicates";

/// Finds the duplicates of one range of ids.
#[derive(Clone, Debug, Serialize)]
pub struct Deduplicate {
    /// Ranges of ids, a power of two.
    pub ranges: NonZeroU32,
}

impl Phase for Deduplicate {
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
        let index = |part: &String, section: &str| {
            let source = view.output(measure::NAME, part, measure::INDEX).section(section);
            Input::new("index", source).tagged(part)
        };
        let task = |range| {
            let section = measure::section(range);
            let parts = view.tasks(measure::NAME).iter();
            Task::new(section.clone(), parts.map(|part| index(part, &section)).collect())
        };
        Ok((0..u64::from(self.ranges.get())).map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let indexes: Vec<_> = inputs.all("index").map(TaskInput::map).collect::<Result<_, _>>()?;
        let entries: Vec<_> = (inputs.all("index").zip(&indexes))
            .map(|(input, index)| index::entries(index, input.name()))
            .collect::<Result<_>>()?;
        ctx.begin(entries.iter().map(|entries| entries.len() as u64).sum(), Unit::Rows);
        let (mut file, mut num_dropped) = (out.create(DUPLICATES)?, 0);
        let parts: Vec<&str> = inputs.all("index").map(TaskInput::tag).collect();
        let num_records = exact::find(
            &entries,
            most(ctx),
            |done| {
                ctx.advance(done);
                Ok(ctx.check_cancelled()?)
            },
            |part, duplicates| -> Result<(), TaskError> {
                file.section(parts[part]);
                for duplicate in &duplicates {
                    let written = file.write_all(&duplicate.bytes());
                    written.map_err(|source| Error::Write { output: DUPLICATES, source })?;
                }
                num_dropped += duplicates.len() as u64;
                Ok(())
            },
        )?;
        out.finish(file, Size::Rows(num_dropped))?;
        out.count("read", num_records);
        out.count("kept", num_records - num_dropped);
        out.count("dropped", num_dropped);
        Ok(())
    }
}

/// Most duplicates that are held at once: a quarter of the memory, since growing lists take up to twice what is in them.
fn most(ctx: &Context) -> usize {
    let held = |memory| usize::try_from(memory / 4).unwrap_or(usize::MAX) / DUPLICATE_BYTES;
    ctx.memory().map_or(usize::MAX, held)
}
