//! Numbers of a file, one after the other, little-endian.

use super::BadModel;
use std::fmt::Display;
use std::ops::Range;

/// A place in the bytes of a file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The bytes of a stretch that this gave before.
    pub(super) fn bytes(&self, stretch: Range<usize>) -> &'a [u8] {
        &self.bytes[stretch]
    }

    /// Where `num` things of `bytes_each` bytes lie; they are there.
    pub(super) fn skip(
        &mut self,
        num: usize,
        bytes_each: usize,
        what: &'static str,
    ) -> Result<Range<usize>, BadModel> {
        let end = num
            .checked_mul(bytes_each)
            .and_then(|bytes| self.at.checked_add(bytes))
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let expected = (num as u64).saturating_mul(bytes_each as u64);
            return Err(BadModel::Cut { what, at: self.at, expected, found: self.bytes.len() });
        };
        let start = std::mem::replace(&mut self.at, end);
        Ok(start..end)
    }

    /// Fails unless `num` things of `bytes_each` bytes may follow, and takes none.
    pub(super) fn expect(
        &self,
        num: usize,
        bytes_each: usize,
        what: &'static str,
    ) -> Result<(), BadModel> {
        Self { ..*self }.skip(num, bytes_each, what).map(|_| ())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BadModel> {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[self.skip(1, N, what)?]);
        Ok(array)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, BadModel> {
        Ok(i32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, BadModel> {
        Ok(i64::from_le_bytes(self.array(what)?))
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, BadModel> {
        let [byte] = self.array(what)?;
        Ok(byte)
    }

    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, BadModel> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.unlike(what, other, "0 or 1")),
        }
    }

    /// A number of 32 bits in `0..=max`.
    pub(super) fn small(&mut self, what: &'static str, max: u32) -> Result<u32, BadModel> {
        let found = self.i32(what)?;
        let small = u32::try_from(found).ok().filter(|small| *small <= max);
        small.ok_or_else(|| self.unlike(what, found, format!("0 to {max}")))
    }

    /// A number of 64 bits that is `expected`.
    pub(super) fn exactly(&mut self, what: &'static str, expected: usize) -> Result<(), BadModel> {
        let found = self.i64(what)?;
        match usize::try_from(found) == Ok(expected) {
            true => Ok(()),
            false => Err(self.unlike(what, found, expected)),
        }
    }

    /// The bytes up to the next zero, which is taken too.
    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a [u8], BadModel> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        let stretch = self.skip(length + 1, 1, what)?;
        Ok(&self.bytes[stretch.start..stretch.end - 1])
    }

    /// The error that what was read last is not what it should be.
    pub(super) fn unlike(
        &self,
        what: &'static str,
        found: impl Display,
        expected: impl Display,
    ) -> BadModel {
        let (found, expected) = (found.to_string(), expected.to_string());
        BadModel::Value { what, at: self.at, found, expected }
    }
}
