//! Where predictions go.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pipelines::context::Cancel;

use super::answer::{Answers, Model};
use super::input::STOPPED;
use crate::whole_file::WholeFile;
use crate::worker::listen;

/// The ends of names of files that can be written, for messages.
const KNOWN: &str = ".jsonl, .csv or .parquet";

/// The predictions, as they are written. A file stands under its name once all of them are there, for its owner alone unless
/// it replaces one that others could read.
pub struct Output {
    form: Form,
    /// Of a file.
    path: Option<(PathBuf, WholeFile)>,
}

enum Form {
    Stdout,
    Jsonl(BufWriter<File>),
    /// The header comes with the first answers.
    Csv(csv::Writer<File>, bool),
    /// The columns come with the first answers.
    Parquet(Option<File>, Option<ArrowWriter<File>>),
}

impl Output {
    /// Predictions for `path`; without one, as JSON lines to standard output. A FIFO is waited for until somebody reads it.
    pub fn create(path: Option<&Path>, cancel: &Cancel) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { form: Form::Stdout, path: None }) };
        let shown = path.display();
        let form: fn(File) -> Form = match path.extension().and_then(|end| end.to_str()) {
            Some("jsonl" | "ndjson" | "json") => |file| Form::Jsonl(BufWriter::new(file)),
            Some("csv") => |file| Form::Csv(csv::Writer::from_writer(file), false),
            Some("parquet") => |file| Form::Parquet(Some(file), None),
            _ => bail!("{shown}: the end of its name tells no format; expected {KNOWN}"),
        };
        let (created, is_created) = mpsc::sync_channel(1);
        // They hold what stands in the rows, so a new file is its owner's.
        let create = {
            let path = path.to_owned();
            move || WholeFile::create(&path, None)
        };
        std::thread::spawn(move || drop(created.send(create())));
        let created = listen(&is_created, cancel)?.context(STOPPED)?;
        let (whole, file) = created.with_context(|| format!("cannot write {shown}"))?;
        Ok(Self { form: form(file), path: Some((path.to_owned(), whole)) })
    }

    /// Writes some answers; returns whether anyone reads them.
    pub fn write(&mut self, answers: &Answers, labels: &[String]) -> anyhow::Result<bool> {
        let shown = self.path.as_ref().map(|(path, _)| path.display().to_string());
        let cannot =
            || format!("cannot write {}", shown.unwrap_or_else(|| "the predictions".into()));
        match &mut self.form {
            Form::Stdout => return crate::show::text(&lines(answers)?),
            Form::Jsonl(file) => file.write_all(lines(answers)?.as_bytes()).with_context(cannot)?,
            Form::Csv(file, has_header) => {
                let table = answers.table(labels)?;
                write_csv(file, &table, std::mem::replace(has_header, true))
                    .with_context(cannot)?;
            }
            Form::Parquet(file, writer) => {
                let table = answers.table(labels)?;
                if let Some(file) = file.take() {
                    *writer =
                        Some(ArrowWriter::try_new(file, table.schema(), Some(properties()?))?);
                }
                if let Some(writer) = writer {
                    writer.write(&table).with_context(cannot)?;
                }
            }
        }
        Ok(true)
    }

    /// Puts the file under its name.
    pub fn finish(mut self, model: &Model) -> anyhow::Result<()> {
        // So that the columns are there even where no row was.
        self.write(&model.no_answers(), model.labels())?;
        let Some((path, whole)) = self.path else { return Ok(()) };
        let cannot = || format!("cannot write {}", path.display());
        let file = match self.form {
            Form::Stdout => return Ok(()),
            Form::Jsonl(file) => file.into_inner().map_err(io::IntoInnerError::into_error),
            Form::Csv(file, _) => file.into_inner().map_err(|error| error.into_error()),
            Form::Parquet(_, None) => return Ok(()),
            Form::Parquet(_, Some(writer)) => Ok(writer.into_inner().with_context(cannot)?),
        };
        file.and_then(|file| whole.publish(file)).with_context(cannot)
    }
}

fn lines(answers: &Answers) -> anyhow::Result<String> {
    Ok(answers.objects()?.into_iter().map(|object| object + "\n").collect())
}

fn properties() -> anyhow::Result<WriterProperties> {
    let properties = WriterProperties::builder()
        .set_created_by("seedbed".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?));
    Ok(properties.build())
}

fn write_csv(
    file: &mut csv::Writer<File>,
    table: &RecordBatch,
    has_header: bool,
) -> csv::Result<()> {
    if !has_header {
        file.write_record(table.schema().fields().iter().map(|field| field.name()))?;
    }
    for row in 0..table.num_rows() {
        file.write_record(table.columns().iter().map(|column| cell(column, row)))?;
    }
    Ok(())
}

/// A value of the tables here; of no value nothing.
fn cell(column: &dyn Array, row: usize) -> String {
    match column.data_type() {
        _ if column.is_null(row) => String::new(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    }
}
