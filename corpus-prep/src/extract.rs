//! Phase `extract`: every record of the raw files becomes a row of `extracted`.

use crate::config::{Exclude, OnUnreadable};
use crate::error::{Error, Result};
use crate::read::decompress::Decoder;
use crate::read::format::{Compression, Syntax};
use crate::read::raw::RawContent;
use crate::read::records::{Content, Found, Records};
use crate::read::skip::Skipped;
use crate::read::{Format, Parsed, Parser, Place, Record};
use pipelines::context::{Context, Unit};
use pipelines::digest::text_id;
use pipelines::error::TaskError;
use pipelines::input::{TaskInput, TaskInputs};
use pipelines::output::TaskOutput;
use pipelines::stage::{Input, Phase, Source, Task, View};
use pipelines::table::TableWriter;
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::{Extracted, Origin, Reading, RowKey};
use rayon::prelude::*;
use serde::Serialize;
use std::io;

/// Name of the phase.
pub const NAME: &str = "extract";

/// The table of all records.
pub const EXTRACTED: &str = "extracted";

/// The decisions on records without text, so that later phases need not read texts for them.
pub const ASIDE: &str = "aside";

/// Records of a batch together are about this long; one batch is in memory at a time.
const BATCH_BYTES: u64 = 4 << 20;

/// Reads the records of a part's units, in order.
#[derive(Clone, Debug, Serialize)]
pub struct Extract {
    /// How records are parsed.
    pub parser: Parser,
    /// What happens to records that have no text.
    pub unreadable: OnUnreadable,
    /// Records that are left out.
    pub exclude: Exclude,
}

impl Phase for Extract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        refuse_two_readings(view)?;
        let unit =
            |unit: &pipelines::part::Unit| Input::new("unit", raw_source(unit)).tagged(&unit.tag);
        let task = |part: &pipelines::part::Part| {
            Task::new(part.name.clone(), part.units.iter().map(unit).collect())
        };
        Ok(view.parts("inputs").iter().map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut rows = Rows {
            extracted: TableWriter::create(out, EXTRACTED)?,
            aside: TableWriter::create(out, ASIDE)?,
            out,
        };
        ctx.begin(inputs.all("unit").map(TaskInput::bytes).sum(), Unit::Bytes);
        for unit in inputs.all("unit") {
            self.unit(unit, &mut rows, ctx)?;
        }
        let Rows { extracted, aside, out } = rows;
        extracted.finish(out)?;
        Ok(aside.finish(out)?)
    }
}

/// Where the bytes of a unit stand.
pub fn raw_source(unit: &pipelines::part::Unit) -> Source {
    Source::File {
        path: unit.paths.first().cloned().unwrap_or_default(),
        offset: unit.offset,
        bytes: unit.bytes,
        footer: unit.footer,
        digest: unit.digest,
    }
}

/// Rows are known by the bytes of their unit, so no bytes may be read in two ways.
fn refuse_two_readings(view: &View) -> Result<()> {
    let mut units: Vec<_> = view.parts("inputs").iter().flat_map(|part| &part.units).collect();
    units.sort_by(|a, b| (a.digest, &a.tag).cmp(&(b.digest, &b.tag)));
    let name = |unit: &pipelines::part::Unit| {
        unit.paths.first().map(|path| path.display().to_string()).unwrap_or_default()
    };
    match units.windows(2).find(|pair| pair[0].digest == pair[1].digest) {
        Some(pair) => Err(Error::ReadTwice {
            first: name(pair[0]),
            first_format: pair[0].tag.clone(),
            second: name(pair[1]),
            second_format: pair[1].tag.clone(),
        }),
        None => Ok(()),
    }
}

impl Extract {
    fn unit(&self, unit: &TaskInput, rows: &mut Rows, ctx: &Context) -> Result<(), TaskError> {
        let failed = |source| Error::Io { file: unit.name().to_owned(), source };
        let format: Format = unit.tag().parse()?;
        let mut decoder = Decoder::new(unit.open()?, format.compression).map_err(failed)?;
        if self.unreadable == OnUnreadable::Count && format.compression != Compression::Plain {
            decoder = decoder.scouted(unit.open()?, format.is_found_again()).map_err(failed)?;
        }
        let mut records = match Records::open(unit, format, decoder, &self.parser) {
            Ok(records) => records,
            Err(error) => return Err(self.blame(unit, format, error)?.into()),
        };
        let (mut record, mut done) = (0, 0);
        // At its end the reader checks that the bytes are those that were planned for. Parquet is read without it.
        let mut is_read_whole = format.syntax != Syntax::Parquet;
        loop {
            ctx.check_cancelled()?;
            let batch = match next_batch(&mut records) {
                Ok(batch) => batch,
                Err(error) => return Err(self.blame(unit, format, error)?.into()),
            };
            if batch.is_empty() {
                break;
            }
            is_read_whole &= !batch.iter().any(Found::ends_early);
            let numbered: Vec<_> = (record..).zip(batch).collect();
            record += numbered.len() as u64;
            // `collect` keeps the order, so rows and the first error do not depend on the thread count.
            let parsed: Vec<_> =
                numbered.into_par_iter().map(|(at, raw)| self.row(unit, format, at, raw)).collect();
            for row in parsed {
                match row {
                    Ok(row) => rows.push(row, format)?,
                    Err(error) => return Err(self.blame(unit, format, error)?.into()),
                }
            }
            ctx.advance(records.file_bytes() - done);
            done = records.file_bytes();
        }
        if is_read_whole { Ok(()) } else { verify(unit) }
    }

