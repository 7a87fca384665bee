//! The table `sources`: which raw file each unit came from. It stands beside the artifacts of a step, in none of them.

use super::{BuildColumns, Columns, Row};
use crate::error::Result;

/// A row of `sources.parquet`: one for every path of every unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The file, relative to the manifest where it stands below it.
    pub path: String,
    /// The config field whose glob matched it, such as `inputs`.
    pub field: String,
    /// The part that its unit went into.
    pub part: String,
    /// The first 128 bits of the unit's BLAKE3: the `unit` of every row that came from it.
    pub unit: String,
    /// First byte of the unit in the file.
    pub offset: u64,
    /// Length of the unit in bytes.
    pub bytes: u64,
    /// `read`, or `duplicate_file` where the same bytes were read from another path.
    pub outcome: String,
}

impl Row for SourceRow {
    const TABLE: &'static str = "sources";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("path", rows.iter().map(|row| row.path.as_str()));
        columns.text("field", rows.iter().map(|row| row.field.as_str()));
        columns.text("part", rows.iter().map(|row| row.part.as_str()));
        columns.text("unit", rows.iter().map(|row| row.unit.as_str()));
        columns.u64("offset", rows.iter().map(|row| row.offset));
        columns.u64("bytes", rows.iter().map(|row| row.bytes));
        columns.text("outcome", rows.iter().map(|row| row.outcome.as_str()));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            path: columns.text("path", at)?,
            field: columns.text("field", at)?,
            part: columns.text("part", at)?,
            unit: columns.text("unit", at)?,
            offset: columns.u64("offset", at)?,
            bytes: columns.u64("bytes", at)?,
            outcome: columns.text("outcome", at)?,
        })
    }

    fn weight(&self) -> usize {
        self.path.len() + 96
    }
}
