//! Parquet tables of typed rows: how every table of every artifact is written and read.
//!
//! A table says what it holds in its Parquet metadata (`seedbed.table`, `seedbed.version`); a reader refuses another
//! table and a newer version. Bytes depend on the rows alone: one writer, zstd level 3, a constant `created_by`, row
//! groups closed by rows and by bytes of row content.

mod column;
pub mod decisions;
pub mod documents;
pub mod examples;
pub mod likelihoods;
pub mod predictions;
pub mod signals;
pub mod sources;
pub mod tag_predictions;

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

pub use column::{BuildColumns, Columns};

use crate::error::{Error, Result};
use crate::input::Mapped;
use crate::output::{OutputFile, Size, TaskOutput};

/// Rows buffered before they become columns.
const BATCH_ROWS: usize = 1024;
/// Most rows in a row group.
const GROUP_ROWS: usize = 16 * BATCH_ROWS;
/// A row group is closed once its rows weigh this many bytes.
const GROUP_BYTES: usize = 32 << 20;

/// A row of one kind of table.
pub trait Row: Sized + Send {
    /// The table's name in its metadata.
    const TABLE: &'static str;
    /// The version of its columns.
    const VERSION: u64;

    /// Adds the table's columns, filled from `rows`.
    fn build(rows: &[Self], columns: &mut BuildColumns);

    /// Reads the row at `at`.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    fn read(columns: &Columns<'_>, at: usize) -> Result<Self>;

    /// Bytes of memory that the row's content takes, about.
    fn weight(&self) -> usize;
}

/// Writes rows of one kind into an output.
pub struct TableWriter<R> {
    writer: ArrowWriter<OutputFile>,
    rows: Vec<R>,
    written: u64,
    group_bytes: usize,
}

impl<R: Row> TableWriter<R> {
    /// Starts the table as the output `name`.
    ///
    /// # Errors
    /// When the output cannot be made.
    pub fn create(out: &TaskOutput, name: &str) -> Result<Self> {
        let mut empty = BuildColumns::default();
        R::build(&[], &mut empty);
        let writer = start(out, name, empty.schema(), R::TABLE, R::VERSION)?;
        Ok(Self { writer, rows: Vec::new(), written: 0, group_bytes: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When rows cannot be written.
    pub fn push(&mut self, row: R) -> Result<()> {
        self.group_bytes += row.weight();
        self.rows.push(row);
        self.written += 1;
        if self.rows.len() == BATCH_ROWS || self.group_bytes >= GROUP_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Rows added so far.
    pub fn len(&self) -> u64 {
        self.written
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    fn write_batch(&mut self) -> Result<()> {
        let mut columns = BuildColumns::default();
        R::build(&self.rows, &mut columns);
        self.rows.clear();
        let batch = columns.batch().map_err(|error| write_error(R::TABLE, error.into()))?;
        self.writer.write(&batch).map_err(|error| write_error(R::TABLE, error))?;
        if self.group_bytes >= GROUP_BYTES {
            self.writer.flush().map_err(|error| write_error(R::TABLE, error))?;
            self.group_bytes = 0;
        }
        Ok(())
    }

    /// Ends the table and makes it an output of `out`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, out: &mut TaskOutput) -> Result<()> {
        if !self.rows.is_empty() {
            self.write_batch()?;
        }
        let file = self.writer.into_inner().map_err(|error| write_error(R::TABLE, error))?;
        out.finish(file, Size::Rows(self.written))
    }
}

fn start(
    out: &TaskOutput,
    name: &str,
    schema: SchemaRef,
    table: &str,
    version: u64,
) -> Result<ArrowWriter<OutputFile>> {
    let level = ZstdLevel::try_new(3).expect("3 is a zstd level");
    let said = |key: &str, value: String| KeyValue::new(format!("seedbed.{key}"), value);
    let properties = WriterProperties::builder()
        .set_created_by("seedbed".into())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata(Some(vec![
            said("table", table.into()),
            said("version", version.to_string()),
        ]))
        .build();
    ArrowWriter::try_new(out.create(name)?, schema, Some(properties))
        .map_err(|error| write_error(table, error))
}

fn write_error(table: &str, error: parquet::errors::ParquetError) -> Error {
    let source = match error {
        parquet::errors::ParquetError::External(inner) => {
            match inner.downcast::<std::io::Error>() {
                Ok(io) => *io,
                Err(inner) => std::io::Error::other(inner),
            }
        }
        other => std::io::Error::other(other),
    };
    Error::Io { action: "write table", path: PathBuf::from(table), source }
}

/// Reads rows of one kind from mapped bytes, batch by batch.
pub struct TableReader<R> {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    rows: u64,
    kind: std::marker::PhantomData<R>,
}

impl<R: Row> TableReader<R> {
    /// Opens a table.
    ///
    /// # Errors
    /// When the bytes are no Parquet file, another table, or of a newer version.
    pub fn open(file: &Mapped) -> Result<Self> {
        let (builder, path) = open(file, R::TABLE, R::VERSION)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| damaged(&path, R::TABLE, &error))?;
        Ok(Self { path, reader, rows, kind: std::marker::PhantomData })
    }

    /// Rows in the table.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl<R: Row> Iterator for TableReader<R> {
    type Item = Result<Vec<R>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(damaged(&self.path, R::TABLE, &error))),
        };
        let columns = Columns::of(&batch, &self.path);
        Some((0..batch.num_rows()).map(|at| R::read(&columns, at)).collect())
    }
}

