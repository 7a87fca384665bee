//! Rows of comma-separated values with a header, by RFC 4180.
//!
//! A quote opens a field only where the field begins; anywhere else in a field without quotes it stands for itself. Within a
//! quoted field two quotes stand for one, and behind the quote that closes it only a delimiter or the end of the row may
//! stand: a quote that was not closed is noticed at the next one, and not only at the end of the file.

use super::decompress::{DecodeError, Decoder, Fault};
use super::utf8;
use ::csv::ByteRecord;
use std::io;
use std::ops::Range;

const CHUNK_BYTES: usize = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The rows of a decoded file of CSV, one at a time. Its header is not among them.
pub struct CsvRows<'a> {
    decoder: Decoder<'a>,
    delimiter: u8,
    max_row_bytes: u64,
    chunk: Box<[u8]>,
    unread: Range<usize>,
    /// Place of the next byte in the decoded bytes, from 0.
    offset: u64,
    /// Its line, from 1.
    line: u64,
    ended: bool,
    /// Line and fields of the first row.
    header: Option<(u64, ByteRecord)>,
    /// What stands where the header should.
    bad_header: Option<CsvRow>,
}

/// A row, or what stands in its place.
#[derive(Debug)]
pub struct CsvRow {
    /// The line where it begins, from 1.
    pub line: u64,
    /// Its first decoded byte.
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
    /// A quoted field goes on behind its closing quote. The row is read to the end of that line.
    #[error(
        "a stray quote on line {line}: a closing quote with text behind it, expected a delimiter or the end of the row \
         (is an earlier quote not closed? within a quoted field, a quote is written twice)"
    )]
    StrayQuote {
        /// The line of that quote, from 1.
        line: u64,
    },
    /// A quoted field runs into the end of the file.
    #[error("a quoted field that does not end, expected a closing quote")]
    OpenQuote,
    /// It does not end where it must. Nothing of the file behind it is read.
    #[error("a row of over {max_bytes} bytes; is a quote missing?")]
    TooLong {
        /// The bound.
        max_bytes: u64,
    },
    /// The compressed stream ends or breaks within it; nothing follows.
    #[error(transparent)]
    Broken(Fault),
}

impl<'a> CsvRows<'a> {
    /// Reads the header of what `decoder` gives. No row may be longer than `max_row_bytes`.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with its bytes is said in place of the first row.
    pub fn new(decoder: Decoder<'a>, delimiter: u8, max_row_bytes: u64) -> io::Result<Self> {
        let mut rows = Self {
            decoder,
            delimiter,
            max_row_bytes,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            unread: 0..0,
            offset: 0,
            line: 1,
            ended: false,
            header: None,
            bad_header: None,
        };
        match rows.read()? {
            None => rows.header = Some((1, ByteRecord::new())),
            Some(CsvRow { line, fields: Ok(fields), .. }) => rows.header = Some((line, fields)),
            Some(bad) => {
                rows.ended = true;
                rows.bad_header = Some(bad);
            }
        }
        Ok(rows)
    }

    /// The line of the header, from 1, and the names of the columns as bytes; an empty file has none. `None` if the header
    /// cannot be read.
    pub fn header(&self) -> Option<(u64, &ByteRecord)> {
        self.header.as_ref().map(|(line, names)| (*line, names))
    }

    /// Whether the file begins with the byte-order mark of UTF-16.
    pub fn is_utf16(&self) -> bool {
        self.header.as_ref().is_some_and(|(_, names)| names.get(0).is_some_and(utf8::is_utf16))
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.decoder.file_bytes()
    }

    fn read(&mut self) -> io::Result<Option<CsvRow>> {
        if self.ended {
            return Ok(None);
        }
        let mut row = Row::new(self.delimiter);
        let (mut line, mut offset, mut stray) = (self.line, self.offset, None);
        let fields = loop {
            match self.byte() {
                Ok(Some(byte)) => match row.push(byte) {
                    Step::Within => {}
                    Step::Blank => (line, offset) = (self.line, self.offset),
                    Step::Stray => stray = Some(BadCsv::StrayQuote { line: self.line }),
                    Step::End => break stray.map_or(Ok(row.fields), Err),
                },
                Ok(None) => {
                    self.ended = true;
                    match row.end() {
                        None => return Ok(None),
                        Some(fields) => break stray.map_or(fields, Err),
                    }
                }
                Err(DecodeError::Io(error)) => return Err(error),
                Err(DecodeError::Broken(fault)) => {
                    self.ended = true;
                    break Err(BadCsv::Broken(fault));
                }
            }
            if self.offset == BYTE_ORDER_MARK.len() as u64 && row.field == BYTE_ORDER_MARK {
                (row, offset) = (Row::new(self.delimiter), self.offset);
            }
            if self.offset - offset > self.max_row_bytes {
                self.ended = true;
                break Err(BadCsv::TooLong { max_bytes: self.max_row_bytes });
            }
        };
        Ok(Some(CsvRow { line, offset, fields: fields.and_then(|fields| self.fits(fields)) }))
    }

