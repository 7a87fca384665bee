//! Records of WARC files: what a crawl fetched (`.warc`), texts made of it (`.wet`), or what is known of it (`.wat`).
//!
//! A record is a header, a blank line, as many bytes as its `Content-Length` says, and two line ends. Where a header is none
//! or a length is wrong, the record is lost up to the next line that begins with `WARC/1.`; where a gzip member is damaged,
//! up to the first such line of the next sound one.
//!
//! Source: ISO 28500:2017, of which version 1.1 stands at
//! <https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>.

mod fields;
mod http;
mod payload;

pub use self::fields::Fields;
pub use self::payload::{BadPayload, Document};

use super::ahead::Ahead;
use super::decompress::Decoder;
use super::raw::RawContent;
use super::record::Unreadable;
use super::records::{Content, Found};
use super::skip::{Skip, Skipped};
use memchr::memmem;
use std::io;

/// Longest header, in bytes.
const MAX_HEADER_BYTES: usize = 1 << 16;

/// How a record begins.
const MAGIC: &[u8] = b"WARC/";

/// How a record begins where it is looked for.
const NEXT: &[u8] = b"\nWARC/1.";

/// What stands behind a record.
const BEHIND: &[u8] = b"\r\n\r\n";

/// A record that may hold a document.
#[derive(Debug)]
pub struct Entry {
    /// Its header.
    pub header: Fields,
    /// What stands behind it.
    pub block: Vec<u8>,
    /// Where the block begins, in bytes from the record's first.
    pub block_at: u64,
}

/// Why a record of a WARC file cannot be told from what follows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWarc {
    /// It begins like none.
    #[error("found no header of a WARC record, expected `WARC/1.0` or `WARC/1.1`")]
    NoHeader,
    /// Its header does not end.
    #[error("a header without end, expected a blank line within {MAX_HEADER_BYTES} bytes")]
    OpenHeader,
    /// Its header lacks a field.
    #[error("no field `{name}` in the header of a WARC record")]
    NoField {
        /// The field.
        name: &'static str,
    },
    /// Its length is none.
    #[error("field `Content-Length` of a WARC record is no number of bytes")]
    NoLength,
    /// Another record begins elsewhere than its length says.
    #[error("field `Content-Length` is {length}, behind which no record ends; is a byte missing?")]
    WrongLength {
        /// The length that the header says.
        length: u64,
    },
    /// The file ends within it.
    #[error("a WARC record that is cut, expected {missing} more bytes")]
    Cut {
        /// Bytes that are not there.
        missing: u64,
    },
}

/// The records of a WARC file, one at a time: memory holds one record, at most `max_record_bytes` long.
pub struct WarcRecords<'a> {
    bytes: Ahead<'a>,
    max_record_bytes: u64,
    /// Where the present record begins, in decoded bytes.
    record_at: u64,
    ended: bool,
}

impl<'a> WarcRecords<'a> {
    /// Reads what `decoder` gives.
    pub fn new(decoder: Decoder<'a>, max_record_bytes: u64) -> Self {
        Self { bytes: Ahead::new(decoder), max_record_bytes, record_at: 0, ended: false }
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.file_bytes()
    }

    fn next_record(&mut self) -> io::Result<Option<Found>> {
        while let Some(b'\r' | b'\n') = self.bytes.look(1)?.first() {
            self.bytes.take(1);
        }
        self.record_at = self.bytes.offset();
        let content = if self.bytes.look(1)?.is_empty() {
            match self.take_gap()? {
                Some(gap) => gap,
                None => return Ok(None),
            }
        } else {
            match self.header()? {
                Ok((header, length)) => self.block(header, length)?,
                Err(problem) => self.lost(problem)?,
            }
        };
        Ok(Some(Found { line: None, offset: self.record_at, content }))
    }

    /// The header of the next record, which is not taken, and its length in bytes.
    fn header(&mut self) -> io::Result<Result<(Fields, usize), BadWarc>> {
        if !self.bytes.look(MAGIC.len())?.starts_with(MAGIC) {
            return Ok(Err(BadWarc::NoHeader));
        }
        let mut wanted = 1 << 10;
        loop {
            let there = self.bytes.look(wanted)?;
            let there = &there[..there.len().min(MAX_HEADER_BYTES)];
            if let Some(length) = fields::length(there) {
                let lines = there[..length].iter().position(|byte| *byte == b'\n').unwrap_or(0);
                return Ok(Ok((Fields::parse(&there[lines..length]), length)));
            }
            if wanted > there.len() {
                return Ok(Err(BadWarc::OpenHeader));
            }
            wanted *= 2;
        }
    }

