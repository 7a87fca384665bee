//! Decoded bytes cut into records: lines, or the whole file.

use super::decompress::{DecodeError, Decoder, Fault};
use std::io;

/// Longest row of a labelled file, or of one that a model is asked about, in bytes.
pub const MAX_ROW_BYTES: u64 = 64 << 20;

const CHUNK_BYTES: usize = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How decoded bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each line is a record; blank ones are none.
    Lines,
    /// The file is a record.
    Whole,
}

/// One record before it is parsed.
#[derive(Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Line in the decoded bytes, from 1; `None` where the file is the record.
    pub line: Option<u64>,
    /// First byte in the decoded bytes.
    pub offset: u64,
    /// What stands there.
    pub content: RawContent,
}

/// What stands where a record begins.
#[derive(Debug, PartialEq, Eq)]
pub enum RawContent {
    /// All its bytes, without the end of the line.
    Whole(Vec<u8>),
    /// More bytes than a record may have.
    TooLong {
        /// Its length in bytes.
        bytes: u64,
    },
    /// The compressed stream ends or breaks within it; nothing follows.
    Broken(Fault),
}

/// The records of a decoded file, one at a time: memory holds one record, at most `max_record_bytes` long.
pub struct RawRecords<'a> {
    decoder: Decoder<'a>,
    cut: Cut,
    max_record_bytes: u64,
    chunk: Box<[u8]>,
    unread: std::ops::Range<usize>,
    offset: u64,
    line: u64,
    ended: bool,
}

impl<'a> RawRecords<'a> {
    /// Cuts what `decoder` gives as `cut` says.
    pub fn new(decoder: Decoder<'a>, cut: Cut, max_record_bytes: u64) -> Self {
        let chunk = vec![0; CHUNK_BYTES].into_boxed_slice();
        Self {
            decoder,
            cut,
            max_record_bytes,
            chunk,
            unread: 0..0,
            offset: 0,
            line: 0,
            ended: false,
        }
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.decoder.file_bytes()
    }

    fn next_record(&mut self) -> io::Result<Option<RawRecord>> {
        let begins_file = self.line == 0;
        let (mut start, mut record) = (self.offset, Record::default());
        let mut broken = None;
        loop {
            if self.unread.is_empty() {
                match self.decoder.read_decoded(&mut self.chunk) {
                    Ok(bytes) => self.unread = 0..bytes,
                    Err(DecodeError::Io(error)) => return Err(error),
                    Err(DecodeError::Broken(fault)) => broken = Some(RawContent::Broken(fault)),
                }
                if self.unread.is_empty() {
                    self.ended = true;
                    break;
                }
            }
            let unread = &self.chunk[self.unread.clone()];
            let line_end = match self.cut {
                Cut::Lines => unread.iter().position(|byte| *byte == b'\n'),
                Cut::Whole => None,
            };
            let taken = line_end.map_or(unread.len(), |at| at + 1);
            record.push(&unread[..line_end.unwrap_or(taken)], self.max_record_bytes);
            self.unread.start += taken;
            self.offset += taken as u64;
            if line_end.is_some() {
                break;
            }
        }
        self.line += 1;
        let lines = self.cut == Cut::Lines;
        if lines && self.ended && broken.is_none() && record.num_bytes == 0 {
            return Ok(None);
        }
        if begins_file && record.bytes.starts_with(BYTE_ORDER_MARK) {
            record.bytes.drain(..BYTE_ORDER_MARK.len());
            record.num_bytes -= BYTE_ORDER_MARK.len() as u64;
            start += BYTE_ORDER_MARK.len() as u64;
        }
        let content = broken.unwrap_or_else(|| record.content());
        Ok(Some(RawRecord { line: lines.then_some(self.line), offset: start, content }))
    }
}

/// Blank lines are no records; the count of lines knows them.
impl Iterator for RawRecords<'_> {
    type Item = io::Result<RawRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let record = match self.next_record() {
                Ok(record) => record?,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            match &record.content {
                RawContent::Whole(bytes)
                    if record.line.is_some() && bytes.trim_ascii().is_empty() => {}
                _ => return Some(Ok(record)),
            }
        }
        None
    }
}

#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    num_bytes: u64,
}

impl Record {
    fn push(&mut self, bytes: &[u8], max_bytes: u64) {
        self.num_bytes += bytes.len() as u64;
        if self.num_bytes <= max_bytes {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes = Vec::new();
        }
    }

    fn content(self) -> RawContent {
        if self.bytes.len() as u64 == self.num_bytes {
            RawContent::Whole(self.bytes)
        } else {
            RawContent::TooLong { bytes: self.num_bytes }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::format::Compression;

    fn records(raw: &[u8], cut: Cut, max: u64) -> Vec<RawRecord> {
        let decoder = Decoder::new(raw, Compression::Plain).unwrap();
        RawRecords::new(decoder, cut, max).collect::<Result<_, _>>().unwrap()
    }

    fn whole(line: Option<u64>, offset: u64, bytes: &[u8]) -> RawRecord {
        RawRecord { line, offset, content: RawContent::Whole(bytes.to_vec()) }
    }

    #[test]
    fn blank_lines_are_counted_and_are_no_records() {
        let expected = [whole(Some(1), 0, b"a\r"), whole(Some(4), 6, b"b")];
        assert_eq!(records(b"a\r\n\n \r\nb", Cut::Lines, 9)[..1], expected[..1]);
        assert_eq!(records(b"a\r\n\n \nb", Cut::Lines, 9), expected);
        assert_eq!(records(b"a\r\n\n \nb\n", Cut::Lines, 9), expected);
        assert_eq!(records(b"", Cut::Lines, 9), []);
    }

    #[test]
    fn a_text_file_is_one_record_even_when_it_is_empty() {
        assert_eq!(records(b"a\n\nb\n", Cut::Whole, 9), [whole(None, 0, b"a\n\nb\n")]);
        assert_eq!(records(b"", Cut::Whole, 9), [whole(None, 0, b"")]);
    }

    #[test]
    fn a_byte_order_mark_is_left_out_at_the_start_only() {
        let expected = [whole(Some(1), 3, b"a"), whole(Some(2), 5, b"\xef\xbb\xbfb")];
        assert_eq!(records(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", Cut::Lines, 9), expected);
    }

    #[test]
    fn the_longest_record_has_max_record_bytes() {
        let long =
            RawRecord { line: Some(2), offset: 4, content: RawContent::TooLong { bytes: 4 } };
        let expected = [whole(Some(1), 0, b"abc"), long, whole(Some(3), 9, b"d")];
        assert_eq!(records(b"abc\nabcd\nd", Cut::Lines, 3), expected);
    }

    #[test]
    fn a_broken_stream_is_one_last_record() {
        let raw = zstd::encode_all(&b"one\ntwo\n"[..], 1).unwrap();
        let cut = [&raw[..], &raw[..raw.len() - 5]].concat();
        let decoder = Decoder::new(&cut[..], Compression::Zstd).unwrap();
        let records: Vec<_> =
            RawRecords::new(decoder, Cut::Lines, 9).collect::<Result<_, _>>().unwrap();
        let last = records.last().unwrap();
        assert!(records.len() >= 3);
        assert!(
            matches!(&last.content, RawContent::Broken(fault) if fault.offset == cut.len() as u64)
        );
    }
}
