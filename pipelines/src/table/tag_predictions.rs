//! The table `tag-predictions`: how a model tagged each row.

use super::documents::RowKey;
use super::{BuildColumns, Columns, Row};
use crate::error::Result;

/// A row of `tag-predictions`: one model with one seed on one example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPrediction {
    /// The step that made the model.
    pub model: String,
    /// Which of the model's seeds.
    pub seed: u64,
    /// The example.
    pub id: String,
    /// The example's row key.
    pub key: RowKey,
    /// What the example shares with rows that are not independent of it.
    pub group: Option<String>,
    /// The tag that each of its tokens carries.
    pub tags: Vec<String>,
    /// The tag that the model gives each of them.
    pub predicted: Vec<String>,
}

impl Row for TagPrediction {
    const TABLE: &'static str = "tag-predictions";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("model", rows.iter().map(|row| row.model.as_str()));
        columns.u64("seed", rows.iter().map(|row| row.seed));
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.maybe_text("group", rows.iter().map(|row| row.group.as_deref()));
        columns.texts("tags", rows.iter().map(|row| row.tags.as_slice()));
        columns.texts("predicted", rows.iter().map(|row| row.predicted.as_slice()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            model: columns.text("model", at)?,
            seed: columns.u64("seed", at)?,
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            group: columns.maybe_text("group", at)?,
            tags: columns.texts("tags", at)?,
            predicted: columns.texts("predicted", at)?,
        })
    }

    fn weight(&self) -> usize {
        let tags = self.tags.iter().chain(&self.predicted);
        160 + tags.map(|tag| tag.len() + 8).sum::<usize>()
    }
}
