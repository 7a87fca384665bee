//! Named tensors in one safetensors file.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io::{self, Write},
    path::Path,
};

use candle_core::{DType, Device, safetensors::Load};
use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};

use crate::{
    error::{ModelError, Result},
    param::{Parameter, Parameters},
};

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
    Floats { values: &'a [f32], shape: &'a [usize] },
    Count { value: u64 },
}

impl<'a> Stored<'a> {
    pub(crate) fn floats<T: AsRef<[f32]>>(entry: &'a Parameter<T>) -> Self {
        Self::Floats { values: entry.value.as_ref(), shape: &entry.shape }
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
            Self::Floats { .. } => Dtype::F32,
            Self::Count { .. } => Dtype::U64,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Floats { shape, .. } => shape,
            Self::Count { .. } => &[],
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Floats { values, .. } => {
                let mut bytes = Vec::with_capacity(self.data_len());
                for value in *values {
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
                bytes.into()
            }
            Self::Count { value } => value.to_le_bytes().to_vec().into(),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Floats { values, .. } => size_of_val(*values),
            Self::Count { .. } => size_of::<u64>(),
        }
    }
}

/// A safetensors file that has been opened.
pub(crate) struct Tensors<'a> {
    file: &'a Path,
    tensors: SafeTensors<'a>,
    /// What each tensor is called in the file, by what it is called here.
    stored: BTreeMap<String, String>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(bytes: &'a [u8], file: &'a Path) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|source| {
            ModelError::Safetensors { file: file.to_owned(), source: Box::new(source) }
        })?;
        let stored = tensors.names().into_iter().map(|name| (name.to_owned(), name.to_owned()));
        Ok(Self { file, stored: stored.collect(), tensors })
    }

    /// The same tensors under other names, but for those that get none.
    pub(crate) fn renamed(self, name: impl Fn(&str) -> Option<String>) -> Self {
        let stored = self.stored.into_values();
        let stored = stored.filter_map(|stored| Some((name(&stored)?, stored))).collect();
        Self { stored, ..self }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// Refuses tensors that a model does not have.
    pub(crate) fn refuse_others<T>(
        &self,
        specification: &Parameters<T>,
        architecture: &str,
    ) -> Result<()> {
        match self.stored.iter().find(|(name, _)| specification.get(name).is_none()) {
            Some((_, stored)) => Err(ModelError::UnexpectedTensor {
                file: self.file.to_owned(),
                tensor: stored.clone(),
                architecture: architecture.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The tensors of a specification, each under `prefix` and its name.
    pub(crate) fn load<T>(
        &self,
        prefix: &str,
        specification: &Parameters<T>,
    ) -> Result<Parameters<Vec<f32>>> {
        specification
            .iter()
            .map(|entry| {
                let value = self.floats(&format!("{prefix}{}", entry.name), &entry.shape)?;
                Ok(Parameter { name: entry.name.clone(), shape: entry.shape.clone(), value })
            })
            .collect()
    }

    /// The one number of a tensor without dimensions.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        let view = self.view(name, &[])?;
        match (view.dtype(), view.data().try_into()) {
            (Dtype::U64, Ok(bytes)) => Ok(u64::from_le_bytes(bytes)),
            (found, _) => Err(self.wrong_type(name, found, "u64")),
        }
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let view = self.view(name, shape)?;
        if !matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(self.wrong_type(name, view.dtype(), "f32, f16 or bf16"));
        }
        let convert = || view.load(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1();
        convert().map_err(|source: candle_core::Error| ModelError::Convert {
            file: self.file.to_owned(),
            tensor: name.to_owned(),
            source: Box::new(source),
        })
    }

    fn view(&self, name: &str, shape: &[usize]) -> Result<TensorView<'a>> {
        let tensor = name.to_owned();
        let stored = self.stored.get(name).map(|stored| self.tensors.tensor(stored));
        let Some(Ok(view)) = stored else {
            let file = self.file.to_owned();
            return Err(ModelError::MissingTensor { file, tensor, expected: shape.to_vec() });
        };
        if view.shape() == shape {
            return Ok(view);
        }
        Err(ModelError::WrongShape {
            file: self.file.to_owned(),
            tensor,
            found: view.shape().to_vec(),
            expected: shape.to_vec(),
        })
    }

    fn wrong_type(&self, name: &str, found: Dtype, expected: &'static str) -> ModelError {
        ModelError::WrongType {
            file: self.file.to_owned(),
            tensor: name.to_owned(),
            found: format!("{found:?}").to_lowercase(),
            expected,
        }
    }
}
