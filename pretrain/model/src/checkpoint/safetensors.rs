//! Named tensors on their way into a safetensors file.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Write},
};

use safetensors::{Dtype, View};

use crate::param::{Parameter, Parameters, matrix_shape};

/// Writes tensors as `f32`, with the metadata by which `transformers` knows whose layout they have.
///
/// The file orders them by name, so equal parameters give equal bytes.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_safetensors<T: AsRef<[f32]>>(
    out: &mut (impl Write + ?Sized),
    parameters: &Parameters<T>,
) -> io::Result<()> {
    let stored = parameters.iter().map(|entry| (entry.name.clone(), Stored::floats(entry)));
    write_stored(out, stored.collect())
}

/// One tensor on its way into a file.
pub(crate) enum Stored<'a> {
    Floats {
        values: &'a [f32],
        shape: &'a [usize],
    },
    /// A matrix whose rows and columns change places in the file, where it has this shape.
    Transposed {
        values: &'a [f32],
        shape: [usize; 2],
    },
    Count {
        value: u64,
    },
}

impl<'a> Stored<'a> {
    pub(crate) fn floats<T: AsRef<[f32]>>(entry: &'a Parameter<T>) -> Self {
        Self::Floats { values: entry.value.as_ref(), shape: &entry.shape }
    }

    pub(crate) fn transposed<T: AsRef<[f32]>>(entry: &'a Parameter<T>) -> Self {
        let (rows, cols) = matrix_shape(&entry.shape);
        Self::Transposed { values: entry.value.as_ref(), shape: [cols, rows] }
    }
}

pub(crate) fn write_stored(
    out: &mut (impl Write + ?Sized),
    tensors: Vec<(String, Stored<'_>)>,
) -> io::Result<()> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(io::Error::other)?;
    out.write_all(&bytes)
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Self::Floats { .. } | Self::Transposed { .. } => Dtype::F32,
            Self::Count { .. } => Dtype::U64,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Floats { shape, .. } => shape,
            Self::Transposed { shape, .. } => shape,
            Self::Count { .. } => &[],
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Floats { values, .. } => to_bytes(values).into(),
            Self::Transposed { values, shape: [rows, _] } => {
                to_bytes(&transposed(values, *rows)).into()
            }
            Self::Count { value } => value.to_le_bytes().to_vec().into(),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Floats { values, .. } | Self::Transposed { values, .. } => size_of_val(*values),
            Self::Count { .. } => size_of::<u64>(),
        }
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// A matrix of so many columns with its rows and columns in each other's place.
pub(crate) fn transposed(values: &[f32], cols: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for col in 0..cols {
        turned.extend(values[col..].iter().step_by(cols));
    }
    turned
}
