//! Rows of a file by the names of its columns or fields, whatever its format: what a model is asked about.

mod cell;

pub use self::cell::Name;

use self::cell::{Cell, Cells};
use super::csv::{BadCsv, CsvRow, CsvRows};
use super::decompress::Decoder;
use super::format::{Compression, Format, Syntax};
use super::header::Header;
use super::parquet::{Batch, Batches, ParquetFile, is_text};
use super::place::Place;
use super::raw::{Cut, MAX_ROW_BYTES, RawContent, RawRecord, RawRecords};
use super::record::Unreadable;
use super::utf8::{self, InvalidUtf8};
use crate::error::{Error, Result};
use ::csv::ByteRecord;
use arrow::datatypes::DataType;
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The field that a line of plain text is.
pub const LINE: &str = "text";

/// How rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Columns of values.
    Parquet,
    /// One after another, compressed as said.
    Stream(RowSyntax, Compression),
}

/// How rows stand in a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSyntax {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// The same with tabs.
    Tsv,
    /// Each line is a text, the field [`LINE`]. Blank lines are no rows.
    Lines,
}

/// A row, and where it stands.
#[derive(Clone, Debug)]
pub struct NamedRow {
    /// File, and line or row.
    pub place: Place,
    /// What stands in its columns or fields; of CSV and lines all of it text.
    cells: Cells,
}

/// The rows of a file, one at a time. Memory holds one, or of Parquet one batch.
pub struct NamedRows<'a> {
    file: String,
    source: Source<'a>,
}

enum Source<'a> {
    Lines(Box<RawRecords<'a>>, RowSyntax),
    Csv(Box<CsvRows<'a>>, Option<Header>),
    Parquet(Box<ParquetRows>),
}

impl RowFormat {
    /// The format that the end of the file name `name` says.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] if it says none of rows.
    pub fn of(name: &str) -> Result<Self> {
        let unknown = Error::UnknownFormat {
            known: ".jsonl, .ndjson, .json (one object a line), .csv, .tsv, each also with .gz, .zst or .bz2, and .parquet",
        };
        let Ok(Format { syntax, compression }) = Format::of(name) else { return Err(unknown) };
        match syntax {
            Syntax::Jsonl => Ok(Self::Stream(RowSyntax::Jsonl, compression)),
            Syntax::Csv => Ok(Self::Stream(RowSyntax::Csv, compression)),
            Syntax::Tsv => Ok(Self::Stream(RowSyntax::Tsv, compression)),
            Syntax::Parquet => Ok(Self::Parquet),
            Syntax::Document | Syntax::Html | Syntax::Warc | Syntax::MediaWiki => Err(unknown),
        }
    }
}

impl NamedRows<'static> {
    /// The rows of the file at `path`; of Parquet only the columns `wanted` are read.
    ///
    /// # Errors
    /// When it cannot be opened, or is not of this format.
    pub fn open(path: &Path, format: RowFormat, wanted: &[&str]) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |source| Error::Io { file: name.clone(), source };
        let file = File::open(path).map_err(failed)?;
        match format {
            RowFormat::Stream(syntax, compression) => Self::read(file, &name, syntax, compression),
            RowFormat::Parquet => {
                let file = ParquetFile::whole(file, &name)?;
                let (num_rows, header, types) =
                    (file.num_rows(), file.header().clone(), file.types());
                let rows = ParquetRows::new(num_rows, file.batches(Some(wanted)), header, types);
                Ok(Self { source: Source::Parquet(Box::new(rows)), file: name })
            }
        }
    }
}

impl<'a> NamedRows<'a> {
    /// The rows of a stream that messages call `name`.
    ///
    /// # Errors
    /// When it cannot be read, or two of its columns have one name.
    pub fn read(
        raw: impl Read + 'a,
        name: &str,
        syntax: RowSyntax,
        compression: Compression,
    ) -> Result<Self> {
        let failed = |source| Error::Io { file: name.to_owned(), source };
        let decoder = Decoder::new(raw, compression).map_err(failed)?;
        let source = match syntax {
            RowSyntax::Jsonl | RowSyntax::Lines => {
                let records = RawRecords::new(decoder, Cut::Lines, MAX_ROW_BYTES);
                Source::Lines(Box::new(records), syntax)
            }
            RowSyntax::Csv | RowSyntax::Tsv => {
                let delimiter = if syntax == RowSyntax::Csv { b',' } else { b'\t' };
                let rows = CsvRows::new(decoder, delimiter, MAX_ROW_BYTES).map_err(failed)?;
                if rows.is_utf16() {
                    let place = Place { file: name.to_owned(), base: 0, line: Some(1) };
                    return Err(Error::Unreadable { place, problem: Unreadable::Utf16 });
                }
                let header = rows.header().map(|(line, names)| header(name, line, names));
                let header = header.transpose()?;
                Source::Csv(Box::new(rows), header)
            }
        };
        Ok(Self { file: name.to_owned(), source })
    }

