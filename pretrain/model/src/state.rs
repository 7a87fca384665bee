//! A training state: everything a run needs to go on as if it had never stopped.
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | 8 bytes | `SBSTATE` and a zero byte |
//! | 8 | u64 | version, 2 |
//! | 16 | u64 | M, length of the notes in bytes |
//! | 24 | M bytes | the trainer's notes: what it has measured so far, as JSON lines |
//! | 24 + M | rest | safetensors: `step` (u64), `parameter.*`, and of each parameter that is trained `first_moment.*` and `second_moment.*` (AdamW) or `momentum.*` (Muon, SGD), all f32 |
//!
//! Numbers are little-endian. In version 1 all parameters have moments.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    checkpoint::{Stored, Tensors, write_stored},
    error::{ModelError, Result},
    model::CpuModel,
    optim::{Optimizer, Slot},
    param::Parameter,
};

const MAGIC: &[u8; 8] = b"SBSTATE\0";
const VERSION: u64 = 2;
const HEADER_BYTES: usize = 24;

const PARAMETER: &str = "parameter.";
const STEP: &str = "step";

/// Writes the trainer's notes, then weights, what the optimizer keeps, and the number of steps taken; every bit is kept.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_state(
    out: &mut (impl Write + ?Sized),
    notes: &[u8],
    model: &CpuModel,
    optimizer: &Optimizer,
) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(notes.len() as u64).to_le_bytes())?;
    out.write_all(notes)?;
    let mut tensors = vec![(STEP.to_owned(), Stored::Count { value: optimizer.step })];
    for (entry, slot) in model.weights().iter().zip(optimizer.slots.iter()) {
        let kept = slot.value.iter().flat_map(Slot::tensors);
        for (prefix, tensor) in std::iter::once((PARAMETER, &entry.value)).chain(kept) {
            let stored = Stored::Floats { values: tensor.values(), shape: &entry.shape };
            tensors.push((format!("{prefix}{}", entry.name), stored));
        }
    }
    write_stored(out, tensors)
}

/// Brings a model and its optimizer to the state in `bytes`, and gives the trainer's notes; `file` names it in errors.
///
/// # Errors
/// When it is not a state file of such a model and such an optimizer, or a newer one. Nothing has changed then.
pub fn read_state<'a>(
    bytes: &'a [u8],
    file: &Path,
    model: &mut CpuModel,
    optimizer: &mut Optimizer,
) -> Result<&'a [u8]> {
    let (notes, bytes) = split(bytes, file)?;
    optimizer.slots.check_same(model.weights())?;
    let tensors = Tensors::new(bytes, file)?;
    let names: Vec<(String, &[usize])> = names(optimizer);
    let step = tensors.count(STEP)?;
    let read = names.iter().map(|(name, shape)| tensors.floats(name, shape));
    let read: Vec<Vec<f32>> = read.collect::<Result<_>>()?;
    let is_ours = |name: &str| name == STEP || names.iter().any(|(ours, _)| ours == name);
    tensors
        .refuse_others(is_ours, &format!("training state of `{}`", optimizer.config().kind()))?;
    optimizer.step = step;
    let mut read = read.iter();
    for (entry, slot) in model.weights_mut().iter_mut().zip(optimizer.slots.iter_mut()) {
        let kept = slot.value.iter_mut().flat_map(Slot::tensors_mut);
        for (tensor, values) in std::iter::once(&mut entry.value).chain(kept).zip(&mut read) {
            tensor.values_mut().copy_from_slice(values);
        }
    }
    Ok(notes)
}

/// Names and shapes of the tensors of a state but for `step`, in the order in which they are written.
fn names(optimizer: &Optimizer) -> Vec<(String, &[usize])> {
    let of = |slot: &'_ Parameter<Option<Slot>>| -> Vec<String> {
        let kept = slot.value.iter().flat_map(Slot::tensors).map(|(prefix, _)| prefix);
        std::iter::once(PARAMETER).chain(kept).map(|it| format!("{it}{}", slot.name)).collect()
    };
    let slots = optimizer.slots.iter();
    slots.flat_map(|slot| of(slot).into_iter().map(|name| (name, slot.shape.as_slice()))).collect()
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
    if found > VERSION {
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
        check(|bytes| bytes[8] = 3, "x: training state version 3; this build reads up to 2");
        check(|bytes| bytes[16..24].fill(0xff), "x: found a file that ends in its notes");
    }
}
