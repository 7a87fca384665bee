//! On which line a record of CSV begins, whatever the ends of lines are.
//!
//! The parser says at which byte it began to look for a record; ends of lines and blank lines may still come before it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// Passes bytes on and notes where lines are. A byte order mark at the start is left out.
pub struct LineReader<R> {
    inner: R,
    /// Bytes read ahead to look for the mark.
    head: VecDeque<u8>,
    started: bool,
    at: u64,
    line: u64,
    lines: Lines,
    max_record_bytes: u64,
}

/// A row does not end where it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of over {max_bytes} bytes; is a quote missing?")]
pub struct TooLong {
    /// The bound.
    pub max_bytes: u64,
}

/// What is known of the lines.
#[derive(Clone, Default)]
pub struct Lines(Rc<RefCell<Known>>);

#[derive(Default)]
struct Known {
    /// The lines that are not blank: number, and offset of the last byte before the line's end.
    lines: VecDeque<(u64, u64)>,
    /// Where the present record was looked for.
    record: u64,
    num_quotes: u64,
}

impl<R: Read> LineReader<R> {
    /// Notes the lines of `inner`, and fails on a record that is longer than about `max_record_bytes`.
    pub fn new(inner: R, max_record_bytes: u64) -> Self {
        Self {
            inner,
            head: VecDeque::new(),
            started: false,
            at: 0,
            line: 1,
            lines: Lines::default(),
            max_record_bytes,
        }
    }

    /// What the bytes come from.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    /// What is known of the lines so far, and will be.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    fn start(&mut self) -> io::Result<()> {
        self.started = true;
        let mut head = Vec::new();
        self.inner.by_ref().take(3).read_to_end(&mut head)?;
        if head != b"\xef\xbb\xbf" {
            self.head.extend(head);
        }
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) {
        let Known { lines, num_quotes, .. } = &mut *self.lines.0.borrow_mut();
        for byte in bytes {
            *num_quotes += u64::from(*byte == b'"');
            match byte {
                b'\n' => self.line += 1,
                b'\r' => {}
                _ => match lines.back_mut() {
                    Some((line, last)) if *line == self.line => *last = self.at,
                    _ => lines.push_back((self.line, self.at)),
                },
            }
            self.at += 1;
        }
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.started {
            self.start()?;
        }
        let bytes =
            if self.head.is_empty() { self.inner.read(buffer)? } else { self.head.read(buffer)? };
        self.note(&buffer[..bytes]);
        let unread = self.at - self.lines.0.borrow().record;
        if unread > self.max_record_bytes {
            let too_long = TooLong { max_bytes: self.max_record_bytes };
            return Err(io::Error::new(io::ErrorKind::InvalidData, too_long));
        }
        Ok(bytes)
    }
}

impl Lines {
    /// The line of the first record at or after byte `offset`. Lines before it are forgotten.
    pub fn line_at(&self, offset: u64) -> Option<u64> {
        let Known { lines, record, .. } = &mut *self.0.borrow_mut();
        *record = offset;
        while lines.front().is_some_and(|(_, last)| *last < offset) {
            lines.pop_front();
        }
        lines.front().map(|(line, _)| *line)
    }
}

impl Lines {
    /// Once all is read: whether the last record, which began on `line`, ran into the end of the file because its quote
    /// has no partner. Quotes come in pairs, and such a record swallows all lines behind it.
    pub fn is_quote_open(&self, line: u64) -> bool {
        let known = self.0.borrow();
        let swallowed = known.lines.back().is_some_and(|(last, _)| *last > line);
        !known.num_quotes.is_multiple_of(2) && swallowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[u64]) {
        let reader = LineReader::new(text, 100);
        let lines = reader.lines();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(reader);
        let mut record = csv::ByteRecord::new();
        let mut found = Vec::new();
        while reader.read_byte_record(&mut record).unwrap() {
            found.extend(lines.line_at(record.position().unwrap().byte()));
        }
        assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn records_begin_where_an_editor_says() {
        check(b"a\nb\n", &[1, 2]);
        check(b"a\r\nb\r\n\r\nc", &[1, 2, 4]);
        check(b"\n\na\n\n\nb\n", &[3, 6]);
        check(b"\"a\r\nb\r\n\",c\r\nd,e\r\n", &[1, 4]);
        check(b"\xef\xbb\xbfa\r\nb\r\n", &[1, 2]);
        check(b"", &[]);
    }
}
