//! The records of a unit, whatever its format.

use super::csv::{BadCsv, CsvRow, CsvRows};
use super::decompress::Decoder;
use super::format::{Format, Syntax};
use super::header::Header;
use super::mediawiki::{DumpRecords, PageEntry};
use super::parquet::{self, Batch, Batches, ParquetFile};
use super::place::Place;
use super::raw::{Cut, RawContent, RawRecord, RawRecords};
use super::record::{Parser, Record, Unreadable};
use super::skip::Skipped;
use super::utf8::{self, InvalidByte};
use super::warc::{Entry, WarcRecords};
use crate::error::{Error, Result};
use ::csv::ByteRecord;
use pipelines::input::TaskInput;
use std::collections::VecDeque;
use std::sync::Arc;

/// One record before it is parsed, whatever its format.
#[derive(Debug)]
pub struct Found {
    /// Line in the decoded bytes, or row of the Parquet file, from 1; `None` where the file is the record.
    pub line: Option<u64>,
    /// First byte in the decoded bytes; of Parquet, the row of the file from 0.
    pub offset: u64,
    /// What stands there.
    pub content: Content,
}

/// What stands where a record begins.
#[derive(Debug)]
pub enum Content {
    /// A line, or the whole file.
    Bytes(RawContent),
    /// The fields of a row of CSV, as many as the header has.
    Cells {
        /// Names of the columns.
        header: Arc<[String]>,
        /// The fields.
        cells: ByteRecord,
    },
    /// A row whose values have types of their own.
    Parsed(Box<Record>),
    /// A record of a WARC file that may hold a document.
    Warc(Box<Entry>),
    /// A page of a wiki.
    Page(Box<PageEntry>),
    /// A record that is no document.
    Skipped(Box<Skipped>),
    /// What is no record.
    Bad(Unreadable),
}

impl Found {
    /// About how much memory the record takes, in bytes.
    pub fn bytes(&self) -> u64 {
        let content = match &self.content {
            Content::Bytes(RawContent::Whole(bytes)) => bytes.len(),
            Content::Cells { cells, .. } => cells.as_slice().len(),
            Content::Parsed(record) => {
                record.text.len() + record.metadata.as_ref().map_or(0, String::len)
            }
            Content::Warc(entry) => entry.block.len(),
            Content::Page(page) => page.bytes.len(),
            Content::Bytes(_) | Content::Skipped(_) | Content::Bad(_) => 0,
        };
        (size_of::<Self>() + content) as u64
    }
}

impl Found {
    /// Whether the unit is not read to its end because of this record.
    pub fn ends_early(&self) -> bool {
        match &self.content {
            Content::Bytes(RawContent::Broken(fault)) => fault.resumed.is_none(),
            Content::Bad(problem) => matches!(problem, Unreadable::Csv(BadCsv::TooLong { .. })),
            _ => false,
        }
    }
}

impl From<RawRecord> for Found {
    fn from(raw: RawRecord) -> Self {
        let RawRecord { line, offset, content } = raw;
        Self { line, offset, content: Content::Bytes(content) }
    }
}

/// The records of a unit, one at a time. Memory holds one record, or of Parquet one batch of rows.
pub struct Records<'a> {
    file: &'a str,
    source: Source<'a>,
}

