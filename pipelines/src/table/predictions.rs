//! The table `predictions`: what a model said of each row.

use super::documents::RowKey;
use super::{BuildColumns, Columns, Row};
use crate::error::Result;

/// A row of `predictions`: one model with one seed on one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The step that made the model, or the baseline's name.
    pub model: String,
    /// Which of the model's seeds.
    pub seed: u64,
    /// The example.
    pub id: String,
    /// The example's row key.
    pub key: RowKey,
    /// What the example shares with rows that are not independent of it.
    pub group: Option<String>,
    /// The label that it carries.
    pub label: String,
    /// The label that the model finds most probable.
    pub predicted: String,
    /// The probability of each label, in the order of the label list.
    pub probabilities: Vec<f64>,
}

impl Row for Prediction {
    const TABLE: &'static str = "predictions";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("model", rows.iter().map(|row| row.model.as_str()));
        columns.u64("seed", rows.iter().map(|row| row.seed));
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.maybe_text("group", rows.iter().map(|row| row.group.as_deref()));
        columns.text("label", rows.iter().map(|row| row.label.as_str()));
        columns.text("predicted", rows.iter().map(|row| row.predicted.as_str()));
        columns.f64s("probabilities", rows.iter().map(|row| row.probabilities.as_slice()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            model: columns.text("model", at)?,
            seed: columns.u64("seed", at)?,
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            group: columns.maybe_text("group", at)?,
            label: columns.text("label", at)?,
            predicted: columns.text("predicted", at)?,
            probabilities: columns.f64s("probabilities", at)?,
        })
    }

    fn weight(&self) -> usize {
        160 + 8 * self.probabilities.len()
    }
}
