//! Decoded bytes of a file, with an account of where a broken stream breaks.

use super::format::Compression;
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

const BUFFER_BYTES: usize = 1 << 17;

/// Decoded bytes of a file that is compressed as said: all gzip members, all zstd frames.
pub struct Decoder<'a> {
    inner: Box<dyn Read + 'a>,
    counter: Rc<Counter>,
    compression: Compression,
}

/// Why decoded bytes ended before their time.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file itself cannot be read.
    #[error(transparent)]
    Io(io::Error),
    /// The compressed stream ends or breaks after so many compressed bytes.
    #[error("compressed byte {offset}: found {found}, expected {expected}")]
    Broken {
        /// Compressed bytes read before the break was noticed.
        offset: u64,
        /// What was found there.
        found: String,
        /// What was expected there.
        expected: String,
    },
}

#[derive(Default)]
struct Counter {
    bytes: Cell<u64>,
    failed: Cell<bool>,
}

/// Counts the bytes that pass, and remembers whether reading them failed.
struct Counted<R> {
    inner: R,
    counter: Rc<Counter>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(bytes) => self.counter.bytes.set(self.counter.bytes.get() + *bytes as u64),
            Err(error) => self.counter.failed.set(error.kind() != io::ErrorKind::Interrupted),
        }
        read
    }
}

impl<'a> Decoder<'a> {
    /// Decodes `raw`.
    ///
    /// # Errors
    /// When the decoder's memory cannot be had.
    pub fn new(raw: impl Read + 'a, compression: Compression) -> io::Result<Self> {
        let counter = Rc::<Counter>::default();
        let counted = Counted { inner: raw, counter: Rc::clone(&counter) };
        let raw = BufReader::with_capacity(BUFFER_BYTES, counted);
        let inner: Box<dyn Read + 'a> = match compression {
            Compression::Plain => Box::new(raw),
            Compression::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        };
        Ok(Self { inner, counter, compression })
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.counter.bytes.get()
    }

    /// Reads the next decoded bytes; 0 at the end.
    ///
    /// # Errors
    /// [`DecodeError`] when the file cannot be read or its stream is cut or corrupt.
    pub fn read_decoded(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
                Ok(bytes) => return Ok(bytes),
            }
        }
    }

    fn explain(&self, error: io::Error) -> DecodeError {
        if self.counter.failed.get() || self.compression == Compression::Plain {
            return DecodeError::Io(error);
        }
        let piece = self.compression.piece();
        let (found, expected) = if error.kind() == io::ErrorKind::UnexpectedEof {
            ("the end of the file".to_owned(), format!("the rest of a {piece}"))
        } else {
            (error.to_string(), format!("a sound {piece}"))
        };
        DecodeError::Broken { offset: self.counter.bytes.get(), found, expected }
    }
}

/// For parsers of others: what broke is the error's message.
impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_decoded(buffer).map_err(|error| match error {
            DecodeError::Io(error) => error,
            broken @ DecodeError::Broken { .. } => {
                io::Error::new(io::ErrorKind::InvalidData, broken)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(raw: &[u8], compression: Compression) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(raw, compression).map_err(DecodeError::Io)?;
        let (mut out, mut buffer) = (Vec::new(), [0; 7]);
        loop {
            match decoder.read_decoded(&mut buffer)? {
                0 => return Ok(out),
                bytes => out.extend(&buffer[..bytes]),
            }
        }
    }

    #[test]
    fn all_members_and_frames_are_read() {
        let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(decode(&members, Compression::Gzip).unwrap(), b"one two");
        let frames = [&b"one "[..], b"two"].map(|text| zstd::encode_all(text, 1).unwrap()).concat();
        assert_eq!(decode(&frames, Compression::Zstd).unwrap(), b"one two");
    }

    #[track_caller]
    fn check_broken(raw: &[u8], compression: Compression, found: &str, expected: &str) {
        match decode(raw, compression) {
            Err(DecodeError::Broken { offset, found: f, expected: e }) => {
                assert_eq!((offset, f.as_str(), e.as_str()), (raw.len() as u64, found, expected));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cut_anywhere_inside_a_member_is_noticed() {
        let whole = [gzip(b"the first member"), gzip(b"the second member")].concat();
        let boundary = gzip(b"the first member").len();
        for cut in (0..whole.len()).filter(|cut| *cut != boundary) {
            let rest = "the rest of a gzip member";
            check_broken(&whole[..cut], Compression::Gzip, "the end of the file", rest);
        }
    }

    #[test]
    fn a_cut_inside_a_frame_is_noticed() {
        let whole = zstd::encode_all(&b"one frame of some bytes"[..], 1).unwrap();
        for cut in 1..whole.len() {
            let rest = "the rest of a zstd frame";
            check_broken(&whole[..cut], Compression::Zstd, "the end of the file", rest);
        }
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let mut raw = gzip(b"some text");
        let crc = raw.len() - 8;
        raw[crc] ^= 1;
        let found = "corrupt gzip stream does not have a matching checksum";
        check_broken(&raw, Compression::Gzip, found, "a sound gzip member");
    }
}
