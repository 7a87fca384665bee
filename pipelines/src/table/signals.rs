//! The table `signals`: everything that was measured of every record, one column each.

use std::path::Path;

use super::documents::RowKey;
use super::{BATCH_ROWS, BatchWriter, BuildColumns, Columns};
use crate::error::{Error, Result};
use crate::input::Mapped;
use crate::output::TaskOutput;

const TABLE: &str = "signals";
const VERSION: u64 = 1;

/// The measured values of one record, in the order of the columns; all null if it has no text.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// Which record.
    pub key: RowKey,
    /// BLAKE3-128 of its text, if it has one.
    pub id: Option<String>,
    /// One value a column.
    pub values: Vec<Option<f64>>,
}

/// Writes a `signals` table. Counts are whole numbers in a column of 64-bit floats, exact up to 2^53.
pub struct SignalsWriter {
    names: Vec<String>,
    rows: Vec<Signals>,
    writer: BatchWriter,
}

impl SignalsWriter {
    /// Starts the table with these columns as the output `name`.
    ///
    /// # Errors
    /// When the output cannot be made.
    pub fn create(out: &TaskOutput, name: &str, columns: &[&str]) -> Result<Self> {
        let names: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let schema = build(&names, &[]).schema();
        Ok(Self {
            writer: BatchWriter::create(out, name, schema, TABLE, VERSION)?,
            names,
            rows: Vec::new(),
        })
    }

    /// Adds the signals of one record.
    ///
    /// # Errors
    /// When rows cannot be written.
    ///
    /// # Panics
    /// If there is not one value a column.
    pub fn push(&mut self, row: Signals) -> Result<()> {
        assert_eq!(row.values.len(), self.names.len(), "one value a column");
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    fn write_batch(&mut self) -> Result<()> {
        let batch = build(&self.names, &self.rows).batch()?;
        self.rows.clear();
        self.writer.write(&batch)
    }

    /// Ends the table and makes it an output of `out`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, out: &mut TaskOutput) -> Result<()> {
        if !self.rows.is_empty() {
            self.write_batch()?;
        }
        self.writer.finish(out)
    }
}

fn build(names: &[String], rows: &[Signals]) -> BuildColumns {
    let mut columns = BuildColumns::default();
    columns.maybe_text("id", rows.iter().map(|row| row.id.as_deref()));
    RowKey::build(rows.iter().map(|row| &row.key), &mut columns);
    for (at, name) in names.iter().enumerate() {
        columns.maybe_f64(name, rows.iter().map(|row| row.values[at]));
    }
    columns
}

/// Reads a `signals` table: batches of rows with the wanted columns, in the wanted order.
///
/// # Errors
/// When the bytes are no such table, or a wanted signal is not in it: an unknown signal never counts as harmless.
pub fn read<'a>(
    file: &Mapped,
    wanted: &'a [&'a str],
) -> Result<impl Iterator<Item = Result<Vec<Signals>>> + use<'a>> {
    let (builder, path) = super::open(file, TABLE, VERSION)?;
    let schema = builder.schema().clone();
    for name in wanted {
        if schema.field_with_name(name).is_err() {
            let known: Vec<&str> =
                schema.fields().iter().skip(3).map(|field| field.name().as_str()).collect();
            let found = format!("the signals {}", known.join(", "));
            return Err(Error::Format { path, found, expected: format!("a signal `{name}`") });
        }
    }
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| super::damaged(&path, TABLE, &error))?;
    Ok(reader.map(move |batch| {
        read_batch(&batch.map_err(|error| super::damaged(&path, TABLE, &error))?, &path, wanted)
    }))
}

fn read_batch(
    batch: &arrow::record_batch::RecordBatch,
    path: &Path,
    wanted: &[&str],
) -> Result<Vec<Signals>> {
    let columns = Columns::of(batch, path);
    (0..batch.num_rows())
        .map(|at| {
            Ok(Signals {
                key: RowKey::read(&columns, at)?,
                id: columns.maybe_text("id", at)?,
                values: wanted
                    .iter()
                    .map(|name| columns.maybe_f64(name, at))
                    .collect::<Result<_>>()?,
            })
        })
        .collect()
}