    /// Refuses a file that lacks the column `wanted`. Objects and lines name their fields one by one.
    ///
    /// # Errors
    /// [`Error::MissingColumn`].
    pub fn must_have(&self, wanted: &str) -> Result<()> {
        match &self.source {
            Source::Csv(_, Some(header)) if !header.names().is_empty() => header.place(wanted)?,
            Source::Parquet(rows) => rows.header.place(wanted)?,
            // What breaks or is empty says so in its first row, or has none.
            Source::Csv(..) | Source::Lines(..) => return Ok(()),
        };
        Ok(())
    }

    /// Refuses a file that lacks the column `wanted`, or whose column of that name is of a type that holds no texts.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] and [`Error::ColumnType`].
    pub fn must_have_texts(&self, wanted: &str) -> Result<()> {
        self.must_have(wanted)?;
        match self.type_of(wanted).filter(|found| !is_text(found)) {
            None => Ok(()),
            Some(found) => Err(Error::ColumnType {
                file: self.file.clone(),
                column: wanted.to_owned(),
                found: found.to_string(),
            }),
        }
    }

    /// Refuses a file that lacks the column `wanted`, or whose column of that name is of a type that holds no lists of texts.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] and [`Error::WordsType`].
    pub fn must_have_words(&self, wanted: &str) -> Result<()> {
        self.must_have(wanted)?;
        let is_words = |found: &DataType| matches!(found, DataType::List(item) if *item.data_type() == DataType::Utf8);
        match self.type_of(wanted).filter(|found| !is_words(found)) {
            None => Ok(()),
            Some(found) => Err(Error::WordsType {
                file: self.file.clone(),
                column: wanted.to_owned(),
                found: found.to_string(),
            }),
        }
    }

    /// The type of a column, in files whose columns have one.
    fn type_of(&self, wanted: &str) -> Option<&DataType> {
        let Source::Parquet(rows) = &self.source else { return None };
        rows.types.get(rows.header.place(wanted).ok()?)
    }

    /// The share of the file that was read, as bytes read of `all`.
    pub fn bytes_read(&self, all: u64) -> u64 {
        match &self.source {
            Source::Lines(records, _) => records.file_bytes(),
            Source::Csv(rows, _) => rows.file_bytes(),
            Source::Parquet(rows) => rows.bytes_read(all),
        }
    }

    fn line(&self, record: RawRecord, syntax: RowSyntax) -> Result<NamedRow> {
        let place = Place { file: self.file.clone(), base: 0, line: record.line };
        let cells = match record.content {
            RawContent::Whole(bytes) if record.offset == 0 && utf8::is_utf16(&bytes) => {
                Err(Unreadable::Utf16)
            }
            RawContent::Whole(bytes) => text(bytes).and_then(|text| match syntax {
                RowSyntax::Jsonl => cell::of_object(&text),
                _ => Ok(cell::of_line(&text)),
            }),
            RawContent::TooLong { bytes } => {
                Err(Unreadable::RowTooLong { found: bytes, expected: MAX_ROW_BYTES })
            }
            RawContent::Broken(fault) => {
                Err(Unreadable::BrokenStream { fault, decoded_offset: record.offset })
            }
        };
        row(place, cells)
    }

    fn cells(&self, csv: CsvRow, columns: &[String]) -> Result<NamedRow> {
        let place = Place { file: self.file.clone(), base: 0, line: Some(csv.line) };
        let cells = match csv.fields {
            Ok(fields) => {
                let named = columns.iter().zip(&fields);
                Ok(named.map(|(name, field)| (name.clone(), Cell::of_bytes(field))).collect())
            }
            Err(BadCsv::Broken(fault)) => {
                Err(Unreadable::BrokenStream { fault, decoded_offset: csv.offset })
            }
            Err(problem) => Err(Unreadable::Csv(problem)),
        };
        row(place, cells)
    }
}

