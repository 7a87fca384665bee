//! Decoded bytes of a file, with an account of where a broken stream breaks.

mod raw;

use self::raw::{Counter, RawBytes};
use super::format::Compression;
use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};
use std::num::NonZeroU64;
use std::rc::Rc;

const BUFFER_BYTES: usize = 1 << 17;

/// Bytes that a file may have read again beyond as many as it has, so that one full of false starts takes no time that grows
/// faster than it.
const FREE_STEP_BACK: u64 = 1 << 20;

/// Decoded bytes of a file that is compressed as said: all gzip members, zstd frames or bzip2 streams.
pub struct Decoder<'a> {
    piece: Piece<'a>,
    compression: Compression,
    counter: Rc<Counter>,
    /// Bytes decoded so far.
    decoded: u64,
    /// Where the present piece begins, in bytes of the file.
    piece_start: u64,
    scout: Option<Box<Scout<'a>>>,
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
    /// The compressed byte from which on the stream is read again; `None` if it is not.
    pub resumed: Option<NonZeroU64>,
}

impl Fault {
    /// What was found where the file ends too early.
    const END: &str = "the end of the file";

    /// What it is, without the words of the decoder and the place where it noticed, which may change with its version.
    pub fn reason(&self) -> String {
        match self.is_cut() {
            true => self.to_string(),
            false => format!("found corrupt data, expected {}", self.expected),
        }
    }

    fn is_cut(&self) -> bool {
        self.found == Self::END
    }
}

/// What is decoded as one: a gzip member, a zstd frame, a bzip2 stream, or a plain file.
enum Piece<'a> {
    Plain(RawBytes<'a>),
    Gzip(Box<GzDecoder<RawBytes<'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, RawBytes<'a>>),
    Bzip2(BzDecoder<RawBytes<'a>>),
    /// There is none left.
    End,
}

impl<'a> Piece<'a> {
    fn begin(raw: RawBytes<'a>, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Self::Plain(raw),
            Compression::Gzip => Self::Gzip(Box::new(GzDecoder::new(raw))),
            Compression::Zstd => {
                Self::Zstd(zstd::stream::read::Decoder::with_buffer(raw)?.single_frame())
            }
            Compression::Bzip2 => Self::Bzip2(BzDecoder::new(raw)),
        })
    }

    /// The bytes behind those that were taken of it.
    fn into_raw(self) -> Option<RawBytes<'a>> {
        match self {
            Self::Plain(raw) => Some(raw),
            Self::Gzip(decoder) => Some(decoder.into_inner()),
            Self::Zstd(decoder) => Some(decoder.finish()),
            Self::Bzip2(decoder) => Some(decoder.into_inner()),
            Self::End => None,
        }
    }
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::End => Ok(0),
        }
    }
}

impl<'a> Decoder<'a> {
    /// Decodes `raw` up to where it breaks, if it does; of a corrupt piece some of the bytes may be garbage.
    ///
    /// # Errors
    /// When the decoder's memory cannot be had.
    pub fn new(raw: impl Read + 'a, compression: Compression) -> io::Result<Self> {
        let counter = Rc::<Counter>::default();
        let piece = Piece::begin(RawBytes::new(raw, Rc::clone(&counter)), compression)?;
        Ok(Self { piece, compression, counter, decoded: 0, piece_start: 0, scout: None })
    }

    /// Gives sound bytes alone: `raw`, the same bytes once more, is decoded one piece ahead. Of a cut piece all bytes up to
    /// the cut are sound; of a corrupt one, which decodes to garbage from an unknown place on, none. `goes_on` says whether
    /// the pieces behind a corrupt one are read.
    ///
    /// # Errors
    /// When the decoder's memory cannot be had.
    pub fn scouted(self, raw: impl Read + 'a, goes_on: bool) -> io::Result<Self> {
        let ahead = Decoder::new(raw, self.compression)?;
        Ok(Self { scout: Some(Box::new(Scout { ahead, goes_on, read_again: 0 })), ..self })
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

    /// Reads the next decoded bytes; 0 at the end. Behind a fault the bytes go on at the piece where it is resumed, or are
    /// at their end.
    ///
    /// # Errors
    /// [`DecodeError`] when the file cannot be read or its stream is cut or corrupt.
    pub fn read_decoded(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        while !matches!(self.piece, Piece::End) {
            self.heed_scout()?;
            match self.read_piece(buffer) {
                Ok(0) => {
                    let raw = std::mem::replace(&mut self.piece, Piece::End).into_raw();
                    self.begin_piece(raw).map_err(DecodeError::Io)?;
                }
                Err(DecodeError::Broken(fault)) => {
                    self.piece = Piece::End;
                    return Err(DecodeError::Broken(fault));
                }
                read => return read,
            }
        }
        Ok(0)
    }

    /// Reads the next decoded bytes of the present piece; 0 at its end.
    fn read_piece(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        loop {
            match self.piece.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
                Ok(bytes) => {
                    self.decoded += bytes as u64;
                    return Ok(bytes);
                }
            }
        }
    }