    /// The next decoded byte.
    fn byte(&mut self) -> Result<Option<u8>, DecodeError> {
        if self.unread.is_empty() {
            self.unread = 0..self.decoder.read_decoded(&mut self.chunk)?;
        }
        let Some(at) = self.unread.next() else { return Ok(None) };
        let byte = self.chunk[at];
        self.offset += 1;
        self.line += u64::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn fits(&self, fields: ByteRecord) -> Result<ByteRecord, BadCsv> {
        let expected = self.header.as_ref().map_or(fields.len(), |(_, names)| names.len());
        match fields.len() {
            found if found == expected => Ok(fields),
            found => Err(BadCsv::FieldCount { found, expected }),
        }
    }
}

impl Iterator for CsvRows<'_> {
    type Item = io::Result<CsvRow>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.bad_header.take() {
            Some(bad) => Some(Ok(bad)),
            None => self.read().transpose(),
        }
    }
}

/// A row that is being read, byte by byte.
struct Row {
    delimiter: u8,
    at: At,
    fields: ByteRecord,
    field: Vec<u8>,
}

/// What the next byte follows.
#[derive(Clone, Copy)]
enum At {
    /// Nothing of the row.
    Row,
    /// A delimiter.
    Field,
    /// A byte of a field without quotes.
    Plain,
    /// The opening quote, or a byte of a quoted field.
    Quoted,
    /// A quote in a quoted field: it closes it, unless another quote follows.
    Closed,
    /// A stray quote: all is lost up to the end of the line.
    Stray,
}

/// What a byte was.
enum Step {
    /// Something in the row.
    Within,
    /// An end of line before the row.
    Blank,
    /// The byte that makes the quote before it a stray one.
    Stray,
    /// The end of the row.
    End,
}