impl Iterator for NamedRows<'_> {
    type Item = Result<NamedRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let failed = |source| Error::Io { file: self.file.clone(), source };
        match &mut self.source {
            Source::Lines(records, syntax) => {
                let (record, syntax) = (records.next()?.map_err(failed), *syntax);
                Some(record.and_then(|record| self.line(record, syntax)))
            }
            Source::Csv(rows, header) => {
                let row = rows.next()?.map_err(failed);
                let names = header.as_ref().map(|header| Arc::clone(header.names()));
                Some(row.and_then(|row| self.cells(row, &names.unwrap_or_default())))
            }
            Source::Parquet(rows) => rows.next(&self.file),
        }
    }
}

impl NamedRow {
    /// The text in `column`.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if there is none; a message names the fields that there are.
    pub fn text(&self, column: &str) -> Result<&str> {
        let field = column.to_owned();
        match self.cell(column)? {
            Cell::Text(text) => Ok(text),
            Cell::NotUtf8 { byte } => self.refuse(Unreadable::FieldNotUtf8 { field, byte: *byte }),
            other => self.refuse(Unreadable::TextNotAString { field, found: other.type_name() }),
        }
    }

    /// The words in `column`, a list.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if there is none; a message names the fields that there are.
    pub fn words(&self, column: &str) -> Result<Vec<String>> {
        let wrong =
            |found| self.refuse(Unreadable::NotAListOfStrings { field: column.to_owned(), found });
        let items = match self.cell(column)? {
            Cell::Other(Value::Array(items)) => items,
            other => return wrong(other.type_name().to_owned()),
        };
        let words: Option<Vec<_>> =
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        match words {
            Some(words) => Ok(words),
            None => wrong("a list that holds something else".to_owned()),
        }
    }

    /// The name in `column`: a text, or a number as it is written.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if there is none; a message names the fields that there are.
    pub fn name(&self, column: &str) -> Result<Name> {
        let field = column.to_owned();
        match self.cell(column)? {
            Cell::Text(text) => Ok(Name::Text(text.clone())),
            Cell::Number(number) => Ok(Name::Number(number.clone())),
            Cell::NotUtf8 { byte } => self.refuse(Unreadable::FieldNotUtf8 { field, byte: *byte }),
            other => self.refuse(Unreadable::NotAName { field, found: other.type_name() }),
        }
    }

    /// The columns that hold a text, with it.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().filter_map(|(name, cell)| match cell {
            Cell::Text(text) => Some((name.as_str(), text.as_str())),
            Cell::Number(_) | Cell::NotUtf8 { .. } | Cell::Other(_) => None,
        })
    }

    /// The columns that hold a text or a number, with it as it is written.
    pub fn texts_and_numbers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().filter_map(|(name, cell)| match cell {
            Cell::Text(written) | Cell::Number(written) => Some((name.as_str(), written.as_str())),
            Cell::NotUtf8 { .. } | Cell::Other(_) => None,
        })
    }

    /// Whether `column` holds a list.
    pub fn has_list(&self, column: &str) -> bool {
        matches!(self.cells.get(column), Some(Cell::Other(Value::Array(_))))
    }

    fn cell(&self, column: &str) -> Result<&Cell> {
        match self.cells.get(column) {
            Some(cell) => Ok(cell),
            None => self.refuse(Unreadable::NoText {
                field: column.to_owned(),
                found: self.cells.keys().cloned().collect(),
            }),
        }
    }

    fn refuse<T>(&self, problem: Unreadable) -> Result<T> {
        Err(Error::Unreadable { place: self.place.clone(), problem })
    }
}

/// The rows of a Parquet file.
struct ParquetRows {
    batches: Batches,
    header: Header,
    /// Of the columns in the header.
    types: Vec<DataType>,
    num_rows: u64,
    num_read: u64,
    /// Rows of the present batch.
    ready: VecDeque<Result<NamedRow>>,
}

impl ParquetRows {
    fn new(num_rows: u64, batches: Batches, header: Header, types: Vec<DataType>) -> Self {
        Self { batches, header, types, num_rows, num_read: 0, ready: VecDeque::new() }
    }

    fn bytes_read(&self, all: u64) -> u64 {
        let share = u128::from(all) * u128::from(self.num_read);
        u64::try_from(share / u128::from(self.num_rows.max(1))).unwrap_or(all)
    }

