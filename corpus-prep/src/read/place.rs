//! Where in the input something was found.

use std::fmt;

/// A line or record of a file, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the manifest's paths name it.
    pub file: String,
    /// Where the range of the file begins that is being read, in bytes; 0 for whole files.
    pub base: u64,
    /// Line in the range, from 1; `None` where a record has no lines.
    pub line: Option<u64>,
}

impl Place {
    /// Row `row` of a Parquet file, from 1.
    pub fn row(file: &str, row: u64) -> Self {
        Self { file: format!("{file}: row {row}"), base: 0, line: None }
    }

    /// Record `record` of a file, from 1, which begins at decoded byte `offset`.
    pub fn record(file: &str, record: u64, offset: u64) -> Self {
        let file = format!("{file}: record {record} at decoded byte {offset}");
        Self { file, base: 0, line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.base) {
            (None, _) => f.write_str(&self.file),
            (Some(line), 0) => write!(f, "{}:{line}", self.file),
            (Some(line), base) => write!(f, "{}: line {line} after byte {base}", self.file),
        }
    }
}
