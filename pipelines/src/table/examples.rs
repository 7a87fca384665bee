//! The table `examples`: labelled rows of a task.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::documents::RowKey;
use super::{BuildColumns, Columns, Row};
use crate::error::{Error, Result};

/// Which rows a model may learn from, choose by, and be judged on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose by.
    Validation,
    /// To be judged on.
    Test,
}

impl Split {
    /// All splits, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Its name in tables and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be learnt from labelled rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExampleTask {
    /// One label for the whole text, or pair of texts.
    #[default]
    SequenceClassification,
    /// A tag for each word, by which entities are marked.
    TokenClassification,
}

impl ExampleTask {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::SequenceClassification => "sequence-classification",
            Self::TokenClassification => "token-classification",
        }
    }

    /// Whether it is what a manifest means that names none.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A row of `examples`: a text with its labels, or with a tag for each of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// BLAKE3-128 of the text (and of the second text, behind a zero byte, if there is one).
    pub id: String,
    /// Which record it was.
    pub key: RowKey,
    /// The row's own name, as found.
    pub source_id: Option<String>,
    /// Which split it is in.
    pub split: Split,
    /// What it shares with rows that are not independent of it, such as a patient.
    pub group: Option<String>,
    /// The text; of tokens, these with a blank between them.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// Its labels: one for a single-label task, none where tokens carry tags.
    pub labels: Vec<String>,
    /// Its tokens, where they carry tags; otherwise none.
    pub tokens: Vec<String>,
    /// The tag of each token in IOB2: `O`, `B-TYPE` on the first token of an entity, `I-TYPE` on its others.
    pub tags: Vec<String>,
}

impl Row for Example {
    const TABLE: &'static str = "examples";
    const VERSION: u64 = 2;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.maybe_text("source_id", rows.iter().map(|row| row.source_id.as_deref()));
        columns.text("split", rows.iter().map(|row| row.split.name()));
        columns.maybe_text("group", rows.iter().map(|row| row.group.as_deref()));
        columns.text("text", rows.iter().map(|row| row.text.as_str()));
        columns.maybe_text("text_pair", rows.iter().map(|row| row.text_pair.as_deref()));
        columns.texts("labels", rows.iter().map(|row| row.labels.as_slice()));
        columns.texts("tokens", rows.iter().map(|row| row.tokens.as_slice()));
        columns.texts("tags", rows.iter().map(|row| row.tags.as_slice()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        let split = columns.text("split", at)?;
        let split =
            Split::ALL.into_iter().find(|known| known.name() == split).ok_or_else(|| {
                Error::Format {
                    path: "examples".into(),
                    found: format!("the split `{split}`"),
                    expected: "train, validation or test".into(),
                }
            })?;
        Ok(Self {
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            source_id: columns.maybe_text("source_id", at)?,
            split,
            group: columns.maybe_text("group", at)?,
            text: columns.text("text", at)?,
            text_pair: columns.maybe_text("text_pair", at)?,
            labels: columns.texts("labels", at)?,
            tokens: columns.later_texts("tokens", at)?,
            tags: columns.later_texts("tags", at)?,
        })
    }

    fn weight(&self) -> usize {
        let length = |texts: &[String]| texts.iter().map(|text| text.len() + 8).sum::<usize>();
        let pair = self.text_pair.as_ref().map_or(0, String::len);
        160 + self.text.len() + pair + length(&self.tokens) + length(&self.tags)
    }
}
