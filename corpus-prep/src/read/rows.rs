//! Rows of a file by the names of its columns or fields, whatever its format: what a model is asked about.

use super::csv::{BadCsv, CsvRow, CsvRows};
use super::decompress::Decoder;
use super::format::{Compression, Format, Syntax};
use super::header::Header;
use super::json::objects;
use super::parquet::{Batch, Batches, ParquetFile};
use super::place::Place;
use super::raw::{Cut, MAX_ROW_BYTES, RawContent, RawRecord, RawRecords};
use super::record::{Unreadable, broken_json, type_of};
use super::utf8::{self, InvalidUtf8};
use crate::error::{Error, Result};
use ::csv::ByteRecord;
use serde_json::{Map, Value};
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
    pub values: Map<String, Value>,
}

/// The rows of a file, one at a time. Memory holds one, or of Parquet one batch.
pub struct NamedRows<'a> {
    file: String,
    source: Source<'a>,
}

enum Source<'a> {
    Lines(Box<RawRecords<'a>>, RowSyntax),
    /// Without a header if the file breaks before it: its first row tells.
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
            known: ".jsonl, .ndjson, .json (one object a line), .csv, .tsv, each also with .gz or .zst, and .parquet",
        };
        let Ok(Format { syntax, compression }) = Format::of(name) else { return Err(unknown) };
        match syntax {
            Syntax::Jsonl => Ok(Self::Stream(RowSyntax::Jsonl, compression)),
            Syntax::Csv => Ok(Self::Stream(RowSyntax::Csv, compression)),
            Syntax::Tsv => Ok(Self::Stream(RowSyntax::Tsv, compression)),
            Syntax::Parquet => Ok(Self::Parquet),
            Syntax::Document | Syntax::Html => Err(unknown),
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
                let (num_rows, header) = (file.num_rows(), file.header().clone());
                let rows = ParquetRows::new(num_rows, file.batches(Some(wanted)), header);
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
        let values = match record.content {
            RawContent::Whole(bytes) => text(bytes).and_then(|text| match syntax {
                RowSyntax::Jsonl => object(&text),
                _ => Ok(line(&text)),
            }),
            RawContent::TooLong { bytes } => {
                Err(Unreadable::TooLong { found: bytes, expected: MAX_ROW_BYTES })
            }
            RawContent::Broken(fault) => {
                Err(Unreadable::BrokenStream { fault, decoded_offset: record.offset })
            }
        };
        row(place, values)
    }

    fn cells(&self, csv: CsvRow, columns: &[String]) -> Result<NamedRow> {
        let place = Place { file: self.file.clone(), base: 0, line: Some(csv.line) };
        let cell = |(name, cell): (&String, &[u8])| {
            Ok((name.clone(), Value::String(text(cell.to_vec())?)))
        };
        let values = match csv.fields {
            Ok(cells) => columns.iter().zip(&cells).map(cell).collect(),
            Err(BadCsv::Broken(fault)) => {
                Err(Unreadable::BrokenStream { fault, decoded_offset: csv.offset })
            }
            Err(problem) => Err(Unreadable::Csv(problem)),
        };
        row(place, values)
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
        match self.value(column)? {
            Value::String(text) => Ok(text),
            other => self.refuse(Unreadable::TextNotAString {
                field: column.to_owned(),
                found: type_of(other),
            }),
        }
    }

    /// The words in `column`, a list.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if there is none; a message names the fields that there are.
    pub fn words(&self, column: &str) -> Result<Vec<String>> {
        let wrong =
            |found| self.refuse(Unreadable::NotAListOfStrings { field: column.to_owned(), found });
        let Value::Array(items) = self.value(column)? else {
            return wrong(type_of(self.value(column)?).to_owned());
        };
        let words: Option<Vec<_>> =
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        match words {
            Some(words) => Ok(words),
            None => wrong("a list that holds something else".to_owned()),
        }
    }

    /// The name in `column`, where it is a text or a number.
    pub fn name(&self, column: &str) -> Option<&Value> {
        self.values.get(column).filter(|value| value.is_string() || value.is_number())
    }

    fn value(&self, column: &str) -> Result<&Value> {
        match self.values.get(column) {
            Some(value) => Ok(value),
            None => self.refuse(Unreadable::NoText {
                field: column.to_owned(),
                found: self.values.keys().cloned().collect(),
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
    num_rows: u64,
    num_read: u64,
    /// Rows of the present batch.
    ready: VecDeque<Result<NamedRow>>,
}

impl ParquetRows {
    fn new(num_rows: u64, batches: Batches, header: Header) -> Self {
        Self { batches, header, num_rows, num_read: 0, ready: VecDeque::new() }
    }

    fn bytes_read(&self, all: u64) -> u64 {
        let share = u128::from(all) * u128::from(self.num_read);
        u64::try_from(share / u128::from(self.num_rows.max(1))).unwrap_or(all)
    }

    fn next(&mut self, file: &str) -> Option<Result<NamedRow>> {
        while self.ready.is_empty() {
            let Batch { first_row, rows } = self.batches.next()?;
            let rows = match rows {
                Ok(rows) => objects(&rows),
                Err(problem) => {
                    let place = Place::row(file, first_row);
                    return Some(Err(Error::Unreadable { place, problem }));
                }
            };
            let named = |(at, values): (u64, Result<_, _>)| {
                row(Place::row(file, at), values.map_err(Unreadable::Value))
            };
            self.ready.extend((first_row..).zip(rows).map(named));
        }
        self.num_read += 1;
        self.ready.pop_front()
    }
}

fn row(place: Place, values: Result<Map<String, Value>, Unreadable>) -> Result<NamedRow> {
    match values {
        Ok(values) => Ok(NamedRow { place, values }),
        Err(problem) => Err(Error::Unreadable { place, problem }),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    let text = utf8::decode(bytes, InvalidUtf8::Refuse);
    text.map(|(text, _)| text).map_err(|invalid| Unreadable::NotUtf8 { byte: invalid.byte })
}

fn object(line: &str) -> Result<Map<String, Value>, Unreadable> {
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Unreadable::NotAnObject { found: type_of(&other) }),
        Err(error) => Err(broken_json(&error)),
    }
}

fn line(text: &str) -> Map<String, Value> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    Map::from_iter([(LINE.to_owned(), Value::String(text.to_owned()))])
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
        let raw = "n,t\n1,\"a\"\n2,\"b\n3,\"c\"\n";
        let words = "f:3: a stray quote on line 4: a closing quote with text behind it, expected a delimiter or the end \
                     of the row (is an earlier quote not closed? within a quoted field, a quote is written twice)";
        refused(raw, RowSyntax::Csv, words);
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
    fn columns_are_missed_before_a_row_is_read() {
        let rows = |raw: &'static str| {
            NamedRows::read(raw.as_bytes(), "f", RowSyntax::Csv, Compression::Plain)
        };
        let error = rows("a,b\n").unwrap().must_have("c").unwrap_err().to_string();
        assert_eq!(error, "f: no column `c`; found `a`, `b`");
        assert!(rows("a,b\n").unwrap().must_have("b").is_ok());
        let error = rows("a,a\n").err().unwrap().to_string();
        assert_eq!(error, "f: two columns `a`, expected different names; found `a`, `a`");
        let latin_1 = NamedRows::read(&b"t,\xe9\n"[..], "f", RowSyntax::Csv, Compression::Plain);
        assert_eq!(latin_1.err().unwrap().to_string(), "f:1: the byte 0xe9, expected UTF-8");
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
