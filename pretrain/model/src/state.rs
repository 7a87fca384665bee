//! Everything a training run needs to go on as if it had never stopped.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    checkpoint::{Stored, Tensors, write_stored},
    cpu::Tensor,
    error::Result,
    family::llama::{CpuLlama, specification},
    optim::AdamW,
    param::Parameters,
};

/// Prefixes of the names in a state file: the weights, and both moments of AdamW.
const PREFIXES: [&str; 3] = ["parameter.", "first_moment.", "second_moment."];
const STEP: &str = "step";

/// Writes weights, moments and the number of steps taken as one safetensors file; every bit is kept.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_state(
    out: &mut (impl Write + ?Sized),
    model: &CpuLlama,
    optimizer: &AdamW,
) -> io::Result<()> {
    let parts = [model.weights(), &optimizer.first, &optimizer.second];
    let floats = PREFIXES.iter().zip(parts).flat_map(|(prefix, part)| {
        part.iter().map(move |entry| (format!("{prefix}{}", entry.name), Stored::floats(entry)))
    });
    let step = (STEP.to_owned(), Stored::Count { value: optimizer.step });
    write_stored(out, floats.chain([step]).collect())
}

/// Brings a model and its optimizer to the state in `bytes`; `file` names it in errors.
///
/// # Errors
/// When it is not a state file of such a model. Nothing has changed then.
pub fn read_state(
    bytes: &[u8],
    file: &Path,
    model: &mut CpuLlama,
    optimizer: &mut AdamW,
) -> Result<()> {
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
    Ok(())
}

/// Both have the names and shapes of one specification.
fn copy(into: &mut Parameters<Tensor>, from: &Parameters<Vec<f32>>) {
    for (into, from) in into.iter_mut().zip(from.iter()) {
        into.value.values_mut().copy_from_slice(&from.value);
    }
}
