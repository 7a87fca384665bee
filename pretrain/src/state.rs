//! A training state: all that is needed to go on as if training had never stopped.
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | 8 bytes | `SBSTATE` and a zero byte |
//! | 8 | u64 | version, 1 |
//! | 16 | u64 | M, length of the metrics in bytes |
//! | 24 | M bytes | the lines of `metrics.jsonl` so far |
//! | 24 + M | rest | safetensors: `parameter.*`, `first_moment.*`, `second_moment.*` (f32), `step` (u64) |
//!
//! Numbers are little-endian.

use std::io::{self, Write};
use std::path::Path;

use model::{AdamW, CpuLlama};

use crate::error::PretrainError;

const MAGIC: &[u8; 8] = b"SBSTATE\0";
const VERSION: u64 = 1;
const HEADER_BYTES: usize = 24;

/// Writes a state.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    metrics: &[u8],
    model: &CpuLlama,
    optimizer: &AdamW,
) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(metrics.len() as u64).to_le_bytes())?;
    out.write_all(metrics)?;
    model::write_state(out, model, optimizer)
}

/// The two halves of a state: the lines of `metrics.jsonl`, and weights, moments and step as `model` reads them.
///
/// # Errors
/// When `bytes` is no state or a newer one; `file` names it.
pub fn split<'a>(bytes: &'a [u8], file: &Path) -> Result<(&'a [u8], &'a [u8]), PretrainError> {
    let not = |found: &str| PretrainError::NotAState {
        name: file.display().to_string(),
        found: found.to_owned(),
    };
    let (header, rest) =
        bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| not("a file of fewer than 24 bytes"))?;
    if !header.starts_with(MAGIC) {
        return Err(not("another start"));
    }
    let version = u64_at(header, 8);
    if version != VERSION {
        return Err(PretrainError::StateTooNew {
            name: file.display().to_string(),
            found: version,
            supported: VERSION,
        });
    }
    let cut =
        usize::try_from(u64_at(header, 16)).ok().and_then(|length| rest.split_at_checked(length));
    cut.ok_or_else(|| not("a file that ends in its metrics"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        [&MAGIC[..], &VERSION.to_le_bytes(), &2u64.to_le_bytes(), b"ab", b"cde"].concat()
    }

    #[test]
    fn the_halves_read_back() {
        assert_eq!(split(&bytes(), Path::new("x")).unwrap(), (&b"ab"[..], &b"cde"[..]));
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut bytes = bytes();
        change(&mut bytes);
        let error = split(&bytes, Path::new("x")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn cut_foreign_and_newer_files_are_refused_by_name() {
        check(
            |bytes| bytes.truncate(20),
            "x: found a file of fewer than 24 bytes, expected a training state",
        );
        check(|bytes| bytes[0] = b'X', "x: found another start");
        check(|bytes| bytes[8] = 2, "x: training state version 2; this build reads up to 1");
        check(|bytes| bytes[16..24].fill(0xff), "x: found a file that ends in its metrics");
    }
}
