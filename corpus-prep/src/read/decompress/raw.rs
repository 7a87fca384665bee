//! The bytes of a file as they are compressed.

use super::Compression;
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::rc::Rc;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 18;

/// Bytes that were taken and can be taken again: more than a decoder needs to notice that it left its piece, of which the
/// most is a block of zstd whose length is wrong.
const KEPT_BYTES: usize = 1 << 18;

/// Longest start of a piece, in bytes.
const MAGIC_BYTES: usize = 10;

/// How far a file was read, for whoever does not hold its reader.
#[derive(Default)]
pub struct Counter {
    /// Bytes that were taken.
    pub bytes: Cell<u64>,
    /// Whether reading failed.
    pub failed: Cell<bool>,
}

/// The bytes of a file, of which those taken last can be taken again.
pub struct RawBytes<'a> {
    inner: Box<dyn Read + 'a>,
    counter: Rc<Counter>,
    buffer: Box<[u8]>,
    /// Where in `buffer` what is read and not taken stands; before it, what was taken last.
    unread: Range<usize>,
}

impl<'a> RawBytes<'a> {
    /// Reads `inner`, and tells `counter`.
    pub fn new(inner: impl Read + 'a, counter: Rc<Counter>) -> Self {
        let buffer = vec![0; KEPT_BYTES + READ_BYTES].into_boxed_slice();
        Self { inner: Box::new(inner), counter, buffer, unread: 0..0 }
    }

    /// Steps back over the last `bytes` bytes, or as many as are kept, and says how many those were.
    pub fn step_back(&mut self, bytes: u64) -> u64 {
        let kept = self.unread.start as u64;
        let back = bytes.min(kept);
        self.unread.start = usize::try_from(kept - back).unwrap_or(0);
        self.counter.bytes.set(self.counter.bytes.get() - back);
        back
    }

    /// Passes over bytes up to byte `to` of the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pass_to(&mut self, to: u64) -> io::Result<()> {
        loop {
            let missing = to.saturating_sub(self.counter.bytes.get());
            let there = self.fill_buf()?.len();
            let passed = usize::try_from(missing).unwrap_or(usize::MAX).min(there);
            if passed == 0 {
                return Ok(());
            }
            self.consume(passed);
        }
    }

    /// Passes over bytes up to the next ones with which a gzip member, zstd frame or bzip2 stream begins, or to the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pass_to_piece(&mut self, compression: Compression) -> io::Result<()> {
        loop {
            while self.unread.len() < MAGIC_BYTES && self.read_more()? > 0 {}
            let unread = &self.buffer[self.unread.clone()];
            let begins = |at: &usize| begins_piece(&unread[*at..], compression);
            if let Some(at) = (0..unread.len()).find(begins) {
                self.consume(at);
                return Ok(());
            }
            let ends = unread.len() < MAGIC_BYTES;
            self.consume(if ends { unread.len() } else { unread.len() + 1 - MAGIC_BYTES });
            if ends {
                return Ok(());
            }
        }
    }

    /// Reads behind what is unread, and says how many bytes.
    fn read_more(&mut self) -> io::Result<usize> {
        let dropped = self.unread.start.saturating_sub(KEPT_BYTES);
        self.buffer.copy_within(dropped..self.unread.end, 0);
        self.unread = self.unread.start - dropped..self.unread.end - dropped;
        let read = loop {
            match self.inner.read(&mut self.buffer[self.unread.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.counter.failed.set(read.is_err());
        self.unread.end += *read.as_ref().unwrap_or(&0);
        read
    }
}

impl BufRead for RawBytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            self.read_more()?;
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    fn consume(&mut self, bytes: usize) {
        self.counter.bytes.set(self.counter.bytes.get() + bytes as u64);
        self.unread.start += bytes;
    }
}

impl Read for RawBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Whether a piece begins with `bytes`, by all that its first bytes must be: of gzip the magic, deflate, no reserved flag and
/// a known level; of zstd the magic and no reserved bit; of bzip2 the magic and that of its first block.
fn begins_piece(bytes: &[u8], compression: Compression) -> bool {
    match (compression, bytes) {
        (Compression::Gzip, [0x1f, 0x8b, 8, flags, _, _, _, _, level, _, ..]) => {
            flags & 0xe0 == 0 && matches!(level, 0 | 2 | 4)
        }
        (Compression::Zstd, [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..]) => descriptor & 8 == 0,
        (Compression::Bzip2, [b'B', b'Z', b'h', b'1'..=b'9', block @ ..]) => {
            block.starts_with(b"1AY&SY")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_last_can_be_taken_again() {
        let bytes: Vec<u8> = (0..900_000u32).map(|at| at.to_le_bytes()[1]).collect();
        let counter = Rc::<Counter>::default();
        let mut raw = RawBytes::new(&bytes[..], Rc::clone(&counter));
        raw.pass_to(700_000).unwrap();
        assert_eq!(raw.step_back(1000), 1000);
        assert_eq!(counter.bytes.get(), 699_000);
        let mut rest = Vec::new();
        raw.read_to_end(&mut rest).unwrap();
        assert!(rest == bytes[699_000..]);
        let back = raw.step_back(u64::MAX);
        assert!(back >= KEPT_BYTES as u64);
        rest.clear();
        raw.read_to_end(&mut rest).unwrap();
        assert!(rest == bytes[bytes.len() - usize::try_from(back).unwrap()..]);
    }

    #[test]
    fn the_start_of_a_piece_is_found_wherever_it_stands() {
        let magic = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
        for before in [0, 1, 9, READ_BYTES - 5, READ_BYTES, KEPT_BYTES + READ_BYTES - 3, 900_000] {
            let bytes = [&vec![b'x'; before][..], magic, b"rest"].concat();
            let counter = Rc::<Counter>::default();
            let mut raw = RawBytes::new(&bytes[..], Rc::clone(&counter));
            raw.pass_to_piece(Compression::Gzip).unwrap();
            assert_eq!(counter.bytes.get(), before as u64);
        }
        let mut raw = RawBytes::new(&magic[..9], Rc::default());
        raw.pass_to_piece(Compression::Gzip).unwrap();
        assert!(raw.fill_buf().unwrap().is_empty(), "a start that is cut begins nothing");
    }
}
