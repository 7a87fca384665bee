//! Named tensors of one safetensors file, or of the several that an index names.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, safetensors::Load};
use safetensors::{
    Dtype,
    tensor::{TensorInfo, TensorView},
};

use super::{index::Index, opened::Opened};
use crate::{
    error::{ModelError, Result},
    param::{Parameter, Parameters},
};

/// Tensors in files that have been opened.
pub(crate) struct Tensors<'a> {
    /// What messages call them: the file, or the index of the files.
    name: PathBuf,
    files: Vec<Opened<'a>>,
    /// By what each tensor is called here: the number of its file, and what it is called there.
    places: BTreeMap<String, (usize, String)>,
}

impl<'a> Tensors<'a> {
    /// The bytes of a file.
    pub(crate) fn new(bytes: &'a [u8], file: &Path) -> Result<Self> {
        Opened::new(bytes, file).map(Self::of)
    }

    /// The file, of which the header is read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Opened::open(path).map(Self::of)
    }

    fn of(file: Opened<'a>) -> Self {
        let places = file.names().into_iter().map(|name| (name.clone(), (0, name))).collect();
        Self { name: file.path.clone(), files: vec![file], places }
    }

    /// The tensors that an index names, in the files that it names; `open` opens the one of a name.
    ///
    /// # Errors
    /// When a file cannot be opened, and when a tensor is not in the file where the index has it.
    pub(super) fn sharded(
        index: &Index,
        open: impl Fn(&str) -> Result<Opened<'a>>,
    ) -> Result<Self> {
        let names: Vec<&str> = index.files().into_iter().collect();
        let files = names.iter().map(|name| open(name)).collect::<Result<Vec<_>>>()?;
        let mut places = BTreeMap::new();
        for (tensor, file) in &index.weight_map {
            let number = names.partition_point(|name| name < &file.as_str());
            if files[number].info(tensor).is_none() {
                return Err(ModelError::NotInShard {
                    index: index.path.clone(),
                    tensor: tensor.clone(),
                    shard: files[number].path.clone(),
                });
            }
            places.insert(tensor.clone(), (number, tensor.clone()));
        }
        Ok(Self { name: index.path.clone(), files, places })
    }

    /// The same tensors under other names, but for those that get none.
    pub(crate) fn renamed(self, name: impl Fn(&str) -> Option<String>) -> Self {
        let places = self.places.into_values();
        let places = places.filter_map(|place| Some((name(&place.1)?, place))).collect();
        Self { places, ..self }
    }

    /// Refuses a config with more layers than there are tensors: each layer has some, so this bounds what is listed of a
    /// config that nobody has compared with its weights.
    pub(super) fn require_layers(&self, layers: usize) -> Result<()> {
        let tensors = self.places.len();
        if layers <= tensors {
            return Ok(());
        }
        Err(ModelError::TooManyLayers { file: self.name.clone(), found: layers, tensors })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Refuses tensors that a model does not have.
    pub(crate) fn refuse_others(&self, is_ours: impl Fn(&str) -> bool, whose: &str) -> Result<()> {
        match self.places.iter().find(|(name, _)| !is_ours(name)) {
            Some((_, (file, stored))) => Err(ModelError::UnexpectedTensor {
                file: self.files[*file].path.clone(),
                tensor: stored.clone(),
                whose: whose.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The tensors of a specification, each under `prefix` and its name.
    pub(crate) fn load<T>(&self, specification: &Parameters<T>) -> Result<Parameters<Vec<f32>>> {
        let load = |entry: &Parameter<T>| Ok(entry.with(self.floats(&entry.name, &entry.shape)?));
        specification.iter().map(load).collect()
    }

    /// The one number of a tensor without dimensions.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        let tensor = self.tensor(name, &[])?;
        match (tensor.info.dtype, tensor.bytes()?.as_ref().try_into()) {
            (Dtype::U64, Ok(bytes)) => Ok(u64::from_le_bytes(bytes)),
            _ => Err(tensor.wrong_type("u64")),
        }
    }

    /// The numbers of a tensor, widened where they are halves.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.tensor(name, shape)?;
        if !matches!(tensor.info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(tensor.wrong_type("f32, f16 or bf16"));
        }
        let bytes = tensor.bytes()?;
        let convert = || {
            let view = TensorView::new(tensor.info.dtype, tensor.info.shape.clone(), &bytes)?;
            view.load(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        convert().map_err(|source: candle_core::Error| ModelError::Convert {
            file: tensor.file.path.clone(),
            tensor: name.to_owned(),
            source: Box::new(source),
        })
    }

    /// The tensor of this name and shape.
    fn tensor<'t>(&'t self, name: &'t str, shape: &[usize]) -> Result<Tensor<'t, 'a>> {
        let place = self.places.get(name);
        let found = place.and_then(|(file, stored)| {
            let file = &self.files[*file];
            Some(Tensor { name, file, info: file.info(stored)? })
        });
        let (tensor, expected) = (name.to_owned(), shape.to_vec());
        match found {
            None => Err(ModelError::MissingTensor { file: self.name.clone(), tensor, expected }),
            Some(found) if found.info.shape == shape => Ok(found),
            Some(Tensor { file, info, .. }) => Err(ModelError::WrongShape {
                file: file.path.clone(),
                tensor,
                found: info.shape.clone(),
                expected,
            }),
        }
    }
}

/// One of the tensors, and the file that holds it.
struct Tensor<'t, 'a> {
    name: &'t str,
    file: &'t Opened<'a>,
    info: &'t TensorInfo,
}

impl<'a> Tensor<'_, 'a> {
    fn bytes(&self) -> Result<Cow<'a, [u8]>> {
        self.file.bytes(self.info)
    }

    fn wrong_type(&self, expected: &'static str) -> ModelError {
        ModelError::WrongType {
            file: self.file.path.clone(),
            tensor: self.name.to_owned(),
            found: format!("{:?}", self.info.dtype).to_lowercase(),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Stored, write_stored},
        *,
    };

    /// A file of two tensors.
    fn file() -> Vec<u8> {
        let [a, b] = [[1.5f32, -2.0].as_slice(), [7.0].as_slice()];
        let stored = vec![
            ("a".to_owned(), Stored::Floats { values: a, shape: &[1, 2] }),
            ("b".to_owned(), Stored::Floats { values: b, shape: &[1] }),
        ];
        let mut bytes = Vec::new();
        write_stored(&mut bytes, stored).unwrap();
        bytes
    }

    /// What is said of these bytes, on disk and in memory.
    fn read(bytes: &[u8]) -> [Result<[Vec<f32>; 2]>; 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w");
        std::fs::write(&path, bytes).unwrap();
        [Tensors::open(&path), Tensors::new(bytes, &path)].map(|tensors| {
            let tensors = tensors?;
            Ok([tensors.floats("a", &[1, 2])?, tensors.floats("b", &[1])?])
        })
    }

    #[test]
    fn a_file_is_read_as_its_bytes_are() {
        let bytes = file();
        for found in read(&bytes) {
            assert_eq!(found.unwrap(), [vec![1.5, -2.0], vec![7.0]]);
        }
        let longer = [&bytes[..], b"."].concat();
        let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
        let large = [&u64::MAX.to_le_bytes(), &bytes[8..]].concat();
        let no_json = [&bytes[..8], b"?", &bytes[9..]].concat();
        for damaged in cut.chain([longer, large, no_json]) {
            let [disk, memory] = read(&damaged).map(|found| match found.unwrap_err() {
                ModelError::Safetensors { source, .. } => source.to_string(),
                ModelError::Truncated { place, found, expected, .. } => {
                    assert!(found < expected, "{damaged:?}");
                    format!("{place} {found} {expected}")
                }
                error => panic!("{damaged:?}: {error:?}"),
            });
            assert_eq!(disk, memory);
        }
    }
}
