//! Decoded bytes of a file, with an account of where a broken stream breaks.

use super::format::Compression;
use flate2::bufread::GzDecoder;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

const BUFFER_BYTES: usize = 1 << 17;

/// Decoded bytes of a file that is compressed as said: all gzip members, all zstd frames.
pub struct Decoder<'a> {
    piece: Piece<'a>,
    compression: Compression,
    counter: Rc<Counter>,
    /// Bytes decoded so far.
    decoded: u64,
    /// Where the present piece begins, in bytes of the file and in decoded bytes.
    piece_start: (u64, u64),
    /// What was found to be wrong before; nothing behind its sound bytes is given.
    fault: Option<Fault>,
}

/// Why decoded bytes ended before their time.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file itself cannot be read.
    #[error(transparent)]
    Io(io::Error),
    /// The compressed stream is cut or corrupt.
    #[error(transparent)]
    Broken(Fault),
}

/// Where a compressed stream is cut or corrupt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compressed byte {offset}: found {found}, expected {expected}")]
pub struct Fault {
    /// Compressed bytes decoded before it was noticed.
    pub offset: u64,
    /// What was found there.
    pub found: String,
    /// What was expected there.
    pub expected: String,
    /// Decoded bytes that can be trusted. Of a cut stream, all up to the cut; of a corrupt one, those before the gzip member
    /// or zstd frame, which decodes to garbage from an unknown place on.
    pub sound_bytes: u64,
}

impl Fault {
    /// What was found where the file ends too early.
    const END: &str = "the end of the file";

    /// What it is, without the words of the decoder and the place where it noticed, which may change with its version.
    pub fn reason(&self) -> String {
        match &*self.found {
            Self::END => self.to_string(),
            _ => format!("found corrupt data, expected {}", self.expected),
        }
    }
}

#[derive(Default)]
struct Counter {
    bytes: Cell<u64>,
    failed: Cell<bool>,
}

/// Counts the bytes that are taken, and remembers whether reading them failed.
struct Counted<'a> {
    inner: BufReader<Box<dyn Read + 'a>>,
    counter: Rc<Counter>,
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let filled = self.inner.fill_buf();
        if let Err(error) = &filled {
            self.counter.failed.set(error.kind() != io::ErrorKind::Interrupted);
        }
        filled
    }

    fn consume(&mut self, bytes: usize) {
        self.counter.bytes.set(self.counter.bytes.get() + bytes as u64);
        self.inner.consume(bytes);
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// What is decoded as one: a gzip member, a zstd frame, or a plain file.
enum Piece<'a> {
    Plain(Counted<'a>),
    Gzip(GzDecoder<Counted<'a>>),
    Zstd(zstd::stream::read::Decoder<'static, Counted<'a>>),
    /// There is none left.
    End,
}

impl<'a> Piece<'a> {
    fn begin(raw: Counted<'a>, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Self::Plain(raw),
            Compression::Gzip => Self::Gzip(GzDecoder::new(raw)),
            Compression::Zstd => {
                Self::Zstd(zstd::stream::read::Decoder::with_buffer(raw)?.single_frame())
            }
        })
    }

    /// The piece behind this one, which is at its end.
    fn next(self, compression: Compression) -> io::Result<Self> {
        let mut raw = match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Plain(_) | Self::End => return Ok(Self::End),
        };
        if raw.fill_buf()?.is_empty() { Ok(Self::End) } else { Self::begin(raw, compression) }
    }
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::End => Ok(0),
        }
    }
}

impl<'a> Decoder<'a> {
    /// Decodes `raw`.
    ///
    /// # Errors
    /// When the decoder's memory cannot be had.
    pub fn new(raw: impl Read + 'a, compression: Compression) -> io::Result<Self> {
        let counter = Rc::<Counter>::default();
        let raw: Box<dyn Read + 'a> = Box::new(raw);
        let inner = BufReader::with_capacity(BUFFER_BYTES, raw);
        let counted = Counted { inner, counter: Rc::clone(&counter) };
        let piece = Piece::begin(counted, compression)?;
        Ok(Self { piece, compression, counter, decoded: 0, piece_start: (0, 0), fault: None })
    }

    /// Gives the sound bytes before `fault` alone, then fails with it.
    pub fn up_to(self, fault: Option<Fault>) -> Self {
        Self { fault, ..self }
    }