    /// What is wrong with a unit that has a record that cannot be read. A corrupt stream decodes to garbage before its
    /// checksum tells, so where the stream is broken, that is the error, not what became of the record.
    fn blame(&self, unit: &TaskInput, format: Format, error: Error) -> Result<Error, TaskError> {
        if format.syntax == Syntax::Parquet {
            // It is not read through the reader that checks its bytes: has the file changed?
            verify(unit)?;
        }
        if format.compression == Compression::Plain {
            return Ok(error);
        }
        let failed = |source| Error::Io { file: unit.name().to_owned(), source };
        let decoder = Decoder::new(unit.open()?, format.compression).map_err(failed)?;
        let Ok(records) = Records::open(unit, format, decoder, &self.parser) else {
            return Ok(error);
        };
        for (record, raw) in (0..).zip(records) {
            let raw = raw?;
            if matches!(raw.content, Content::Bytes(RawContent::Broken(_))) {
                return Ok(self.row(unit, format, record, raw).err().unwrap_or(error));
            }
        }
        Ok(error)
    }

    fn row(&self, unit: &TaskInput, format: Format, record: u64, raw: Found) -> Result<Row> {
        let (line, offset) = (raw.line, raw.offset);
        let place = || match (format.syntax, line) {
            (Syntax::Parquet, Some(row)) => Place::row(unit.name(), row),
            (Syntax::Warc | Syntax::MediaWiki, _) => Place::record(unit.name(), record + 1, offset),
            _ => Place { file: unit.name().to_owned(), base: unit.offset(), line },
        };
        let parsed =
            self.parser.parse(raw, format.syntax).map_err(|invalid| Error::InvalidUtf8 {
                place: place(),
                at: match invalid.column {
                    Some(column) => format!("column `{column}` has"),
                    None => {
                        format!("byte {} of the file is", unit.offset() + offset + invalid.offset)
                    }
                },
                byte: invalid.byte,
            })?;
        let mut excluded_as = EXCLUDED.to_owned();
        let (origin, reading) = match parsed {
            Parsed::Record(record) => self.reading(record),
            Parsed::Skipped(skipped) => {
                excluded_as = skipped.why.name();
                left_out(skipped)
            }
            Parsed::Unreadable(problem) if self.unreadable == OnUnreadable::Count => {
                (Origin::default(), Reading::Unreadable { reason: problem.reason(), offset })
            }
            Parsed::Unreadable(problem) => {
                return Err(Error::Unreadable { place: place(), problem });
            }
        };
        let key = RowKey { unit: unit.digest().row_name(), record };
        Ok(Row { extracted: Extracted { key, origin, reading }, excluded_as })
    }

    fn reading(&self, record: Record) -> (Origin, Reading) {
        let Record { text, source_id, source, url, lang, metadata, replaced_bytes } = record;
        let named = source_id.as_deref().unwrap_or_default();
        let excluded =
            self.exclude.source_id_prefixes.iter().find(|prefix| named.starts_with(*prefix));
        if let Some(prefix) = excluded {
            let reason = format!("source_id starts with `{prefix}`");
            let origin = Origin { source_id, source, url, lang, metadata: None };
            return (origin, Reading::Excluded { reason });
        }
        let reading = Reading::Read { id: text_id(&text), text, repaired_bytes: replaced_bytes };
        (Origin { source_id, source, url, lang, metadata }, reading)
    }
}

/// A row of the table, and what it counts as if it is excluded.
struct Row {
    extracted: Extracted,
    excluded_as: String,
}

/// What the records that the user leaves out count as.
const EXCLUDED: &str = "excluded";

fn left_out(skipped: Skipped) -> (Origin, Reading) {
    let Skipped { source_id, url, why } = skipped;
    let origin = Origin { source_id, url, ..Origin::default() };
    (origin, Reading::Excluded { reason: why.to_string() })
}

/// Reads all of `unit`: its reader fails at the end if the bytes are not those that were planned for.
fn verify(unit: &TaskInput) -> Result<(), TaskError> {
    let failed = |source| Error::Io { file: unit.name().to_owned(), source };
    io::copy(&mut unit.open()?, &mut io::sink()).map_err(failed)?;
    Ok(())
}

fn next_batch(records: &mut Records<'_>) -> Result<Vec<Found>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for record in records {
        let record = record?;
        bytes += record.bytes();
        batch.push(record);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(batch)
}

struct Rows<'a> {
    extracted: TableWriter<Extracted>,
    aside: TableWriter<Decision>,
    out: &'a mut TaskOutput,
}

impl Rows<'_> {
    fn push(&mut self, row: Row, format: Format) -> Result<(), TaskError> {
        let Row { extracted: row, excluded_as } = row;
        self.out.count("read", 1);
        if matches!(format.syntax, Syntax::Html | Syntax::Warc) && row.text() == Some("") {
            self.out.count("no_main_text", 1);
        }
        let outcome = match &row.reading {
            Reading::Read { repaired_bytes, .. } => {
                self.out.count("kept", 1);
                if *repaired_bytes > 0 {
                    self.out.count("repaired_documents", 1);
                    self.out.count("repaired_bytes", *repaired_bytes);
                }
                None
            }
            Reading::Excluded { reason } => {
                self.out.count("dropped", 1);
                self.out.count(&format!("dropped/{excluded_as}"), 1);
                Some(Outcome::Excluded { reason: reason.clone() })
            }
            Reading::Unreadable { reason, .. } => {
                self.out.count("unreadable", 1);
                Some(Outcome::Unreadable { reason: reason.clone() })
            }
        };
        if let Some(outcome) = outcome {
            self.aside.push(Decision { key: row.key.clone(), id: None, outcome })?;
        }
        Ok(self.extracted.push(row)?)
    }
}
