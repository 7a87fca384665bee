//! The tables `extracted` and `documents`: texts, one row each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StructArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Fields, UInt64Type};

use super::{BuildColumns, Columns, Row};
use crate::error::{Error, Result};

/// The unique key of a row: which record of which unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The first 128 bits of the unit's BLAKE3, 32 hexadecimal digits.
    pub unit: String,
    /// The record's place in the unit, from zero.
    pub record: u64,
}

impl RowKey {
    /// Adds the columns `unit` and `record`.
    pub fn build<'a>(keys: impl Iterator<Item = &'a RowKey> + Clone, columns: &mut BuildColumns) {
        columns.text("unit", keys.clone().map(|key| key.unit.as_str()));
        columns.u64("record", keys.map(|key| key.record));
    }

    /// Reads the columns `unit` and `record`.
    ///
    /// # Errors
    /// When one is missing or of another type.
    pub fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self { unit: columns.text("unit", at)?, record: columns.u64("record", at)? })
    }
}

/// What a record says of itself besides its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its own name, as found.
    pub source_id: Option<String>,
    /// Where it says it comes from, as found.
    pub source: Option<String>,
    /// Its address, as found.
    pub url: Option<String>,
    /// Its language, as found.
    pub lang: Option<String>,
    /// All its other fields, as canonical JSON.
    pub metadata: Option<String>,
}

impl Origin {
    fn build<'a>(origins: impl Iterator<Item = &'a Origin> + Clone, columns: &mut BuildColumns) {
        columns.maybe_text("source_id", origins.clone().map(|origin| origin.source_id.as_deref()));
        columns.maybe_text("source", origins.clone().map(|origin| origin.source.as_deref()));
        columns.maybe_text("url", origins.clone().map(|origin| origin.url.as_deref()));
        columns.maybe_text("lang", origins.clone().map(|origin| origin.lang.as_deref()));
        columns.maybe_text("metadata", origins.map(|origin| origin.metadata.as_deref()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            source_id: columns.maybe_text("source_id", at)?,
            source: columns.maybe_text("source", at)?,
            url: columns.maybe_text("url", at)?,
            lang: columns.maybe_text("lang", at)?,
            metadata: columns.maybe_text("metadata", at)?,
        })
    }

    fn weight(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        [&self.source_id, &self.source, &self.url, &self.lang, &self.metadata]
            .map(length)
            .iter()
            .sum()
    }
}

/// What reading made of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It has a text.
    Read {
        /// BLAKE3-128 of the text.
        id: String,
        /// The text.
        text: String,
        /// Bytes that were not UTF-8 and became U+FFFD.
        repaired_bytes: u64,
    },
    /// The user left it out; its text is not kept.
    Excluded {
        /// Which rule of the user's matched.
        reason: String,
    },
    /// It, or a span of the unit from it on, could not be read.
    Unreadable {
        /// What was wrong.
        reason: String,
        /// Where in the unit, in bytes.
        offset: u64,
    },
}

/// A row of `extracted`: one for every record that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// Which record.
    pub key: RowKey,
    /// What it says of itself.
    pub origin: Origin,
    /// What reading made of it.
    pub reading: Reading,
}

