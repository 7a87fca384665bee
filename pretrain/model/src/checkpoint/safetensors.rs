//! Named tensors on their way into a safetensors file.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Write},
};

use safetensors::{
    Dtype, SafeTensorError, View,
    tensor::{Metadata, TensorInfo},
};

use super::opened::{LENGTH_BYTES, MAX_HEADER_BYTES};
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

/// Writes the bytes that `safetensors::serialize` gives, one tensor after another, so that memory does not hold the file.
pub(crate) fn write_stored(
    out: &mut (impl Write + ?Sized),
    mut tensors: Vec<(String, Stored<'_>)>,
) -> io::Result<()> {
    tensors.sort_by(|(left_name, left), (right_name, right)| {
        right.dtype().cmp(&left.dtype()).then_with(|| left_name.cmp(right_name))
    });
    let header = header(&tensors)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    tensors.iter().try_for_each(|(_, tensor)| out.write_all(&tensor.data()))
}

/// What is said of the tensors, filled up to a multiple of the bytes of its length.
fn header(tensors: &[(String, Stored<'_>)]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += tensor.data_len();
        let shape = tensor.shape().to_vec();
        (name.clone(), TensorInfo { dtype: tensor.dtype(), shape, data_offsets: (start, end) })
    });
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(about), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    if header.len() as u64 > MAX_HEADER_BYTES {
        return Err(io::Error::other(SafeTensorError::HeaderTooLarge));
    }
    Ok(header)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_as_by_the_crate() {
        let values = [[1.5f32, -2.0].as_slice(), [7.0].as_slice(), [].as_slice()];
        let stored = || {
            let [a, b, none] = values;
            vec![
                ("b.b".to_owned(), Stored::Floats { values: a, shape: &[2, 1] }),
                ("step".to_owned(), Stored::Count { value: 7 }),
                ("a".to_owned(), Stored::Floats { values: b, shape: &[1] }),
                ("\"n\u{e9}\"".to_owned(), Stored::Floats { values: none, shape: &[0, 3] }),
            ]
        };
        let mut found = Vec::new();
        write_stored(&mut found, stored()).unwrap();
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        assert_eq!(found, safetensors::serialize(stored(), Some(about)).unwrap());
    }
}
