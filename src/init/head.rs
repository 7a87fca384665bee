//! The first rows of a file, whatever its format, and what stands in their columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow::datatypes::DataType;
use corpus_prep::error::Error;
use corpus_prep::read::parquet::ParquetFile;
use corpus_prep::read::rows::{NamedRow, NamedRows, RowFormat};

/// Most different values of a column that are told apart, inclusive.
pub const MAX_VALUES: usize = 200;

/// The first rows of the file at `path`, at most `most`; of Parquet with the columns whose types `is_wanted`.
///
/// # Errors
/// When its name tells no format of rows, it cannot be opened, or it is not of that format. A row that cannot be read says so
/// in its own place.
pub fn head(
    path: &Path,
    most: usize,
    is_wanted: fn(&DataType) -> bool,
) -> anyhow::Result<Vec<anyhow::Result<NamedRow>>> {
    let format = RowFormat::of(&path.to_string_lossy())?;
    let columns = match format {
        RowFormat::Parquet => columns(path, is_wanted)?,
        // The others are read whole.
        RowFormat::Stream(..) => Vec::new(),
    };
    let wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = NamedRows::open(path, format, &wanted)?.take(most);
    Ok(rows.map(|row| Ok(row?)).collect())
}

/// Names of the columns of a Parquet file whose types `is_wanted`.
fn columns(path: &Path, is_wanted: fn(&DataType) -> bool) -> anyhow::Result<Vec<String>> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| Error::Io { file: name.clone(), source })?;
    let file = ParquetFile::whole(file, &name)?;
    let columns = file.header().names().iter();
    Ok(columns.filter(|column| file.type_of(column).is_some_and(is_wanted)).cloned().collect())
}

/// The columns, or fields, of rows that were looked at.
#[derive(Default)]
pub struct Columns {
    /// By name.
    pub columns: BTreeMap<String, Column>,
    /// How many rows there were.
    pub num_rows: usize,
}

/// What stands in a column.
#[derive(Default)]
pub struct Column {
    /// Bytes of its values together.
    pub bytes: u64,
    /// Rows that have a value, though it may be blank.
    pub present: usize,
    /// Rows whose value is not blank.
    pub filled: usize,
    /// Its values, of many the first [`MAX_VALUES`] and one more.
    pub values: BTreeSet<String>,
}

impl Columns {
    /// Takes in the values of a row.
    pub fn add<'a>(&mut self, row: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.num_rows += 1;
        for (name, value) in row {
            let column = self.columns.entry(name.to_owned()).or_default();
            column.bytes += value.len() as u64;
            column.present += 1;
            column.filled += usize::from(!value.trim().is_empty());
            if column.values.len() <= MAX_VALUES {
                column.values.insert(value.to_owned());
            }
        }
    }

    /// The column with the longest values among those that are `fit`; of equal ones the first by name.
    pub fn longest(&self, fit: impl Fn(&Column) -> bool) -> Option<&str> {
        let fit = self.columns.iter().rev().filter(|(_, column)| fit(column));
        fit.max_by_key(|(_, column)| column.bytes).map(|(name, _)| name.as_str())
    }

    /// The names of the columns, for messages.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        format!("`{}`", names.join("`, `"))
    }
}
