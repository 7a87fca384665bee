//! Rows of comma-separated values with a header, by RFC 4180.

use super::decompress::{Decoder, Fault};
use super::lines::{LineReader, Lines, TooLong};
use super::utf8;
use ::csv::ByteRecord;
use std::io;

/// The rows of a decoded file of CSV, one at a time. Its header is not among them.
pub struct CsvRows<'a> {
    reader: ::csv::Reader<LineReader<Decoder<'a>>>,
    lines: Lines,
    header: ByteRecord,
    /// The next row: only what follows a row tells whether its quotes were closed.
    next: Option<CsvRow>,
    ended: bool,
    /// Where the last row ended, in decoded bytes.
    record_end: u64,
}

/// A row, or what stands in its place.
#[derive(Debug)]
pub struct CsvRow {
    /// The line where it begins, from 1.
    pub line: Option<u64>,
    /// First decoded byte at or before it.
    pub offset: u64,
    /// As many fields as the header has.
    pub fields: Result<ByteRecord, BadCsv>,
}

/// Why a row of CSV is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCsv {
    /// It is longer or shorter than the header.
    #[error("{found} fields, expected {expected} as in the header; is a quote missing?")]
    FieldCount {
        /// Fields of the row.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A quoted field runs into the end of the file.
    #[error("a quoted field that does not end, expected a closing quote")]
    OpenQuote,
    /// It does not end where it must. Nothing of the file behind it is read.
    #[error("{0}")]
    TooLong(TooLong),
    /// The compressed stream ends or breaks within it; nothing follows.
    #[error(transparent)]
    Broken(Fault),
}

impl<'a> CsvRows<'a> {
    /// Reads the header of what `decoder` gives. No row may be longer than about `max_row_bytes`.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with its bytes is said in place of the first row.
    pub fn new(decoder: Decoder<'a>, delimiter: u8, max_row_bytes: u64) -> io::Result<Self> {
        let decoder = LineReader::new(decoder, max_row_bytes);
        let lines = decoder.lines();
        let reader =
            ::csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(decoder);
        let mut rows = Self {
            reader,
            lines,
            header: ByteRecord::new(),
            next: None,
            ended: false,
            record_end: 0,
        };
        match rows.reader.byte_headers() {
            Ok(header) => {
                rows.header = header.clone();
                rows.record_end = rows.reader.position().byte();
            }
            Err(error) => rows.next = Some(rows.broken(error)?),
        }
        Ok(rows)
    }

    /// The names of the columns, without blanks around them; none if the file breaks before.
    pub fn columns(&self) -> Option<Vec<String>> {
        let name = |name: &[u8]| String::from_utf8_lossy(name).trim().to_owned();
        (!self.ended).then(|| self.header.iter().map(name).collect())
    }

    /// Whether the file begins with the byte-order mark of UTF-16.
    pub fn is_utf16(&self) -> bool {
        self.header.get(0).is_some_and(utf8::is_utf16)
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.reader.get_ref().inner().file_bytes()
    }

    fn read(&mut self) -> io::Result<Option<CsvRow>> {
        if self.ended {
            return Ok(None);
        }
        let mut fields = ByteRecord::new();
        match self.reader.read_byte_record(&mut fields) {
            Ok(true) => {
                let offset = fields.position().map_or(0, ::csv::Position::byte);
                let line = self.lines.line_at(offset);
                self.record_end = self.reader.position().byte();
                let (found, expected) = (fields.len(), self.header.len());
                let fields = match found == expected {
                    true => Ok(fields),
                    false => Err(BadCsv::FieldCount { found, expected }),
                };
                Ok(Some(CsvRow { line, offset, fields }))
            }
            Ok(false) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => self.broken(error).map(Some),
        }
    }

