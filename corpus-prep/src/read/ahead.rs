//! Decoded bytes that are looked at before they are taken.

use super::decompress::{DecodeError, Decoder, Fault};
use std::io;

const READ_BYTES: usize = 1 << 16;

/// The decoded bytes of a file, of which as many as are asked for are held. Where the file is damaged there is a gap: what
/// stands behind it is seen only once the gap was taken.
pub struct Ahead<'a> {
    decoder: Decoder<'a>,
    held: Vec<u8>,
    /// Where in `held` what is not taken begins.
    start: usize,
    offset: u64,
    behind: Behind,
}

/// What stands behind the held bytes.
enum Behind {
    /// Perhaps others.
    Bytes,
    Gap(Fault),
    End,
}

impl<'a> Ahead<'a> {
    /// Looks at what `decoder` gives.
    pub fn new(decoder: Decoder<'a>) -> Self {
        Self { decoder, held: Vec::new(), start: 0, offset: 0, behind: Behind::Bytes }
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.decoder.file_bytes()
    }

    /// Place of the next byte in the decoded bytes, from 0.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `bytes` bytes, or more; fewer if a gap or the end comes before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn look(&mut self, bytes: usize) -> io::Result<&[u8]> {
        while self.held.len() - self.start < bytes && matches!(self.behind, Behind::Bytes) {
            self.read_more()?;
        }
        Ok(&self.held[self.start..])
    }

    /// Takes the next `bytes` bytes of those held.
    pub fn take(&mut self, bytes: usize) {
        let taken = bytes.min(self.held.len() - self.start);
        self.start += taken;
        self.offset += taken as u64;
    }

    /// Takes the next `bytes` bytes without holding them, or those up to a gap or the end, and says how many those were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pass(&mut self, bytes: u64) -> io::Result<u64> {
        let begin = self.offset;
        loop {
            let missing = usize::try_from(bytes - (self.offset - begin)).unwrap_or(usize::MAX);
            let there = self.look(missing.min(1))?.len().min(missing);
            if there == 0 {
                return Ok(self.offset - begin);
            }
            self.take(there);
        }
    }

    /// Takes the gap that stands behind the held bytes, of which none must be left.
    pub fn take_gap(&mut self) -> Option<Fault> {
        match std::mem::replace(&mut self.behind, Behind::Bytes) {
            Behind::Gap(fault) => Some(fault),
            other => {
                self.behind = other;
                None
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.held.drain(..self.start);
        self.start = 0;
        let there = self.held.len();
        self.held.resize(there + READ_BYTES, 0);
        let read = self.decoder.read_decoded(&mut self.held[there..]);
        self.held.truncate(there + read.as_ref().map_or(0, |bytes| *bytes));
        match read {
            Ok(0) => self.behind = Behind::End,
            Ok(_) => {}
            Err(DecodeError::Broken(fault)) => self.behind = Behind::Gap(fault),
            Err(DecodeError::Io(error)) => return Err(error),
        }
        Ok(())
    }
}