    /// Decodes to the end and says where the stream breaks, if it does.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_fault(mut self) -> io::Result<Option<Fault>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match self.read_decoded(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(DecodeError::Io(error)) => return Err(error),
                Err(DecodeError::Broken(fault)) => return Ok(Some(fault)),
            }
        }
    }

    /// Bytes of the file decoded so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.counter.bytes.get()
    }

    /// Reads the next decoded bytes; 0 at the end.
    ///
    /// # Errors
    /// [`DecodeError`] when the file cannot be read or its stream is cut or corrupt.
    pub fn read_decoded(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        let sound = self.fault.as_ref().map_or(u64::MAX, |fault| fault.sound_bytes - self.decoded);
        let most = usize::try_from(sound).unwrap_or(usize::MAX).min(buffer.len());
        if let (0, Some(fault)) = (most, &self.fault) {
            return Err(DecodeError::Broken(fault.clone()));
        }
        while !matches!(self.piece, Piece::End) {
            match self.piece.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
                Ok(0) => self.next_piece()?,
                Ok(bytes) => {
                    self.decoded += bytes as u64;
                    return Ok(bytes);
                }
            }
        }
        Ok(0)
    }

    fn next_piece(&mut self) -> Result<(), DecodeError> {
        self.piece_start = (self.counter.bytes.get(), self.decoded);
        let piece = std::mem::replace(&mut self.piece, Piece::End);
        self.piece = piece.next(self.compression).map_err(DecodeError::Io)?;
        Ok(())
    }

    fn explain(&self, error: io::Error) -> DecodeError {
        if self.counter.failed.get() || self.compression == Compression::Plain {
            return DecodeError::Io(error);
        }
        let piece = self.compression.piece();
        let (start, decoded_start) = self.piece_start;
        let (found, expected, sound_bytes) = if error.kind() == io::ErrorKind::UnexpectedEof {
            (Fault::END.to_owned(), format!("the rest of a {piece}"), self.decoded)
        } else {
            let expected = format!("a sound {piece} from compressed byte {start} on");
            (error.to_string(), expected, decoded_start)
        };
        DecodeError::Broken(Fault {
            offset: self.counter.bytes.get(),
            found,
            expected,
            sound_bytes,
        })
    }
}

/// For parsers of others: what broke is the error's message.
impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_decoded(buffer).map_err(|error| match error {
            DecodeError::Io(error) => error,
            DecodeError::Broken(fault) => io::Error::new(io::ErrorKind::InvalidData, fault),
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
            Err(DecodeError::Broken(Fault { offset, found: f, expected: e, .. })) => {
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
        check_broken(
            &raw,
            Compression::Gzip,
            found,
            "a sound gzip member from compressed byte 0 on",
        );
    }

    /// The fault of `raw`, and what is given before it.
    fn sound(raw: &[u8], compression: Compression) -> (Option<Fault>, Vec<u8>) {
        let decoder = || Decoder::new(raw, compression).unwrap();
        let fault = decoder().find_fault().unwrap();
        let (mut decoder, mut out, mut buffer) =
            (decoder().up_to(fault.clone()), Vec::new(), [0; 7]);
        loop {
            match decoder.read_decoded(&mut buffer) {
                Ok(0) => return (fault, out),
                Ok(bytes) => out.extend(&buffer[..bytes]),
                Err(DecodeError::Broken(found)) => {
                    assert_eq!(Some(found), fault);
                    return (fault, out);
                }
                Err(DecodeError::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn nothing_of_a_corrupt_member_is_trusted_and_all_before_a_cut_is() {
        let text = b"the text of the second member, which is no longer what it was";
        let stored = |level| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let first = gzip(b"the first member");
        let second = stored(flate2::Compression::none());
        let whole = [first.clone(), second.clone()].concat();
        assert_eq!(
            sound(&whole, Compression::Gzip),
            (None, [&b"the first member"[..], text].concat())
        );
        let mut corrupt = whole.clone();
        corrupt[first.len() + 20] ^= 1;
        let (fault, out) = sound(&corrupt, Compression::Gzip);
        let fault = fault.unwrap();
        assert_eq!(out, b"the first member");
        assert_eq!(fault.offset, whole.len() as u64);
        let start = format!("from compressed byte {} on", first.len());
        assert!(fault.expected.ends_with(&start), "{fault}");
        let (fault, out) = sound(&whole[..whole.len() - 20], Compression::Gzip);
        assert!(out.len() > 40 && fault.is_some(), "{out:?}");
    }

    #[test]
    fn nothing_of_a_corrupt_frame_is_trusted() {
        let frame = |text: &[u8]| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let mut raw = [frame(b"one frame"), frame(b"another frame")].concat();
        let last = raw.len() - 1;
        raw[last] ^= 1;
        let (fault, out) = sound(&raw, Compression::Zstd);
        assert_eq!(out, b"one frame");
        assert!(fault.unwrap().expected.starts_with("a sound zstd frame"));
    }
}
