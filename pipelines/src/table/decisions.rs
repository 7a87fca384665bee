//! The table `decisions`: what became of every record, and why.

use super::documents::RowKey;
use super::{BuildColumns, Columns, Row};
use crate::error::{Error, Result};

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its text is a document.
    Kept,
    /// A rule dropped it.
    Dropped {
        /// The first rule that it failed.
        rule: String,
        /// What was measured.
        value: f64,
        /// The bound that it broke.
        threshold: f64,
    },
    /// Another record with the same, or a similar, text is kept instead.
    Duplicate {
        /// How it was found, such as `exact`.
        rule: String,
        /// The record that is kept.
        kept: RowKey,
        /// How similar the two are; 1 for equal texts.
        similarity: f64,
    },
    /// The user left it out.
    Excluded {
        /// Which rule of the user's matched.
        reason: String,
    },
    /// It could not be read.
    Unreadable {
        /// What was wrong.
        reason: String,
    },
}

impl Outcome {
    /// Its name in the table: `kept`, `dropped`, `duplicate`, `excluded` or `unreadable`.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Kept => "kept",
            Outcome::Dropped { .. } => "dropped",
            Outcome::Duplicate { .. } => "duplicate",
            Outcome::Excluded { .. } => "excluded",
            Outcome::Unreadable { .. } => "unreadable",
        }
    }

    fn rule(&self) -> Option<&str> {
        match self {
            Outcome::Dropped { rule, .. } | Outcome::Duplicate { rule, .. } => Some(rule),
            _ => None,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Excluded { reason } | Outcome::Unreadable { reason } => Some(reason),
            _ => None,
        }
    }

    fn kept(&self) -> Option<&RowKey> {
        if let Outcome::Duplicate { kept, .. } = self { Some(kept) } else { None }
    }

    fn numbers(&self) -> [Option<f64>; 3] {
        match self {
            Outcome::Dropped { value, threshold, .. } => [Some(*value), Some(*threshold), None],
            Outcome::Duplicate { similarity, .. } => [None, None, Some(*similarity)],
            _ => [None; 3],
        }
    }
}

/// A row of `decisions`.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Which record.
    pub key: RowKey,
    /// BLAKE3-128 of its text, if it has one.
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Row for Decision {
    const TABLE: &'static str = "decisions";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.maybe_text("id", rows.iter().map(|row| row.id.as_deref()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.text("outcome", rows.iter().map(|row| row.outcome.name()));
        columns.maybe_text("rule", rows.iter().map(|row| row.outcome.rule()));
        columns.maybe_f64("value", rows.iter().map(|row| row.outcome.numbers()[0]));
        columns.maybe_f64("threshold", rows.iter().map(|row| row.outcome.numbers()[1]));
        columns.maybe_text(
            "kept_unit",
            rows.iter().map(|row| row.outcome.kept().map(|key| key.unit.as_str())),
        );
        columns.maybe_u64(
            "kept_record",
            rows.iter().map(|row| row.outcome.kept().map(|key| key.record)),
        );
        columns.maybe_f64("similarity", rows.iter().map(|row| row.outcome.numbers()[2]));
        columns.maybe_text("reason", rows.iter().map(|row| row.outcome.reason()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        let outcome = match columns.text("outcome", at)?.as_str() {
            "kept" => Outcome::Kept,
            "dropped" => Outcome::Dropped {
                rule: columns.text("rule", at)?,
                value: columns.f64("value", at)?,
                threshold: columns.f64("threshold", at)?,
            },
            "duplicate" => Outcome::Duplicate {
                rule: columns.text("rule", at)?,
                kept: RowKey {
                    unit: columns.text("kept_unit", at)?,
                    record: columns.u64("kept_record", at)?,
                },
                similarity: columns.f64("similarity", at)?,
            },
            "excluded" => Outcome::Excluded { reason: columns.text("reason", at)? },
            "unreadable" => Outcome::Unreadable { reason: columns.text("reason", at)? },
            other => {
                return Err(Error::Format {
                    path: "decisions".into(),
                    found: format!("the outcome `{other}`"),
                    expected: "kept, dropped, duplicate, excluded or unreadable".into(),
                });
            }
        };
        Ok(Self { key: RowKey::read(columns, at)?, id: columns.maybe_text("id", at)?, outcome })
    }

    fn weight(&self) -> usize {
        160
    }
}
