//! Phase `merge`: the vocabulary, from the counts of all parts.

use codec::{PretokenCounts, SpecialTokens, Vocabulary};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    stage::{Input, Phase, Task, View},
};
use serde::Serialize;
use serde_json::json;

use crate::{TokenizeError, count};

/// Name of the phase, and of its one task.
pub(crate) const NAME: &str = "merge";

/// What the task reads.
const COUNTS: &str = "counts";

/// Merges between two looks at whether to stop.
const CHECK_EVERY: usize = 16;

/// Learns byte-pair merges until the vocabulary has its size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Merge {
    /// Tokens in the vocabulary.
    pub(crate) size: usize,
    /// Those at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) special_tokens: Option<SpecialTokens>,
}

impl Phase for Merge {
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
        let counts =
            |part: &String| Input::new(COUNTS, view.output(count::NAME, part, count::COUNTS));
        Ok(vec![Task::new(NAME, view.tasks(count::NAME).iter().map(counts).collect())])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let counts = sum(inputs, ctx)?;
        if counts.is_empty() {
            return Err(TokenizeError::NoText.into());
        }
        ctx.begin(self.size as u64, Unit::Rows);
        let special = self.special_tokens.clone().unwrap_or_default();
        let vocabulary = Vocabulary::train(&counts, self.size - special.len(), |num_merges| {
            if num_merges % CHECK_EVERY == 0 {
                ctx.check_cancelled()?;
                ctx.advance(CHECK_EVERY as u64);
            }
            Ok::<_, Stop>(())
        })
        .map_err(|Stop(error)| error)?;
        let vocabulary = vocabulary.with_special_tokens(special).map_err(TokenizeError::from)?;
        for file in vocabulary.files() {
            out.write(file.name, &file.bytes)?;
        }
        out.count("distinct_pretokens", counts.len() as u64);
        out.count("tokens", vocabulary.size() as u64);
        out.details(json!({ "vocab_size": vocabulary.size() }));
        Ok(())
    }
}

/// Why learning ended early: an error of its own, or a run that is told to stop.
struct Stop(TaskError);

impl From<codec::CodecError> for Stop {
    fn from(error: codec::CodecError) -> Self {
        Self(TokenizeError::from(error).into())
    }
}

impl From<pipelines::error::Error> for Stop {
    fn from(error: pipelines::error::Error) -> Self {
        Self(error.into())
    }
}

/// The counts of all parts.
fn sum(inputs: &TaskInputs, ctx: &Context) -> Result<PretokenCounts, TaskError> {
    let mut sum = PretokenCounts::default();
    for input in inputs.all(COUNTS) {
        ctx.check_cancelled()?;
        PretokenCounts::read(input.open()?)
            .and_then(|counts| sum.absorb(counts))
            .map_err(|source| TokenizeError::Add { name: input.name().to_owned(), source })?;
    }
    Ok(sum)
}