    fn next(&mut self, file: &str) -> Option<Result<NamedRow>> {
        while self.ready.is_empty() {
            let Batch { first_row, rows } = self.batches.next()?;
            let rows = match rows {
                Ok(rows) => cell::of_batch(&rows),
                Err(problem) => {
                    let place = Place::row(file, first_row);
                    return Some(Err(Error::Unreadable { place, problem }));
                }
            };
            let named = |(at, cells)| row(Place::row(file, at), cells);
            self.ready.extend((first_row..).zip(rows).map(named));
        }
        self.num_read += 1;
        self.ready.pop_front()
    }
}

fn row(place: Place, cells: Result<Cells, Unreadable>) -> Result<NamedRow> {
    match cells {
        Ok(cells) => Ok(NamedRow { place, cells }),
        Err(problem) => Err(Error::Unreadable { place, problem }),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    let text = utf8::decode(bytes, InvalidUtf8::Refuse);
    text.map(|(text, _)| text).map_err(|invalid| Unreadable::NotUtf8 { byte: invalid.byte })
}

fn header(file: &str, line: u64, names: &ByteRecord) -> Result<Header> {
    let place = Place { file: file.to_owned(), base: 0, line: Some(line) };
    let name = |name: &[u8]| text(name.to_vec()).map(|name| name.trim().to_owned());
    let names = names.iter().map(name).collect::<Result<_, _>>();
    Header::new(file, names.map_err(|problem| Error::Unreadable { place, problem })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, syntax: RowSyntax) -> Vec<Result<NamedRow>> {
        NamedRows::read(raw.as_bytes(), "f", syntax, Compression::Plain).unwrap().collect()
    }

    #[track_caller]
    fn check(raw: &str, syntax: RowSyntax, column: &str, expected: &[(&str, &str)]) {
        let rows: Vec<_> = read(raw, syntax).into_iter().map(Result::unwrap).collect();
        let found: Vec<(String, &str)> =
            rows.iter().map(|row| (row.place.to_string(), row.text(column).unwrap())).collect();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(place, text)| (&**place, *text)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_format_gives_texts_and_their_lines() {
        let expected = [("f:2", "é, \"x\"\n"), ("f:4", "")];
        check("n,t\n1,\"é, \"\"x\"\"\n\"\n2,\n", RowSyntax::Csv, "t", &expected);
        check("n\tt\n1\ta\n", RowSyntax::Tsv, "t", &[("f:2", "a")]);
        check("{\"t\":\"a\"}\n\n{\"t\":\"\"}", RowSyntax::Jsonl, "t", &[("f:1", "a"), ("f:3", "")]);
        check("a\r\n\n b \n", RowSyntax::Lines, LINE, &[("f:1", "a"), ("f:3", " b ")]);
        check("", RowSyntax::Csv, "t", &[]);
    }

    #[track_caller]
    fn refused(raw: &str, syntax: RowSyntax, expected: &str) {
        let rows = read(raw, syntax).into_iter();
        let errors: Vec<String> = rows
            .filter_map(|row| row.and_then(|row| row.text("t").map(drop)).err())
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [expected]);
    }

    #[test]
    fn a_broken_row_names_its_line_and_what_was_found() {
        let words = "f:2: found an array, expected one JSON object a line";
        refused("{\"t\":\"\"}\n[]\n", RowSyntax::Jsonl, words);
        refused("{\"a\":1,\"b\":2}", RowSyntax::Jsonl, "f:1: no field `t`; found `a`, `b`");
        refused("{\"t\":1}", RowSyntax::Jsonl, "f:1: field `t` is a number, expected a string");
        let words = "f:3: 1 fields, expected 2 as in the header; is a quote missing?";
        refused("n,t\n1,a\n2\n", RowSyntax::Csv, words);
        let rows = NamedRows::read(&b"a\xff"[..], "f", RowSyntax::Lines, Compression::Plain);
        let error = rows.unwrap().next().unwrap().unwrap_err().to_string();
        assert_eq!(error, "f:1: the byte 0xff, expected UTF-8");
    }

    #[test]
    fn words_are_lists_of_strings() {
        let words = |raw: &str| {
            read(raw, RowSyntax::Jsonl)
                .remove(0)
                .unwrap()
                .words("w")
                .map_err(|error| error.to_string())
        };
        assert_eq!(words(r#"{"w":["a","b c"]}"#), Ok(vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(words(r#"{"w":[]}"#), Ok(vec![]));
        let error = "f:1: field `w` is a string, expected a list of strings";
        assert_eq!(words(r#"{"w":"a"}"#), Err(error.to_owned()));
        let error =
            "f:1: field `w` is a list that holds something else, expected a list of strings";
        assert_eq!(words(r#"{"w":["a",1]}"#), Err(error.to_owned()));
    }

    #[test]
    fn names_are_texts_or_numbers_as_they_are_written() {
        let name = |raw: &str, syntax| {
            let row = read(raw, syntax).remove(0).unwrap();
            row.name("t").map_err(|error| error.to_string())
        };
        for number in ["12345678901234567890123", "1.10", "-0", "1E5", "1e999"] {
            let found = name(&format!("{{\"t\": {number} }}"), RowSyntax::Jsonl);
            assert_eq!(found, Ok(Name::Number(number.to_owned())));
            assert_eq!(serde_json::to_string(&found.unwrap()).unwrap(), number);
        }
        let text = Name::Text("é\n".to_owned());
        assert_eq!(name("{\"t\":\"\\u00e9\\n\"}", RowSyntax::Jsonl), Ok(text.clone()));
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"é\\n\"");
        assert_eq!(name("t\n007\n", RowSyntax::Csv), Ok(Name::Text("007".to_owned())));
        let expected = "expected a string or a number";
        for (raw, found) in [("[1]", "an array"), ("true", "a boolean"), ("null", "null")] {
            let error = format!("f:1: field `t` is {found}, {expected}");
            assert_eq!(name(&format!("{{\"t\":{raw}}}"), RowSyntax::Jsonl), Err(error));
        }
        let error = "f:1: no field `t`; found `a`".to_owned();
        assert_eq!(name("{\"a\":1}", RowSyntax::Jsonl), Err(error));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_where_they_are_asked_for() {
        let row = |raw: &'static [u8], syntax| {
            NamedRows::read(raw, "f", syntax, Compression::Plain)
                .and_then(|mut rows| rows.next().unwrap())
        };
        let csv = row(b"n,t\n\xff,a\n", RowSyntax::Csv).unwrap();
        assert_eq!(csv.text("t").unwrap(), "a");
        let error = csv.text("n").unwrap_err().to_string();
        assert_eq!(error, "f:2: field `n` has the byte 0xff, expected UTF-8");
        for syntax in [RowSyntax::Jsonl, RowSyntax::Csv, RowSyntax::Lines] {
            let error = row(b"\xff\xfet\0,\0n\0\n\0", syntax).unwrap_err().to_string();
            assert_eq!(error, "f:1: found the byte-order mark of UTF-16, expected UTF-8");
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_told_without_a_setting() {
        let long = std::io::repeat(b'a').take(MAX_ROW_BYTES + 1);
        let rows = NamedRows::read(long, "f", RowSyntax::Lines, Compression::Plain);
        let error = rows.unwrap().next().unwrap().unwrap_err().to_string();
        assert_eq!(error, "f:1: a row of 67108865 bytes, expected at most 67108864");
    }

    #[test]
    fn columns_are_missed_before_a_row_is_read() {
        let rows = |raw: &'static str| {
            NamedRows::read(raw.as_bytes(), "f", RowSyntax::Csv, Compression::Plain)
        };
        let error = rows("a,b\n").unwrap().must_have("c").unwrap_err().to_string();
        assert_eq!(error, "f: no column `c`; found `a`, `b`");
        assert!(rows("a,b\n").unwrap().must_have("b").is_ok());
        let error = rows("a,a\n").err().unwrap().to_string();
        assert_eq!(error, "f: two columns `a`, expected different names; found `a`, `a`");
    }

    #[test]
    fn names_of_files_tell_formats_of_rows() {
        let of = |name| RowFormat::of(name).ok();
        let stream = |syntax, compression| Some(RowFormat::Stream(syntax, compression));
        assert_eq!(of("a.jsonl.zst"), stream(RowSyntax::Jsonl, Compression::Zstd));
        assert_eq!(of("a.CSV"), stream(RowSyntax::Csv, Compression::Plain));
        assert_eq!(of("a.parquet"), Some(RowFormat::Parquet));
        assert_eq!((of("a.txt"), of("a.html"), of("a.xls")), (None, None, None));
    }
}