    /// The record whose header of `block_at` bytes stands next.
    fn block(&mut self, header: Fields, block_at: usize) -> io::Result<Content> {
        let Some(length) = header.get("content-length") else {
            return self.lost(BadWarc::NoField { name: "Content-Length" });
        };
        let Ok(length) = length.parse::<u64>() else { return self.lost(BadWarc::NoLength) };
        let Some(kind) = header.get("warc-type").map(str::to_ascii_lowercase) else {
            let problem = BadWarc::NoField { name: "WARC-Type" };
            let bad = Unreadable::Warc { problem, lost: length.saturating_add(block_at as u64) };
            return self.pass(block_at, length, Content::Bad(bad));
        };
        if !payload::TYPES.contains(&&*kind) {
            let why = Skip::WarcType { found: kind };
            let skipped = Skipped { source_id: header.record_id(), url: header.target(), why };
            return self.pass(block_at, length, Content::Skipped(Box::new(skipped)));
        }
        match usize::try_from(length) {
            Ok(held) if length <= self.max_record_bytes => self.hold(header, block_at, held),
            _ => {
                let too_long = Content::Bytes(RawContent::TooLong { bytes: length });
                self.pass(block_at, length, too_long)
            }
        }
    }

    /// Takes a record whose block is not looked at: it is `content`, unless its length is wrong.
    fn pass(&mut self, block_at: usize, length: u64, content: Content) -> io::Result<Content> {
        self.bytes.take(block_at);
        let passed = self.bytes.pass(length)?;
        if passed < length {
            return self.lost(BadWarc::Cut { missing: length - passed });
        }
        match ends_record(self.bytes.look(BEHIND.len() + MAGIC.len())?) {
            true => Ok(content),
            false => self.lost(BadWarc::WrongLength { length }),
        }
    }

    /// Takes a record and its block, unless its length is wrong: then all but its header is looked through.
    fn hold(&mut self, header: Fields, block_at: usize, length: usize) -> io::Result<Content> {
        let end = block_at + length;
        let there = self.bytes.look(end + BEHIND.len() + MAGIC.len())?;
        if there.len() < end {
            let missing = (end - there.len()) as u64;
            return self.lost(BadWarc::Cut { missing });
        }
        if !ends_record(&there[end..]) {
            return self.lost(BadWarc::WrongLength { length: length as u64 });
        }
        let block = there[block_at..end].to_vec();
        self.bytes.take(end);
        Ok(Content::Warc(Box::new(Entry { header, block, block_at: block_at as u64 })))
    }

    /// Passes over what is no record, up to the next one or a gap. A gap within a record is why it is none.
    fn lost(&mut self, problem: BadWarc) -> io::Result<Content> {
        self.find_next()?;
        if matches!(problem, BadWarc::Cut { .. } | BadWarc::OpenHeader)
            && self.bytes.look(1)?.is_empty()
            && let Some(gap) = self.take_gap()?
        {
            return Ok(gap);
        }
        let lost = self.bytes.offset() - self.record_at;
        Ok(Content::Bad(Unreadable::Warc { problem, lost }))
    }

    /// Takes the gap that stands next, and what belongs to the record that it cut.
    fn take_gap(&mut self) -> io::Result<Option<Content>> {
        let Some(fault) = self.bytes.take_gap() else { return Ok(None) };
        if !self.bytes.look(MAGIC.len())?.starts_with(MAGIC) {
            self.find_next()?;
        }
        Ok(Some(Content::Bytes(RawContent::Broken(fault))))
    }

    /// Passes over bytes up to the next line that begins a record, a gap or the end.
    fn find_next(&mut self) -> io::Result<()> {
        loop {
            let there = self.bytes.look(NEXT.len() + 1)?;
            if let Some(at) = memmem::find(there, NEXT) {
                self.bytes.take(at + 1);
                return Ok(());
            }
            if there.len() <= NEXT.len() {
                let rest = there.len();
                self.bytes.take(rest);
                return Ok(());
            }
            let passed = there.len() + 1 - NEXT.len();
            self.bytes.take(passed);
        }
    }
}

/// Whether a record ends where `behind` follows: two line ends, or what little stands there before the next one.
fn ends_record(behind: &[u8]) -> bool {
    let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let line_ends = behind.iter().take(BEHIND.len()).take_while(is_line_end).count();
    let next = &behind[line_ends..];
    behind.starts_with(BEHIND)
        || behind.starts_with(b"\n\n")
        || next.is_empty()
        || next.starts_with(MAGIC)
}

impl Iterator for WarcRecords<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.next_record().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

#[cfg(test)]
mod tests;
