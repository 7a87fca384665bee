//! The index of a part: which text each of its records holds, cut into ranges of ids.
//!
//! An entry is 40 bytes: id (16), unit (16), record (8, big-endian). Entries are sorted, so that bytes compare as keys
//! do, and range `r` of `2^b` holds the ids whose top `b` bits are `r`.

use crate::error::{Error, Result};
use pipelines::digest::Digest;
use pipelines::table::documents::RowKey;
use std::fmt::Write;

/// Bytes of a [`Key`].
pub const KEY_BYTES: usize = 24;

/// Bytes of an [`Entry`].
pub const ENTRY_BYTES: usize = 16 + KEY_BYTES;

/// A row key in 24 bytes, which compare as keys do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; KEY_BYTES]);

/// A text and a record that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// BLAKE3-128 of the text.
    pub id: [u8; 16],
    /// The record.
    pub key: Key,
}

impl Key {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key's bytes: unit, then record, big-endian.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// `None` if the unit is not 32 hexadecimal digits.
    pub fn of(key: &RowKey) -> Option<Self> {
        let mut bytes = [0; KEY_BYTES];
        bytes[..16].copy_from_slice(&parse_hex(&key.unit)?);
        bytes[16..].copy_from_slice(&key.record.to_be_bytes());
        Some(Self(bytes))
    }

    /// The key as tables hold it.
    pub fn row_key(&self) -> RowKey {
        let (unit, record) = self.0.split_at(16);
        let unit = unit.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        RowKey { unit, record: record.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) }
    }
}

impl Entry {
    /// The entry of a text at a record.
    ///
    /// `None` if the unit is not 32 hexadecimal digits.
    pub fn of(text: &str, key: &RowKey) -> Option<Self> {
        let mut id = [0; 16];
        id.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..16]);
        Some(Self { id, key: Key::of(key)? })
    }

    /// The range of `2^range_bits` that the id falls into.
    pub fn range(&self, range_bits: u32) -> u64 {
        let mut top = [0; 8];
        top.copy_from_slice(&self.id[..8]);
        u64::from_be_bytes(top).checked_shr(64 - range_bits).unwrap_or(0)
    }

    /// The entry's bytes.
    pub fn bytes(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..].copy_from_slice(self.key.bytes());
        bytes
    }

    /// The entry with these bytes.
    pub fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let (mut id, mut key) = ([0; 16], [0; KEY_BYTES]);
        id.copy_from_slice(&bytes[..16]);
        key.copy_from_slice(&bytes[16..]);
        Self { id, key: Key(key) }
    }
}

/// The entries that `bytes` hold, one behind the other; `file` names them in errors.
///
/// # Errors
/// [`Error::Unexpected`] when the last one is cut.
pub fn entries<'a>(bytes: &'a [u8], file: &str) -> Result<&'a [[u8; ENTRY_BYTES]]> {
    whole(bytes, file, "entries")
}

/// `bytes` as records of `N` bytes, which `what` calls by their name.
pub(super) fn whole<'a, const N: usize>(
    bytes: &'a [u8],
    file: &str,
    what: &str,
) -> Result<&'a [[u8; N]]> {
    let (records, rest) = bytes.as_chunks();
    if rest.is_empty() {
        return Ok(records);
    }
    let (found, expected) = (format!("{} bytes", bytes.len()), format!("{what} of {N} bytes"));
    Err(Error::Unexpected { file: file.to_owned(), found, expected })
}

/// 16 bytes from 32 hexadecimal digits.
pub fn parse_hex(hex: &str) -> Option<[u8; 16]> {
    let digits = hex.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_and_compare_as_keys() {
        let key = |unit: u8, record| RowKey { unit: format!("{unit:02x}").repeat(16), record };
        let keys = [key(1, 0), key(1, 255), key(1, 256), key(2, 0)];
        let packed: Vec<_> = keys.iter().map(|key| Key::of(key).unwrap()).collect();
        assert!(packed.is_sorted());
        assert_eq!(packed.iter().map(Key::row_key).collect::<Vec<_>>(), keys);
        let entry = Entry::of("text", &keys[1]).unwrap();
        assert_eq!(Entry::from_bytes(&entry.bytes()), entry);
        assert_eq!(Key::of(&RowKey { unit: "xyz".into(), record: 0 }), None);
    }

    #[test]
    fn the_top_bits_of_the_id_are_the_range() {
        let mut entry = Entry { id: [0; 16], key: Key::from_bytes([0; KEY_BYTES]) };
        entry.id[0] = 0b1011_0000;
        assert_eq!([0, 1, 2, 4].map(|bits| entry.range(bits)), [0, 1, 0b10, 0b1011]);
    }
}