    /// Begins the piece that `raw` goes on with, unless it is at its end.
    fn begin_piece(&mut self, raw: Option<RawBytes<'a>>) -> io::Result<()> {
        self.piece_start = self.counter.bytes.get();
        let raw = raw.filter(|_| self.compression != Compression::Plain);
        if let Some(mut raw) = raw
            && !raw.fill_buf()?.is_empty()
        {
            self.piece = Piece::begin(raw, self.compression)?;
        }
        Ok(())
    }

    /// Before a piece is read: passes over it if it is corrupt.
    fn heed_scout(&mut self) -> Result<(), DecodeError> {
        let Some(scout) = &mut self.scout else { return Ok(()) };
        if self.piece_start < scout.ahead.piece_start || scout.has_ended() {
            return Ok(());
        }
        let Some(fault) = scout.next_fault().map_err(DecodeError::Io)? else { return Ok(()) };
        let raw = std::mem::replace(&mut self.piece, Piece::End).into_raw();
        if let (Some(mut raw), Some(resumed)) = (raw, fault.resumed) {
            raw.pass_to(resumed.get()).map_err(DecodeError::Io)?;
            self.begin_piece(Some(raw)).map_err(DecodeError::Io)?;
        }
        Err(DecodeError::Broken(fault))
    }

    fn explain(&self, error: io::Error) -> DecodeError {
        if self.counter.failed.get() || self.compression == Compression::Plain {
            return DecodeError::Io(error);
        }
        let (piece, start) = (self.compression.piece(), self.piece_start);
        let (found, expected) = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                (Fault::END.to_owned(), format!("the rest of a {piece}"))
            }
            _ => (error.to_string(), format!("a sound {piece} from compressed byte {start} on")),
        };
        let offset = self.counter.bytes.get();
        DecodeError::Broken(Fault { offset, found, expected, resumed: None })
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

/// Decodes one piece ahead, and says which are corrupt.
struct Scout<'a> {
    ahead: Decoder<'a>,
    goes_on: bool,
    /// Bytes of the file that were stepped back over.
    read_again: u64,
}

impl Scout<'_> {
    fn has_ended(&self) -> bool {
        matches!(self.ahead.piece, Piece::End)
    }

    /// Decodes a piece and begins the next one. A cut piece is not at fault before its cut.
    fn next_fault(&mut self) -> io::Result<Option<Fault>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let fault = loop {
            match self.ahead.read_piece(&mut buffer) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(DecodeError::Io(error)) => return Err(error),
                Err(DecodeError::Broken(fault)) => break Some(fault),
            }
        };
        let mut raw = std::mem::replace(&mut self.ahead.piece, Piece::End).into_raw();
        let fault = match fault {
            Some(fault) if fault.is_cut() => return Ok(None),
            Some(fault) => self.resume(fault, raw.as_mut().filter(|_| self.goes_on))?,
            None => None,
        };
        self.ahead.begin_piece(raw)?;
        Ok(fault)
    }

    /// Passes over a corrupt piece: to the next start of one behind its own, though the decoder may have taken that for
    /// its data.
    fn resume(
        &mut self,
        fault: Fault,
        raw: Option<&mut RawBytes<'_>>,
    ) -> io::Result<Option<Fault>> {
        let Some(raw) = raw else { return Ok(Some(fault)) };
        let counter = Rc::clone(&self.ahead.counter);
        let (start, at) = (self.ahead.piece_start, counter.bytes.get());
        let allowed = (at + FREE_STEP_BACK).saturating_sub(self.read_again);
        self.read_again += raw.step_back((at - start).saturating_sub(1).min(allowed));
        // A decoder may refuse a piece before it takes a byte of it.
        raw.pass_to(start + 1)?;
        raw.pass_to_piece(self.ahead.compression)?;
        let resumed = match raw.fill_buf()?.is_empty() {
            true => None,
            false => NonZeroU64::new(counter.bytes.get()),
        };
        Ok(Some(Fault { resumed, ..fault }))
    }
}

#[cfg(test)]
mod tests;