/// All rows of a small table.
///
/// # Errors
/// As [`TableReader::open`] and its batches.
pub fn read_all<R: Row>(file: &Mapped) -> Result<Vec<R>> {
    let batches: Vec<Vec<R>> = TableReader::open(file)?.collect::<Result<_>>()?;
    Ok(batches.into_iter().flatten().collect())
}

fn open(
    file: &Mapped,
    table: &'static str,
    supported: u64,
) -> Result<(ParquetRecordBatchReaderBuilder<Bytes>, PathBuf)> {
    let path = file.path().to_owned();
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_owner(file.clone()))
        .map_err(|error| damaged(&path, table, &error))?;
    let said = |key: &str| {
        let all = builder.metadata().file_metadata().key_value_metadata();
        all.and_then(|all| all.iter().find(|pair| pair.key == key)?.value.clone())
    };
    let found =
        said("seedbed.table").unwrap_or_else(|| "a Parquet file without `seedbed.table`".into());
    if found != table {
        return Err(Error::Format { path, found, expected: format!("the table `{table}`") });
    }
    let version = said("seedbed.version").and_then(|version| version.parse().ok()).unwrap_or(0);
    if version > supported {
        return Err(Error::TooNew { path, what: table, found: version, supported });
    }
    Ok((builder, path))
}

fn damaged(path: &Path, table: &str, error: &dyn std::error::Error) -> Error {
    Error::Format {
        path: path.to_owned(),
        found: error.to_string(),
        expected: format!("the Parquet table `{table}`"),
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Error::Format {
            path: PathBuf::new(),
            found: error.to_string(),
            expected: "columns of one length".into(),
        }
    }
}

/// Writes a batch that was built by hand; for tables whose columns are not fixed.
pub(crate) struct BatchWriter {
    writer: ArrowWriter<OutputFile>,
    rows: u64,
    table: &'static str,
}

impl BatchWriter {
    pub(crate) fn create(
        out: &TaskOutput,
        name: &str,
        schema: SchemaRef,
        table: &'static str,
        version: u64,
    ) -> Result<Self> {
        Ok(Self { writer: start(out, name, schema, table, version)?, rows: 0, table })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|error| write_error(self.table, error))
    }

    pub(crate) fn finish(self, out: &mut TaskOutput) -> Result<()> {
        let file = self.writer.into_inner().map_err(|error| write_error(self.table, error))?;
        out.finish(file, Size::Rows(self.rows))
    }
}