impl Row {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, at: At::Row, fields: ByteRecord::new(), field: Vec::new() }
    }

    fn push(&mut self, byte: u8) -> Step {
        let is_line_end = byte == b'\n' || byte == b'\r';
        self.at = match self.at {
            At::Row if is_line_end => return Step::Blank,
            At::Row | At::Field if byte == b'"' => At::Quoted,
            At::Quoted if byte == b'"' => At::Closed,
            At::Closed if byte == b'"' => self.keep(byte, At::Quoted),
            At::Quoted => self.keep(byte, At::Quoted),
            _ if is_line_end => {
                self.end_field();
                return Step::End;
            }
            At::Stray => At::Stray,
            _ if byte == self.delimiter => {
                self.end_field();
                At::Field
            }
            At::Closed => {
                self.at = At::Stray;
                return Step::Stray;
            }
            At::Row | At::Field | At::Plain => self.keep(byte, At::Plain),
        };
        Step::Within
    }

    fn keep(&mut self, byte: u8, next: At) -> At {
        self.field.push(byte);
        next
    }

    fn end_field(&mut self) {
        self.fields.push_field(&self.field);
        self.field.clear();
    }

    /// The row that the end of the file ends, if one has begun.
    fn end(mut self) -> Option<Result<ByteRecord, BadCsv>> {
        match self.at {
            At::Row => None,
            At::Quoted => Some(Err(BadCsv::OpenQuote)),
            _ => {
                self.end_field();
                Some(Ok(self.fields))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Compression;
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    type Fields = Result<Vec<String>, BadCsv>;

    fn rows(raw: impl Read, compression: Compression, max: u64) -> Vec<(u64, Fields)> {
        let rows = CsvRows::new(Decoder::new(raw, compression).unwrap(), b',', max).unwrap();
        rows.map(|row| row.unwrap()).map(|row| (row.line, row.fields.map(texts))).collect()
    }

    fn texts(fields: ByteRecord) -> Vec<String> {
        fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
    }

    fn fields(fields: &[&str]) -> Fields {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[track_caller]
    fn check(raw: &str, expected: &[(u64, Fields)]) {
        assert_eq!(rows(raw.as_bytes(), Compression::Plain, 99), expected, "{raw:?}");
        assert_eq!(rows(ByteByByte(raw.as_bytes()), Compression::Plain, 99), expected, "{raw:?}");
    }

    /// Gives a byte at a time, so that every byte begins a chunk.
    struct ByteByByte<'a>(&'a [u8]);

    impl Read for ByteByByte<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn fields_may_hold_line_ends_quotes_and_delimiters() {
        check(
            "\u{feff}a,b\r\n\"1,\n\"\"2\"\"\",\r\n\r\nx,y",
            &[(2, fields(&["1,\n\"2\"", ""])), (5, fields(&["x", "y"]))],
        );
        check("\u{feff}\"a\",b\n1,2\n", &[(2, fields(&["1", "2"]))]);
        check("\n\na\n\n\nb\n", &[(6, fields(&["b"]))]);
        check("", &[]);
        check("a,b\n", &[]);
    }

    #[test]
    fn a_quote_within_a_field_without_quotes_stands_for_itself() {
        check(
            "a,b\n1,5\" pipe\n2,\"multi\nline\"\n3, \"x\"\n",
            &[
                (2, fields(&["1", "5\" pipe"])),
                (3, fields(&["2", "multi\nline"])),
                (5, fields(&["3", " \"x\""])),
            ],
        );
    }

    #[test]
    fn what_is_no_row_says_why_and_the_rows_around_it_are_read() {
        let short = Err(BadCsv::FieldCount { found: 1, expected: 2 });
        check(
            "a,b\n1,2\n3\n4,5\n",
            &[(2, fields(&["1", "2"])), (3, short), (4, fields(&["4", "5"]))],
        );
        let open = || Err(BadCsv::OpenQuote);
        check("a,b\n1,2\n3,\"4\n5,6\n7,8\n", &[(2, fields(&["1", "2"])), (3, open())]);
        check("a,b\n3,\"4", &[(2, open())]);
        check("a,b\n3,\"\"", &[(2, fields(&["3", ""]))]);
    }

    #[test]
    fn a_stray_quote_is_told_with_its_line_and_the_rows_behind_are_read() {
        let stray = |line| Err(BadCsv::StrayQuote { line });
        check(
            "a,b\n1,\"one\"\n2,\"open\n3,lost\n4,\"four\"\n5,\"five\"\n",
            &[(2, fields(&["1", "one"])), (3, stray(5)), (6, fields(&["5", "five"]))],
        );
        check("a,b\n1,\"x\" \n2,3\n", &[(2, stray(2)), (3, fields(&["2", "3"]))]);
        check("a,b\n1,\"x\"y\"\",\"z", &[(2, stray(2))]);
        check("\"a\"b,c\n1,2\n", &[(1, stray(1))]);
    }

    #[test]
    fn a_quote_that_swallows_too_much_ends_the_file() {
        let raw = format!("a,b\n1,2\n3,\"{}", "4,5\n".repeat(20_000));
        let found = rows(raw.as_bytes(), Compression::Plain, 20_000);
        let too_long = Err(BadCsv::TooLong { max_bytes: 20_000 });
        assert_eq!(found, [(2, fields(&["1", "2"])), (3, too_long)]);
    }

    #[test]
    fn a_broken_stream_is_one_last_row() {
        let text = (0..2000).map(|at| format!("{at},{}\n", at * at)).collect::<String>();
        let whole = zstd::encode_all(format!("a,b\n{text}").as_bytes(), 1).unwrap();
        let found = rows(&whole[..whole.len() - 9], Compression::Zstd, 1 << 20);
        assert!(matches!(found.last(), Some((_, Err(BadCsv::Broken(_))))), "{:?}", found.last());
    }

    /// What crate `csv` makes of it, header included.
    fn by_crate(raw: &[u8], delimiter: u8) -> Vec<ByteRecord> {
        let mut reader = ::csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(raw);
        reader.byte_records().collect::<Result<_, _>>().unwrap()
    }

    fn ours(raw: &[u8], delimiter: u8) -> Result<Vec<ByteRecord>, BadCsv> {
        let decoder = Decoder::new(raw, Compression::Plain).unwrap();
        let mut rows = CsvRows::new(decoder, delimiter, 1 << 20).unwrap();
        let header = rows.header.take().filter(|(_, names)| !names.is_empty());
        // Without a header to be held to, rows may have any number of fields.
        let header = header.map(|(_, names)| Ok(names));
        header.into_iter().chain(rows.map(|row| row.unwrap().fields)).collect()
    }

    proptest! {
        #[test]
        fn sound_files_are_read_as_crate_csv_reads_them(
            table in prop::collection::vec(prop::collection::vec("[a\", ;|\t\r\né]{0,5}", 1..4), 0..6),
            delimiter in prop::sample::select(&b",;|\t "[..]),
            ends in prop::sample::select(&[::csv::Terminator::CRLF, ::csv::Terminator::Any(b'\n')][..]),
            style in prop::sample::select(&[::csv::QuoteStyle::Necessary, ::csv::QuoteStyle::Always][..]),
        ) {
            let mut writer = ::csv::WriterBuilder::new()
                .delimiter(delimiter).terminator(ends).quote_style(style).flexible(true).from_writer(Vec::new());
            table.iter().for_each(|row| writer.write_record(row).unwrap());
            let raw = writer.into_inner().unwrap();
            let found = ours(&raw, delimiter);
            prop_assert_eq!(found.as_ref(), Ok(&by_crate(&raw, delimiter)));
            let found: Vec<_> = found.unwrap().into_iter().map(texts).collect();
            prop_assert_eq!(found, table);
        }

        #[test]
        fn what_is_not_refused_is_read_as_crate_csv_reads_it(raw in "[ab\",;\r\n]{0,30}") {
            for delimiter in [b',', b';'] {
                if let Ok(found) = ours(raw.as_bytes(), delimiter) {
                    prop_assert_eq!(found, by_crate(raw.as_bytes(), delimiter));
                }
            }
        }
    }
}