impl Extracted {
    /// The text, if there is one.
    pub fn text(&self) -> Option<&str> {
        match &self.reading {
            Reading::Read { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The id, if there is a text.
    pub fn id(&self) -> Option<&str> {
        match &self.reading {
            Reading::Read { id, .. } => Some(id),
            _ => None,
        }
    }

    fn outcome(&self) -> &'static str {
        match self.reading {
            Reading::Read { .. } => "read",
            Reading::Excluded { .. } => "excluded",
            Reading::Unreadable { .. } => "unreadable",
        }
    }

    fn reason(&self) -> Option<&str> {
        match &self.reading {
            Reading::Read { .. } => None,
            Reading::Excluded { reason } | Reading::Unreadable { reason, .. } => Some(reason),
        }
    }
}

impl Row for Extracted {
    const TABLE: &'static str = "extracted";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.maybe_text("id", rows.iter().map(Extracted::id));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        Origin::build(rows.iter().map(|row| &row.origin), columns);
        columns.text("outcome", rows.iter().map(Extracted::outcome));
        columns.maybe_text("reason", rows.iter().map(Extracted::reason));
        columns.maybe_u64(
            "offset",
            rows.iter().map(|row| match row.reading {
                Reading::Unreadable { offset, .. } => Some(offset),
                _ => None,
            }),
        );
        columns.maybe_u64(
            "repaired_bytes",
            rows.iter().map(|row| match row.reading {
                Reading::Read { repaired_bytes, .. } => Some(repaired_bytes),
                _ => None,
            }),
        );
        columns.maybe_text("text", rows.iter().map(Extracted::text));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        let reading = match columns.text("outcome", at)?.as_str() {
            "read" => Reading::Read {
                id: columns.text("id", at)?,
                text: columns.text("text", at)?,
                repaired_bytes: columns.u64("repaired_bytes", at)?,
            },
            "excluded" => Reading::Excluded { reason: columns.text("reason", at)? },
            "unreadable" => Reading::Unreadable {
                reason: columns.text("reason", at)?,
                offset: columns.u64("offset", at)?,
            },
            other => {
                return Err(Error::Format {
                    path: "extracted".into(),
                    found: format!("the outcome `{other}`"),
                    expected: "read, excluded or unreadable".into(),
                });
            }
        };
        Ok(Self { key: RowKey::read(columns, at)?, origin: Origin::read(columns, at)?, reading })
    }

    fn weight(&self) -> usize {
        128 + self.origin.weight() + self.text().map_or(0, str::len)
    }
}

/// Something that was taken out of a text, and what was put in its place. What it was is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The rule that did it.
    pub rule: String,
    /// Where in the extracted text, in bytes.
    pub offset: u64,
    /// How many bytes of it.
    pub length: u64,
    /// What stands there now; empty where nothing does. Since version 2.
    pub replacement: String,
}

/// A row of `documents`: a text that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// BLAKE3-128 of the extracted text, before edits.
    pub id: String,
    /// Which record it was.
    pub key: RowKey,
    /// What it said of itself.
    pub origin: Origin,
    /// What was edited, in order.
    pub edits: Vec<Edit>,
    /// The text after edits.
    pub text: String,
}

impl Row for Document {
    const TABLE: &'static str = "documents";
    const VERSION: u64 = 2;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        Origin::build(rows.iter().map(|row| &row.origin), columns);
        let edits: Vec<&Edit> = rows.iter().flat_map(|row| &row.edits).collect();
        columns.list("edits", edit_columns(&edits), rows.iter().map(|row| row.edits.len()));
        columns.text("text", rows.iter().map(|row| row.text.as_str()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            origin: Origin::read(columns, at)?,
            edits: read_edits(&columns.list("edits", at)?),
            text: columns.text("text", at)?,
        })
    }

    fn weight(&self) -> usize {
        128 + self.origin.weight() + self.text.len()
    }
}

fn edit_columns(edits: &[&Edit]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("rule", DataType::Utf8, false),
        Field::new("offset", DataType::UInt64, false),
        Field::new("length", DataType::UInt64, false),
        Field::new("replacement", DataType::Utf8, false),
    ]);
    let rules = StringArray::from_iter_values(edits.iter().map(|edit| &edit.rule));
    let offsets = UInt64Array::from_iter_values(edits.iter().map(|edit| edit.offset));
    let lengths = UInt64Array::from_iter_values(edits.iter().map(|edit| edit.length));
    let replacements = StringArray::from_iter_values(edits.iter().map(|edit| &edit.replacement));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(rules), Arc::new(offsets), Arc::new(lengths), Arc::new(replacements)];
    Arc::new(StructArray::new(fields, columns, None))
}

fn read_edits(list: &ArrayRef) -> Vec<Edit> {
    let Some(edits) = list.as_struct_opt() else { return Vec::new() };
    let rules = edits.column(0).as_string_opt::<i32>();
    let offsets = edits.column(1).as_primitive_opt::<UInt64Type>();
    let lengths = edits.column(2).as_primitive_opt::<UInt64Type>();
    let (Some(rules), Some(offsets), Some(lengths)) = (rules, offsets, lengths) else {
        return Vec::new();
    };
    let replacements = edits.column_by_name("replacement").and_then(AsArray::as_string_opt::<i32>);
    (0..edits.len())
        .map(|at| Edit {
            rule: rules.value(at).to_owned(),
            offset: offsets.value(at),
            length: lengths.value(at),
            replacement: replacements.map_or_else(String::new, |all| all.value(at).to_owned()),
        })
        .collect()
}
