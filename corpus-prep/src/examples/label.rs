//! Phase `label`: the label list, and what only all rows together can say.

use super::read::{self, FIELDS, ID_BYTES, LabelRows, Summary};
use super::tag::Scheme;
use crate::error::{Error, Result};
use crate::extract::raw_source;
use crate::read::Place;
use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::{Mapped, TaskInputs};
use pipelines::output::TaskOutput;
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::examples::{ExampleTask, Split};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::io;

/// Name of the phase, and of its one task.
pub const NAME: &str = "label";

/// The task and its labels in the order of their ids, as JSON.
pub const LABELS: &str = "labels";

/// Gathers the labels of all parts.
#[derive(Clone, Debug, Serialize)]
pub struct Label {
    /// What is to be learnt.
    pub task: ExampleTask,
}

impl Phase for Label {
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
        let mut inputs = Vec::new();
        for part in view.tasks(read::NAME) {
            inputs.push(Input::new("summary", view.output(read::NAME, part, read::SUMMARY)));
            inputs.push(Input::new("ids", view.output(read::NAME, part, read::IDS)));
        }
        // Named in messages, never opened.
        let units =
            FIELDS.iter().flat_map(|(field, _)| view.parts(field)).flat_map(|part| &part.units);
        inputs.extend(units.map(|unit| Input::new("file", raw_source(unit)).tagged(&unit.tag)));
        Ok(vec![Task::new(NAME, inputs)])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let summary = read_summaries(inputs)?;
        ctx.check_cancelled()?;
        let ids: Vec<_> = inputs.all("ids").map(|ids| ids.map()).collect::<Result<_, _>>()?;
        let num_rows = ids.iter().map(|ids| (ids.len() / ID_BYTES) as u64).sum();
        let found = labels(&summary, num_rows, inputs)?;
        let rows: BTreeMap<_, BTreeMap<_, _>> = summary
            .labels
            .iter()
            .map(|(label, splits)| {
                (label, splits.iter().map(|(split, found)| (split, found.rows)).collect())
            })
            .collect();
        let (list, details) = match &summary.schemes {
            None => {
                let list = json!({ "task": self.task, "labels": found });
                (list, json!({ "task": self.task, "labels": found, "rows": rows }))
            }
            Some(schemes) => {
                let list =
                    json!({ "task": self.task, "labels": iob2(&found), "entity_types": found });
                let scheme = Scheme::ALL.into_iter().find(|scheme| schemes.contains(scheme));
                let mut details = list.clone();
                details["entities"] = json!(rows);
                details["scheme"] = json!(scheme.map_or("mixed", Scheme::name));
                (list, details)
            }
        };
        out.write(LABELS, list.to_string().as_bytes())?;
        out.details(details);
        out.count("read", num_rows);
        out.count("kept", num_rows);
        out.count("text_in_train_too", text_in_train_too(&ids));
        Ok(())
    }
}

/// All tags of entities of these types, in the order of their ids.
fn iob2(entity_types: &[String]) -> Vec<String> {
    let tags = entity_types.iter().flat_map(|name| [format!("B-{name}"), format!("I-{name}")]);
    ["O".to_owned()].into_iter().chain(tags).collect()
}

/// The summaries of all parts together; of first rows, those of the first part.
fn read_summaries(inputs: &TaskInputs) -> Result<Summary, TaskError> {
    let mut all = Summary::default();
    for part in inputs.all("summary") {
        let summary: Summary = serde_json::from_reader(part.open()?).map_err(|error| {
            Error::Io { file: part.name().to_owned(), source: io::Error::from(error) }
        })?;
        if let Some(schemes) = &summary.schemes {
            all.narrow(schemes);
        }
        for (label, splits) in summary.labels {
            let known = all.labels.entry(label).or_default();
            for (split, found) in splits {
                let first = LabelRows { rows: 0, ..found.clone() };
                known.entry(split).or_insert(first).rows += found.rows;
            }
        }
    }
    Ok(all)
}

/// The sorted labels of train, which are all labels there are; of tags, the types of entities.
fn labels(summary: &Summary, num_rows: u64, inputs: &TaskInputs) -> Result<Vec<String>> {
    let in_train = |splits: &BTreeMap<Split, LabelRows>| splits.contains_key(&Split::Train);
    let known: Vec<_> = summary
        .labels
        .iter()
        .filter(|(_, splits)| in_train(splits))
        .map(|(label, _)| label.clone())
        .collect();
    if known.is_empty() {
        return Err(match summary.schemes {
            None => Error::NoTrainRows { rows: num_rows },
            Some(_) => Error::NoTrainEntities { rows: num_rows },
        });
    }
    let unseen = summary.labels.iter().find(|(_, splits)| !in_train(splits));
    let Some((label, (split, found))) =
        unseen.and_then(|(label, splits)| Some((label, splits.first_key_value()?)))
    else {
        return Ok(known);
    };
    let file = inputs.all("file").find(|file| *file.digest() == found.first_file);
    let file = file.map_or_else(|| found.first_file.to_string(), |file| file.name().to_owned());
    let place = Place { file, base: 0, line: found.first_line };
    let known = known.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    Err(Error::UnseenLabel { place, label: label.clone(), split: *split, known })
}

/// How many rows of validation and test have a text that train has as well.
fn text_in_train_too(ids: &[Mapped]) -> u64 {
    let rows = || ids.iter().flat_map(|ids| ids.as_chunks::<ID_BYTES>().0);
    let is_train = |row: &&[u8; ID_BYTES]| row[ID_BYTES - 1] == b'0';
    let train: HashSet<_> = rows().filter(is_train).map(|row| &row[..ID_BYTES - 1]).collect();
    let elsewhere = rows().filter(|row| !is_train(row));
    elsewhere.filter(|row| train.contains(&row[..ID_BYTES - 1])).count() as u64
}
