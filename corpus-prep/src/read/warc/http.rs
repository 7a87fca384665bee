//! Answers of HTTP, as they were sent or as a crawler unpacked them.

use super::fields::{self, Fields};
use super::payload::BadPayload;
use brotli_decompressor::Decompressor;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// Most encodings of one answer, one within the other.
const MAX_ENCODINGS: usize = 4;

/// Longest line that says how long a chunk is, in bytes.
const MAX_CHUNK_LINE: usize = 4096;

const BUFFER_BYTES: usize = 1 << 12;

/// An answer of HTTP.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its header.
    pub header: Fields,
    /// What stands behind it, as it was sent.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Parses `block`; `None` if it is no answer. One whose header does not end has no body.
    pub fn parse(block: &'a [u8]) -> Option<Self> {
        let first = block.split(|byte| *byte == b'\n').next()?;
        let mut words = first.trim_ascii().split(|byte| *byte == b' ');
        words.next().filter(|version| version.starts_with(b"HTTP/"))?;
        let status = std::str::from_utf8(words.find(|word| !word.is_empty())?).ok()?;
        let length = fields::length(block).unwrap_or(block.len());
        Some(Self {
            status: status.parse().ok()?,
            header: Fields::parse(&block[first.len()..length]),
            body: &block[length..],
        })
    }

    /// The body without chunks and encodings. Many crawlers keep the header and unpack the body: a body that is not what the
    /// header says is taken as it is. If `is_cut`, the answer is known to be cut, and what there is of it is given.
    ///
    /// # Errors
    /// [`BadPayload`] if it is damaged, longer than `max_bytes`, or encoded in a way that is not read.
    pub fn payload(&self, max_bytes: u64, is_cut: bool) -> Result<Vec<u8>, BadPayload> {
        let mut body = match self.codings("transfer-encoding").iter().any(|name| name == "chunked")
        {
            true => unchunked(self.body, is_cut)?,
            false => self.body.to_vec(),
        };
        let codings = self.codings("content-encoding");
        if codings.len() > MAX_ENCODINGS {
            return Err(BadPayload::ManyEncodings { found: codings.len() });
        }
        for coding in codings.iter().rev() {
            body = decoded(body, coding, max_bytes, is_cut)?;
        }
        Ok(body)
    }

    /// What the fields `name` list, in order and in lower case.
    fn codings(&self, name: &str) -> Vec<String> {
        let listed = self.header.all(name).flat_map(|value| value.split(','));
        let listed = listed.map(|coding| coding.trim().to_ascii_lowercase());
        listed.filter(|coding| !coding.is_empty() && coding != "identity").collect()
    }
}

/// The bytes of all chunks.
fn unchunked(body: &[u8], is_cut: bool) -> Result<Vec<u8>, BadPayload> {
    let (mut rest, mut out) = (body, Vec::with_capacity(body.len()));
    loop {
        match chunk(rest) {
            Some(([], _)) => return Ok(out),
            Some((data, behind)) => {
                out.extend_from_slice(data);
                rest = behind;
            }
            None if rest.len() == body.len() => return Ok(body.to_vec()),
            None if is_cut => return Ok(out),
            None => return Err(BadPayload::Damaged { coding: "chunked".to_owned() }),
        }
    }
}

/// The data of the chunk that `bytes` begin with, and what stands behind it.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_CHUNK_LINE)])?;
    let length = bytes[..line].split(|byte| *byte == b';').next()?;
    let length = std::str::from_utf8(length.trim_ascii()).ok()?;
    let length = usize::from_str_radix(length, 16).ok()?;
    let (data, behind) = bytes[line + 1..].split_at_checked(length)?;
    Some((data, behind.strip_prefix(b"\r\n").or(behind.strip_prefix(b"\n")).unwrap_or(behind)))
}

/// `body` without the encoding `coding`.
fn decoded(
    body: Vec<u8>,
    coding: &str,
    max_bytes: u64,
    is_cut: bool,
) -> Result<Vec<u8>, BadPayload> {
    let is_plain = match coding {
        "gzip" | "x-gzip" => !body.starts_with(b"\x1f\x8b"),
        "zstd" => !body.starts_with(b"\x28\xb5\x2f\xfd"),
        _ => body.is_empty(),
    };
    if is_plain {
        return Ok(body);
    }
    let bytes = body.as_slice();
    let decoder: Box<dyn Read + '_> = match coding {
        "gzip" | "x-gzip" => Box::new(MultiGzDecoder::new(bytes)),
        "deflate" => deflate(bytes),
        "br" => Box::new(Decompressor::new(bytes, BUFFER_BYTES)),
        "zstd" => match zstd::stream::read::Decoder::with_buffer(bytes) {
            Ok(decoder) => Box::new(decoder),
            Err(_) => return Err(BadPayload::Damaged { coding: coding.to_owned() }),
        },
        _ => return Err(BadPayload::Encoding { found: coding.to_owned() }),
    };
    bounded(decoder, coding, max_bytes, is_cut)
}

/// With the header of zlib, as it should be, or without it, as some servers send it.
fn deflate<'a>(bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    match bytes {
        [method, flags, ..]
            if method & 15 == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31) =>
        {
            Box::new(ZlibDecoder::new(bytes))
        }
        _ => Box::new(DeflateDecoder::new(bytes)),
    }
}

/// All that `decoder` gives, at most `max_bytes`.
fn bounded(
    mut decoder: impl Read,
    coding: &str,
    max_bytes: u64,
    is_cut: bool,
) -> Result<Vec<u8>, BadPayload> {
    let mut out = Vec::new();
    let read = decoder.by_ref().take(max_bytes.saturating_add(1)).read_to_end(&mut out);
    if out.len() as u64 > max_bytes {
        return Err(BadPayload::TooLong { max_bytes });
    }
    match read {
        Ok(_) => Ok(out),
        Err(_) if is_cut => Ok(out),
        Err(_) => Err(BadPayload::Damaged { coding: coding.to_owned() }),
    }
}
