//! Rows of comma-separated values with a header, by RFC 4180.

use super::lines::{LineReader, Lines};
use super::row::{BadRow, MAX_ROW_BYTES, Row, RowReader, bad_row};
use crate::error::{Error, Result};
use crate::read::decompress::Decoder;
use ::csv::ByteRecord;

impl RowReader {
    /// Gives the rows of a file of CSV to `push`, in order.
    pub(super) fn csv(
        &self,
        decoder: Decoder<'_>,
        delimiter: char,
        file: &str,
        push: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let delimiter = u8::try_from(delimiter).unwrap_or(b',');
        let decoder = LineReader::new(decoder, MAX_ROW_BYTES);
        let lines = decoder.lines();
        let failed = |error| csv_error(file, &lines, error);
        let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).from_reader(decoder);
        let header = reader.byte_headers().map_err(failed)?.clone();
        let header = self.header(&header, file)?;
        let (mut record, mut last_line) = (ByteRecord::new(), None);
        while reader.read_byte_record(&mut record).map_err(failed)? {
            let line = record.position().and_then(|position| lines.line_at(position.byte()));
            let row = header.row(self, &record).map(|row| Row { line, ..row });
            push(row.map_err(|problem| bad_row(file, line, problem))?)?;
            last_line = line;
        }
        match last_line {
            Some(line) if lines.is_quote_open(line) => {
                Err(bad_row(file, last_line, BadRow::OpenQuote))
            }
            _ => Ok(()),
        }
    }

    /// Where the wanted columns stand.
    fn header(&self, header: &ByteRecord, file: &str) -> Result<Header> {
        let found: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let at = |column: &String| {
            found.iter().position(|name| name == column).ok_or_else(|| Error::MissingColumn {
                file: file.to_owned(),
                column: column.clone(),
                found: format!("`{}`", found.join("`, `")),
            })
        };
        let maybe_at = |column: &Option<String>| column.as_ref().map(at).transpose();
        Ok(Header {
            text: at(&self.columns.text)?,
            text_pair: maybe_at(&self.columns.text_pair)?,
            label: at(&self.columns.label)?,
            group: maybe_at(&self.columns.group)?,
            id: maybe_at(&self.columns.id)?,
        })
    }
}

/// Where the columns of a CSV file stand.
struct Header {
    text: usize,
    text_pair: Option<usize>,
    label: usize,
    group: Option<usize>,
    id: Option<usize>,
}

impl Header {
    fn row(&self, reader: &RowReader, record: &ByteRecord) -> Result<Row, BadRow> {
        let field = |at: usize| reader.decode(record.get(at).unwrap_or_default());
        let maybe_field = |at: Option<usize>| at.map(field).transpose();
        reader.checked(Row {
            text: field(self.text)?,
            text_pair: maybe_field(self.text_pair)?,
            label: field(self.label)?,
            group: maybe_field(self.group)?,
            id: maybe_field(self.id)?,
            ..Row::default()
        })
    }
}

fn csv_error(file: &str, lines: &Lines, error: ::csv::Error) -> Error {
    let line = error.position().and_then(|position| lines.line_at(position.byte()));
    match error.into_kind() {
        ::csv::ErrorKind::Io(source) => Error::Io { file: file.into(), source },
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            bad_row(file, line, BadRow::FieldCount { found: len, expected: expected_len })
        }
        other => Error::Csv { file: file.into(), message: format!("{other:?}") },
    }
}
