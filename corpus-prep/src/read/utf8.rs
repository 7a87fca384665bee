//! Bytes to text, by the manifest's word on invalid UTF-8.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InvalidUtf8 {
    /// The first one is an error.
    #[default]
    Refuse,
    /// Each maximal part of a broken sequence becomes U+FFFD, as by the WHATWG Encoding Standard, and is counted.
    Repair,
}

/// A byte that no UTF-8 text has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidByte {
    /// Where, from the start of the decoded bytes given.
    pub offset: u64,
    /// Its value.
    pub byte: u8,
    /// The column that it stands in, where the bytes given are a field.
    pub column: Option<String>,
}

/// Whether `bytes` begin with the byte-order mark of UTF-16, which is no UTF-8.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// The text of `bytes` and how many of them were replaced.
///
/// # Errors
/// [`InvalidByte`] for the first one that is not UTF-8, if those are to be refused.
pub fn decode(bytes: Vec<u8>, invalid: InvalidUtf8) -> Result<(String, u64), InvalidByte> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok((text, 0)),
        Err(error) => error,
    };
    let at = bytes.utf8_error().valid_up_to();
    let bytes = bytes.as_bytes();
    if invalid == InvalidUtf8::Refuse {
        return Err(InvalidByte { offset: at as u64, byte: bytes[at], column: None });
    }
    let mut replaced = 0;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            replaced += chunk.invalid().len() as u64;
        }
    }
    Ok((text, replaced))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_invalid_byte_is_named() {
        let refused = decode(b"caf\xe9 \xff".to_vec(), InvalidUtf8::Refuse);
        assert_eq!(refused, Err(InvalidByte { offset: 3, byte: 0xe9, column: None }));
    }

    #[test]
    fn replaced_bytes_are_counted() {
        // A cut three-byte sequence is one replacement of two bytes.
        let repaired = decode(b"a\xe2\x82b\xffc".to_vec(), InvalidUtf8::Repair);
        assert_eq!(repaired, Ok(("a\u{fffd}b\u{fffd}c".into(), 3)));
        assert_eq!(decode("né".into(), InvalidUtf8::Repair), Ok(("né".into(), 0)));
    }

    proptest! {
        #[test]
        fn repair_is_that_of_the_standard_library(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let lossy = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(decode(bytes, InvalidUtf8::Repair).unwrap().0, lossy);
        }
    }
}
