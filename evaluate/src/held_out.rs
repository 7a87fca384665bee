//! Examples that models are measured on, and that baselines learn from.

use pipelines::{
    input::TaskInputs,
    stage::{ArtifactView, Input, View},
    table::{
        TableReader,
        examples::{Example, Split},
        predictions::Prediction,
    },
};
use serde::Deserialize;

use crate::error::{EvaluateError, Result};

/// The field, and the role, of examples.
pub(crate) const EXAMPLES: &str = "examples";

/// The file, and the role, of the label list.
const LABELS: &str = "labels.json";

/// The examples that the config names.
pub(crate) fn artifact(view: &View) -> Result<&ArtifactView> {
    view.artifacts(EXAMPLES).first().ok_or(EvaluateError::MissingInput { field: EXAMPLES })
}

/// The tables of examples and their label list, as inputs of a task.
pub(crate) fn inputs(view: &View) -> Result<Vec<Input>> {
    let artifact = artifact(view)?;
    let tables =
        artifact.files_ending(".parquet").map(|file| Input::new(EXAMPLES, file.source.clone()));
    Ok(tables.chain([labels_input(view)?]).collect())
}

/// The label list, as an input of a task.
pub(crate) fn labels_input(view: &View) -> Result<Input> {
    let artifact = artifact(view)?;
    let missing = || EvaluateError::MissingFile {
        name: artifact.name.clone(),
        file: LABELS.to_owned(),
        expected: "examples",
    };
    let file = artifact.file(LABELS).ok_or_else(missing)?;
    Ok(Input::new(LABELS, file.source.clone()).tagged(&artifact.name))
}

/// The label list.
#[derive(Deserialize)]
struct LabelList {
    labels: Vec<String>,
}

/// Names of the examples and their labels, in order.
pub(crate) fn labels(inputs: &TaskInputs) -> Result<(String, Vec<String>)> {
    let file = inputs.one(LABELS)?;
    let bad = |source| EvaluateError::Labels { file: file.name().to_owned(), source };
    let list: LabelList = serde_json::from_slice(&file.map()?).map_err(bad)?;
    Ok((file.tag().to_owned(), list.labels))
}

/// A labelled row, and where it is.
pub(crate) struct HeldOut {
    pub(crate) example: Example,
    pub(crate) place: String,
}

impl HeldOut {
    /// Its one label.
    pub(crate) fn label(&self) -> Result<&str> {
        match self.example.labels.as_slice() {
            [label] => Ok(label),
            labels => {
                Err(EvaluateError::NotOneLabel { place: self.place.clone(), found: labels.len() })
            }
        }
    }

    /// Its tokens and their tags.
    pub(crate) fn tagged(&self) -> Result<(&[String], &[String])> {
        let Example { tokens, tags, .. } = &self.example;
        if !tokens.is_empty() && tokens.len() == tags.len() {
            return Ok((tokens, tags));
        }
        let (place, tokens, tags) = (self.place.clone(), tokens.len(), tags.len());
        Err(EvaluateError::NotTagged { place, tokens, tags })
    }

    /// Its text or texts.
    pub(crate) fn texts(&self) -> (&str, Option<&str>) {
        (&self.example.text, self.example.text_pair.as_deref())
    }

    /// What `model` with `seed` said of it: a probability for each of `labels`, of which the first largest is predicted.
    pub(crate) fn prediction(
        &self,
        model: &str,
        seed: u64,
        labels: &[String],
        probabilities: Vec<f64>,
    ) -> Result<Prediction> {
        let larger = |best: usize, at: usize| {
            if probabilities[at] > probabilities[best] { at } else { best }
        };
        let predicted = (1..probabilities.len()).fold(0, larger);
        Ok(Prediction {
            model: model.to_owned(),
            seed,
            id: self.example.id.clone(),
            key: self.example.key.clone(),
            group: self.example.group.clone(),
            label: self.label()?.to_owned(),
            predicted: labels[predicted].clone(),
            probabilities,
        })
    }
}

/// The rows of a split, in the order of the tables.
///
/// # Errors
/// When there is none.
pub(crate) fn rows(inputs: &TaskInputs, split: Split) -> Result<Vec<HeldOut>> {
    let mut rows = Vec::new();
    for input in inputs.all(EXAMPLES) {
        for batch in TableReader::<Example>::open(&input.map()?)? {
            let kept = batch?.into_iter().filter(|example| example.split == split);
            rows.extend(
                kept.map(|example| HeldOut { place: place(input.name(), &example), example }),
            );
        }
    }
    if rows.is_empty() {
        let name = inputs.one(LABELS)?.tag().to_owned();
        return Err(EvaluateError::NoRows { name, split: split.name() });
    }
    Ok(rows)
}

fn place(table: &str, example: &Example) -> String {
    let own = match &example.source_id {
        Some(id) => format!(" (`{id}`)"),
        None => " (sources.parquet of the step that made it names the unit's file)".to_owned(),
    };
    format!(
        "{table}: {} row {} of unit {}{own}",
        example.split, example.key.record, example.key.unit
    )
}
