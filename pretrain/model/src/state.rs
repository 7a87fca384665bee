//! A training state: everything a run needs to go on as if it had never stopped.
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | 8 bytes | `SBSTATE` and a zero byte |
//! | 8 | u64 | version, 1 |
//! | 16 | u64 | M, length of the notes in bytes |
//! | 24 | M bytes | the trainer's notes: what it has measured so far, as JSON lines |
//! | 24 + M | rest | safetensors: `parameter.*`, `first_moment.*`, `second_moment.*` (f32), `step` (u64) |
//!
//! Numbers are little-endian.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    checkpoint::{Stored, Tensors, write_stored},
    cpu::Tensor,
    error::{ModelError, Result},
    family::specification,
    model::CpuModel,
    optim::AdamW,
    param::Parameters,
};

const MAGIC: &[u8; 8] = b"SBSTATE\0";
const VERSION: u64 = 1;
const HEADER_BYTES: usize = 24;

/// Prefixes of the names in a state file: the weights, and both moments of AdamW.
const PREFIXES: [&str; 3] = ["parameter.", "first_moment.", "second_moment."];
const STEP: &str = "step";

/// Writes the trainer's notes, then weights, moments and the number of steps taken; every bit is kept.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_state(
    out: &mut (impl Write + ?Sized),
    notes: &[u8],
    model: &CpuModel,
    optimizer: &AdamW,
) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(notes.len() as u64).to_le_bytes())?;
    out.write_all(notes)?;
    let parts = [model.weights(), &optimizer.first, &optimizer.second];
    let floats = PREFIXES.iter().zip(parts).flat_map(|(prefix, part)| {
        part.iter().map(move |entry| (format!("{prefix}{}", entry.name), Stored::floats(entry)))
    });
    let step = (STEP.to_owned(), Stored::Count { value: optimizer.step });
    write_stored(out, floats.chain([step]).collect())
}

/// Brings a model and its optimizer to the state in `bytes`, and gives the trainer's notes; `file` names it in errors.
///
/// # Errors
/// When it is not a state file of such a model, or a newer one. Nothing has changed then.
pub fn read_state<'a>(
    bytes: &'a [u8],
    file: &Path,
    model: &mut CpuModel,
    optimizer: &mut AdamW,
) -> Result<&'a [u8]> {
    let (notes, bytes) = split(bytes, file)?;
    let tensors = Tensors::new(bytes, file)?;
    let specification = specification(model.config());
    let step = tensors.count(STEP)?;
    let mut parts = Vec::with_capacity(PREFIXES.len());
    for prefix in PREFIXES {
        parts.push(tensors.load(prefix, &specification)?);
    }
    optimizer.first.check_same(model.weights())?;
    optimizer.step = step;
    for (into, part) in
        [model.weights_mut(), &mut optimizer.first, &mut optimizer.second].into_iter().zip(&parts)
    {
        copy(into, part);
    }
    Ok(notes)
}

/// The notes and the tensors of a state.
fn split<'a>(bytes: &'a [u8], file: &Path) -> Result<(&'a [u8], &'a [u8])> {
    let not = |found| ModelError::NotAState { file: file.to_owned(), found };
    let (header, rest) =
        bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| not("a file of fewer than 24 bytes"))?;
    if !header.starts_with(MAGIC) {
        return Err(not("another start"));
    }
    let found = u64_at(header, 8);
    if found != VERSION {
        let file = file.to_owned();
        return Err(ModelError::StateTooNew { file, found, supported: VERSION });
    }
    let cut =
        usize::try_from(u64_at(header, 16)).ok().and_then(|length| rest.split_at_checked(length));
    cut.ok_or_else(|| not("a file that ends in its notes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
    u64::from_le_bytes(eight)
}

/// Both have the names and shapes of one specification.
fn copy(into: &mut Parameters<Tensor>, from: &Parameters<Vec<f32>>) {
    for (into, from) in into.iter_mut().zip(from.iter()) {
        into.value.values_mut().copy_from_slice(&from.value);
    }
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
        check(|bytes| bytes[16..24].fill(0xff), "x: found a file that ends in its notes");
    }
}