enum Source<'a> {
    /// Lines, or the whole file.
    Cut(Box<RawRecords<'a>>),
    /// Rows of CSV, and the names of its columns.
    Csv(Box<CsvRows<'a>>, Arc<[String]>),
    /// Records of WARC.
    Warc(Box<WarcRecords<'a>>),
    /// Pages of MediaWiki.
    MediaWiki(Box<DumpRecords<'a>>),
    /// Rows of Parquet.
    Parquet(Box<ParquetRecords<'a>>),
}

impl<'a> Records<'a> {
    /// Begins to read `unit`, whose bytes `decoder` gives.
    ///
    /// # Errors
    /// When it cannot be read, or lacks the column of texts.
    pub fn open(
        unit: &'a TaskInput,
        format: Format,
        decoder: Decoder<'a>,
        parser: &'a Parser,
    ) -> Result<Self> {
        let max_bytes = parser.max_record_bytes.0;
        let cut = |decoder, cut| Source::Cut(Box::new(RawRecords::new(decoder, cut, max_bytes)));
        let csv = |decoder, delimiter| csv(unit, decoder, delimiter, parser);
        let source = match format.syntax {
            Syntax::Jsonl => cut(decoder, Cut::Lines),
            Syntax::Document | Syntax::Html => cut(decoder, Cut::Whole),
            Syntax::Csv => csv(decoder, ',')?,
            Syntax::Tsv => csv(decoder, '\t')?,
            Syntax::Warc => Source::Warc(Box::new(WarcRecords::new(decoder, max_bytes))),
            Syntax::MediaWiki => Source::MediaWiki(Box::new(DumpRecords::new(decoder, max_bytes))),
            Syntax::Parquet => Source::Parquet(Box::new(ParquetRecords::open(unit, parser)?)),
        };
        Ok(Self { file: unit.name(), source })
    }

    /// Bytes of the file read so far, as they are compressed; of Parquet, about.
    pub fn file_bytes(&self) -> u64 {
        match &self.source {
            Source::Cut(records) => records.file_bytes(),
            Source::Csv(rows, _) => rows.file_bytes(),
            Source::Warc(records) => records.file_bytes(),
            Source::MediaWiki(pages) => pages.file_bytes(),
            Source::Parquet(rows) => rows.file_bytes(),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match &mut self.source {
            Source::Cut(records) => records.next()?.map(Found::from),
            Source::Csv(rows, header) => rows.next()?.map(|row| cells(row, header)),
            Source::Warc(records) => records.next()?,
            Source::MediaWiki(pages) => pages.next()?,
            Source::Parquet(rows) => return rows.next(),
        };
        Some(record.map_err(|source| Error::Io { file: self.file.to_owned(), source }))
    }
}

fn csv<'a>(
    unit: &TaskInput,
    decoder: Decoder<'a>,
    delimiter: char,
    parser: &Parser,
) -> Result<Source<'a>> {
    let file = || unit.name().to_owned();
    let delimiter = u8::try_from(parser.delimiter.unwrap_or(delimiter)).unwrap_or(b',');
    let rows = CsvRows::new(decoder, delimiter, parser.max_record_bytes.0)
        .map_err(|source| Error::Io { file: file(), source })?;
    let Some((line, names)) = rows.header() else {
        return Ok(Source::Csv(Box::new(rows), [].into()));
    };
    let name = |name: &[u8]| {
        let (name, _) = utf8::decode(name.to_vec(), parser.invalid_utf8)?;
        Ok(name.trim().to_owned())
    };
    let names = names.iter().map(name).collect::<Result<_, InvalidByte>>();
    let names = names.map_err(|invalid| Error::InvalidUtf8 {
        place: Place { file: file(), base: 0, line: Some(line) },
        at: "a name of a column has".to_owned(),
        byte: invalid.byte,
    })?;
    let header = Header::new(unit.name(), names)?;
    header.place(&parser.fields.text)?;
    let names = Arc::clone(header.names());
    Ok(Source::Csv(Box::new(rows), names))
}

fn cells(row: CsvRow, header: &Arc<[String]>) -> Found {
    let content = match row.fields {
        Ok(cells) => Content::Cells { header: Arc::clone(header), cells },
        Err(BadCsv::Broken(fault)) => Content::Bytes(RawContent::Broken(fault)),
        Err(problem) => Content::Bad(Unreadable::Csv(problem)),
    };
    Found { line: Some(row.line), offset: row.offset, content }
}

/// The records of a Parquet file, or of a range of it.
struct ParquetRecords<'a> {
    unit: &'a TaskInput,
    parser: &'a Parser,
    batches: Batches,
    num_rows: u64,
    num_read: u64,
    /// Rows of the present batch.
    ready: VecDeque<Found>,
}

impl<'a> ParquetRecords<'a> {
    fn open(unit: &'a TaskInput, parser: &'a Parser) -> Result<Self> {
        let file = ParquetFile::open(unit)?;
        let text = &parser.fields.text;
        file.header().place(text)?;
        match file.type_of(text) {
            Some(found) if !parquet::is_text(found) => {
                return Err(Error::ColumnType {
                    file: unit.name().to_owned(),
                    column: text.clone(),
                    found: found.to_string(),
                });
            }
            _ => {}
        }
        let num_rows = file.num_rows();
        let batches = file.batches(None);
        Ok(Self { unit, parser, batches, num_rows, num_read: 0, ready: VecDeque::new() })
    }

    fn file_bytes(&self) -> u64 {
        let share = u128::from(self.unit.bytes()) * u128::from(self.num_read);
        u64::try_from(share / u128::from(self.num_rows.max(1))).unwrap_or(0)
    }

    fn batch(&mut self, batch: Batch) -> Result<()> {
        let fields = &self.parser.fields;
        let rows = match batch.rows {
            Err(problem) => vec![Err(problem)],
            Ok(rows) => parquet::records(&rows, fields, self.parser.invalid_utf8)
                .map_err(|message| Error::Parquet { file: self.unit.name().to_owned(), message })?,
        };
        for (row, record) in (batch.first_row..).zip(rows) {
            self.ready.push_back(Found {
                line: Some(row),
                offset: row - 1,
                content: self.content(record),
            });
        }
        Ok(())
    }

    fn content(&self, record: Result<Record, Unreadable>) -> Content {
        let expected = self.parser.max_record_bytes.0;
        match record {
            Ok(record) if record.text.len() as u64 > expected => {
                Content::Bytes(RawContent::TooLong { bytes: record.text.len() as u64 })
            }
            Ok(record) => Content::Parsed(Box::new(record)),
            Err(problem) => Content::Bad(problem),
        }
    }

    fn next(&mut self) -> Option<Result<Found>> {
        while self.ready.is_empty() {
            let batch = self.batches.next()?;
            if let Err(error) = self.batch(batch) {
                return Some(Err(error));
            }
        }
        self.num_read += 1;
        self.ready.pop_front().map(Ok)
    }
}
