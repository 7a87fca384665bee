//! Phase `decide`: every record has one outcome.
//!
//! Rules are asked before duplicates: equal texts fail equal rules, so a duplicate always names a record that is kept.

use crate::dedup::Key;
use crate::dedup::exact::{self, Duplicate};
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::rows::rows;
use crate::rule::{Check, Judge, Rules};
use crate::{deduplicate, extract, measure, remeasure};
use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::TaskOutput;
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::RowKey;
use pipelines::table::{TableReader, TableWriter, signals};
use serde::Serialize;

/// Name of the phase.
pub const NAME: &str = "decide";

/// The table of decisions.
pub const DECISIONS: &str = "decisions";

/// What the counts begin with that say how many texts fail a rule, whether or not it is the first that they fail.
pub const FAILS: &str = "fails/";

/// How similar exact duplicates are.
const EQUAL: f64 = 1.0;

/// Judges the records of a part.
#[derive(Clone, Debug, Serialize)]
pub struct Decide {
    /// Which filters are asked.
    pub filters: Filters,
    /// The bounds of their rules.
    pub rules: Rules,
}

impl Phase for Decide {
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
        let edited = !view.tasks(remeasure::NAME).is_empty();
        let measured = if edited { remeasure::NAME } else { measure::NAME };
        let task = |part: &String| {
            let signals = Input::new("signals", view.output(measured, part, measure::SIGNALS));
            let aside = Input::new("aside", view.output(extract::NAME, part, extract::ASIDE));
            let ranges = view.tasks(deduplicate::NAME).iter().map(|range| {
                let duplicates = view.output(deduplicate::NAME, range, deduplicate::DUPLICATES);
                Input::new("duplicates", duplicates.section(part))
            });
            Task::new(part.clone(), [signals, aside].into_iter().chain(ranges).collect())
        };
        Ok(view.tasks(measure::NAME).iter().map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let duplicates = read_duplicates(inputs)?;
        let mut aside = rows(TableReader::<Decision>::open(&inputs.one("aside")?.map()?)?);
        let mut decisions = TableWriter::create(out, DECISIONS)?;
        let columns = self.filters.columns();
        let judge = self.filters.judge(&self.rules).map_err(unmeasured)?;
        for batch in signals::read(&inputs.one("signals")?.map()?, &columns)? {
            ctx.check_cancelled()?;
            for row in batch? {
                let decision = match outcome(&judge, &row, &duplicates, out)? {
                    Some(outcome) => Decision { key: row.key, id: row.id, outcome },
                    None => next_aside(&mut aside, &row.key)?,
                };
                count(&decision.outcome, out);
                decisions.push(decision)?;
            }
        }
        Ok(decisions.finish(out)?)
    }
}

/// The outcome of a record that has a text. Every rule that fails is counted, not the first alone.
fn outcome(
    judge: &Judge,
    row: &signals::Signals,
    duplicates: &[Duplicate],
    out: &mut TaskOutput,
) -> Result<Option<Outcome>> {
    if row.id.is_none() {
        return Ok(None);
    }
    let values = values(row)?;
    for check in judge.checks(&values).filter(Check::fails) {
        out.count(&format!("{FAILS}{}", check.rule.name), 1);
    }
    if let Some(check) = judge.first_failed(&values) {
        return Ok(Some(Outcome::Dropped {
            rule: check.rule.name.into(),
            value: check.value,
            threshold: check.threshold().unwrap_or(f64::NAN),
        }));
    }
    let key =
        Key::of(&row.key).ok_or_else(|| unexpected(&row.key, "a unit of 32 hexadecimal digits"))?;
    let found = duplicates.binary_search_by_key(&key, |duplicate| duplicate.dropped);
    Ok(Some(found.map_or(Outcome::Kept, |at| Outcome::Duplicate {
        rule: "exact".into(),
        kept: duplicates[at].kept.row_key(),
        similarity: EQUAL,
    })))
}

fn values(row: &signals::Signals) -> Result<Vec<f64>> {
    let values: Option<Vec<f64>> = row.values.iter().copied().collect();
    values.ok_or_else(|| unexpected(&row.key, "a value for every signal of a record with a text"))
}

fn unmeasured(signal: &str) -> Error {
    let expected = format!("the signal `{signal}`, which a rule judges");
    Error::Unexpected { file: "signals".into(), found: "no such column".into(), expected }
}

/// The decision on the next record without text, which must be the record `key`.
fn next_aside(
    aside: &mut impl Iterator<Item = pipelines::error::Result<Decision>>,
    key: &RowKey,
) -> Result<Decision, TaskError> {
    match aside.next() {
        Some(Ok(decision)) if decision.key == *key => Ok(decision),
        Some(Err(error)) => Err(error.into()),
        _ => Err(unexpected(key, "its decision beside the extracted records").into()),
    }
}

fn unexpected(key: &RowKey, expected: &str) -> Error {
    let found = format!("record {} of unit {} without it", key.record, key.unit);
    Error::Unexpected { file: "signals".into(), found, expected: expected.into() }
}

/// The duplicates of the part in all ranges, sorted by the dropped record.
fn read_duplicates(inputs: &TaskInputs) -> Result<Vec<Duplicate>, TaskError> {
    let mut duplicates = Vec::new();
    for range in inputs.all("duplicates") {
        duplicates.extend(exact::read(&range.map()?, range.name())?);
    }
    duplicates.sort_unstable();
    Ok(duplicates)
}

/// Counts an outcome; read = kept + dropped + unreadable.
fn count(outcome: &Outcome, out: &mut TaskOutput) {
    out.count("read", 1);
    match outcome {
        Outcome::Kept => out.count("kept", 1),
        Outcome::Unreadable { .. } => out.count("unreadable", 1),
        dropped => {
            out.count("dropped", 1);
            match dropped {
                Outcome::Dropped { rule, .. } => out.count(&format!("dropped/{rule}"), 1),
                other => out.count(&format!("dropped/{}", other.name()), 1),
            }
        }
    }
}