    /// The last row, which cannot be read for `error`.
    fn broken(&mut self, error: ::csv::Error) -> io::Result<CsvRow> {
        self.ended = true;
        // The parser has read on; the row began where the last one ended.
        let offset = self.record_end;
        let line = self.lines.line_at(offset);
        let error = match error.into_kind() {
            ::csv::ErrorKind::Io(error) => error,
            other => return Err(io::Error::other(format!("{other:?}"))),
        };
        let inner = error.get_ref();
        let problem = match inner {
            Some(inner) if inner.is::<Fault>() => inner.downcast_ref().cloned().map(BadCsv::Broken),
            Some(inner) => inner.downcast_ref().cloned().map(BadCsv::TooLong),
            None => None,
        };
        let fields = Err(problem.ok_or(error)?);
        Ok(CsvRow { line, offset, fields })
    }
}

impl Iterator for CsvRows<'_> {
    type Item = io::Result<CsvRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.next.take().map_or_else(|| self.read(), |row| Ok(Some(row))) {
            Ok(row) => row?,
            Err(error) => return Some(Err(error)),
        };
        match self.read() {
            Ok(next) => self.next = next,
            Err(error) => return Some(Err(error)),
        }
        let is_open = |line| self.next.is_none() && self.lines.is_quote_open(line);
        Some(Ok(match row.line {
            Some(line) if row.fields.is_ok() && is_open(line) => {
                CsvRow { fields: Err(BadCsv::OpenQuote), ..row }
            }
            _ => row,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Compression;
    use super::*;

    type Fields = Result<Vec<String>, BadCsv>;

    fn rows(raw: &[u8], compression: Compression, max: u64) -> Vec<(Option<u64>, Fields)> {
        let rows = CsvRows::new(Decoder::new(raw, compression).unwrap(), b',', max).unwrap();
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        rows.map(|row| {
            let row = row.unwrap();
            (row.line, row.fields.map(|fields| fields.iter().map(text).collect()))
        })
        .collect()
    }

    fn fields(fields: &[&str]) -> Fields {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn fields_may_hold_line_ends_quotes_and_delimiters() {
        let raw = b"\xef\xbb\xbfa,b\r\n\"1,\n\"\"2\"\"\",\r\n\r\nx,y";
        let expected = [(Some(2), fields(&["1,\n\"2\"", ""])), (Some(5), fields(&["x", "y"]))];
        assert_eq!(rows(raw, Compression::Plain, 99), expected);
        assert_eq!(rows(b"", Compression::Plain, 99), []);
        assert_eq!(rows(b"a,b\n", Compression::Plain, 99), []);
    }

    #[test]
    fn what_is_no_row_says_why_and_the_rows_around_it_are_read() {
        let short = Err(BadCsv::FieldCount { found: 1, expected: 2 });
        let expected =
            [(Some(2), fields(&["1", "2"])), (Some(3), short), (Some(4), fields(&["4", "5"]))];
        assert_eq!(rows(b"a,b\n1,2\n3\n4,5\n", Compression::Plain, 99), expected);
        let open = [(Some(2), fields(&["1", "2"])), (Some(3), Err(BadCsv::OpenQuote))];
        assert_eq!(rows(b"a,b\n1,2\n3,\"4\n5,6\n7,8\n", Compression::Plain, 99), open);
    }

    #[test]
    fn a_quote_that_swallows_too_much_ends_the_file() {
        let raw = format!("a,b\n1,2\n3,\"{}", "4,5\n".repeat(20_000));
        let found = rows(raw.as_bytes(), Compression::Plain, 20_000);
        assert_eq!((found.len(), &found[0]), (2, &(Some(2), fields(&["1", "2"]))));
        let (line, problem) = &found[1];
        assert_eq!(*line, Some(3));
        assert!(matches!(problem, Err(BadCsv::TooLong(_))), "{problem:?}");
    }

    #[test]
    fn a_broken_stream_is_one_last_row() {
        let text = (0..2000).map(|at| format!("{at},{}\n", at * at)).collect::<String>();
        let whole = zstd::encode_all(format!("a,b\n{text}").as_bytes(), 1).unwrap();
        let found = rows(&whole[..whole.len() - 9], Compression::Zstd, 1 << 20);
        assert!(matches!(found.last(), Some((_, Err(BadCsv::Broken(_))))), "{:?}", found.last());
    }
}
