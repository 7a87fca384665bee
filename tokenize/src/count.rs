//! Phase `count`: how often each pre-token occurs in a part.

use codec::{CodecError, PretokenCounts};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::{Size, TaskOutput},
    stage::{Phase, Task, View},
    table::{TableReader, documents::Document},
};
use rayon::prelude::*;
use serde::Serialize;

use crate::{TokenizeError, stage};

/// Name of the phase.
pub(crate) const NAME: &str = "count";

/// The counts of a part.
pub(crate) const COUNTS: &str = "counts";

/// Counts the pre-tokens of the documents of a part.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Count {}

impl Phase for Count {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let parts = stage::document_parts(view, "train.documents");
        Ok(parts.map(|(part, documents)| Task::new(part, vec![documents])).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let input = inputs.one(stage::DOCUMENTS)?;
        let failed = |source| TokenizeError::Count { name: input.name().to_owned(), source };
        let documents = TableReader::<Document>::open(&input.map()?)?;
        ctx.begin(documents.rows(), Unit::Rows);
        let mut counts = PretokenCounts::default();
        for batch in documents {
            let batch = batch?;
            ctx.check_cancelled()?;
            counts.absorb(count(&batch).map_err(failed)?).map_err(failed)?;
            out.count("documents", batch.len() as u64);
            ctx.advance(batch.len() as u64);
        }
        out.count("distinct_pretokens", counts.len() as u64);
        let mut file = out.create(COUNTS)?;
        counts.write(&mut file).map_err(failed)?;
        Ok(out.finish(file, Size::Rows(counts.len() as u64))?)
    }
}

/// Counts a batch in parallel. Sums do not depend on how it is dealt to threads.
fn count(batch: &[Document]) -> Result<PretokenCounts, CodecError> {
    batch
        .par_iter()
        .try_fold(PretokenCounts::default, |mut counts, document| {
            counts.count(&document.text)?;
            Ok(counts)
        })
        .try_reduce(PretokenCounts::default, |mut sum, counts| {
            sum.absorb(counts)?;
            Ok(sum)
        })
}
