//! BLAKE3 digests: the names that artifacts, objects and keys go by.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A BLAKE3 digest of some bytes, written `b3:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of everything that `reader` gives, and how many bytes that was.
    ///
    /// # Errors
    /// When `reader` fails.
    pub fn of_reader(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        let bytes = io::copy(&mut reader, &mut hasher)?;
        Ok((Self::from(&hasher), bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without the `b3:`.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first 128 bits as 32 hexadecimal digits: how rows name units and texts.
    pub fn row_name(&self) -> String {
        hex(&self.0[..16])
    }

    /// The first 48 bits as 12 hexadecimal digits, for people to read.
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

/// BLAKE3-128 of a text in hexadecimal: the `id` of a document, 32 digits.
pub fn text_id(text: &str) -> String {
    Digest::of(text.as_bytes()).row_name()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl From<&blake3::Hasher> for Digest {
    fn from(hasher: &blake3::Hasher) -> Self {
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.short())
    }
}

/// Why a text is not a digest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a digest; expected `b3:` and 64 hexadecimal digits")]
pub struct NotADigest {
    found: String,
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let not = || NotADigest { found: text.to_owned() };
        let digits = text.strip_prefix("b3:").ok_or_else(not)?;
        let hash = blake3::Hash::from_hex(digits).map_err(|_| not())?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "BLAKE3 as `b3:` and 64 hexadecimal digits.",
            "type": "string",
            "pattern": "^b3:[0-9a-f]{64}$"
        })
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A writer that hashes what passes through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what is written to `inner` from now on.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The inner writer and the digest of all that passed.
    pub fn into_parts(self) -> (W, Digest) {
        (self.inner, Digest::from(&self.hasher))
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A reader that fails at its end when what passed is not what was promised.
///
/// A parser that reads to the end cannot overlook that its input changed or was damaged.
pub struct VerifyingReader<R> {
    inner: R,
    hasher: blake3::Hasher,
    expected: Digest,
}

impl<R: Read> VerifyingReader<R> {
    /// Reads `inner` and compares it with `expected` at the end.
    pub fn new(inner: R, expected: Digest) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), expected }
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            self.hasher.update(&buffer[..read]);
            return Ok(read);
        }
        let found = Digest::from(&self.hasher);
        if found == self.expected {
            return Ok(0);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "its content is {found:?}, expected {:?}: it changed since it was planned, or is damaged; run again",
                self.expected
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.hex().len(), 64);
        assert_eq!(text_id("abc"), &digest.hex()[..32]);
    }

    #[test]
    fn a_text_without_prefix_or_with_wrong_digits_is_refused() {
        for text in ["", "b3:", "6437", &format!("b3:{}", "g".repeat(64))] {
            let error = text.parse::<Digest>().unwrap_err().to_string();
            assert!(error.contains("is not a digest"), "{error}");
        }
    }

    #[test]
    fn a_verifying_reader_fails_at_the_end_of_other_bytes() {
        let mut good = VerifyingReader::new(&b"abc"[..], Digest::of(b"abc"));
        assert_eq!(io::read_to_string(&mut good).unwrap(), "abc");
        let mut bad = VerifyingReader::new(&b"abd"[..], Digest::of(b"abc"));
        assert!(io::read_to_string(&mut bad).is_err());
    }
}
