//! Named tensors in one safetensors file.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use candle_core::{DType, Device, safetensors::Load};
use safetensors::{
    Dtype, SafeTensorError, SafeTensors, View,
    tensor::{Metadata, TensorInfo, TensorView},
};

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

/// Bytes of the length of a header, which stands before it.
const LENGTH_BYTES: usize = 8;

/// Longest header that is read, in bytes: what crate `safetensors` reads too.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A safetensors file that has been opened.
pub(crate) struct Tensors<'a> {
    file: &'a Path,
    metadata: Metadata,
    data: Data<'a>,
    /// What each tensor is called in the file, by what it is called here.
    stored: BTreeMap<String, String>,
}

/// Where the numbers of the tensors stand.
enum Data<'a> {
    Memory(&'a [u8]),
    /// Behind so many bytes of a file. Each tensor is read alone, so that memory does not hold the file beside them.
    Disk(File, u64),
}

impl<'a> Tensors<'a> {
    /// The bytes of a file.
    pub(crate) fn new(bytes: &'a [u8], file: &'a Path) -> Result<Self> {
        let header = SafeTensors::read_metadata(bytes);
        let (header_bytes, metadata) = header.map_err(|source| not_safetensors(file, source))?;
        let (_, behind) = bytes.split_at(LENGTH_BYTES + header_bytes);
        Ok(Self::of(file, metadata, Data::Memory(behind)))
    }

    /// The file, of which the header is read.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
        let bad = |source| not_safetensors(path, source);
        let mut file = File::open(path).map_err(unreadable)?;
        let file_bytes = file.metadata().map_err(unreadable)?.len();
        if file_bytes < LENGTH_BYTES as u64 {
            return Err(bad(SafeTensorError::HeaderTooSmall));
        }
        let mut length = [0; LENGTH_BYTES];
        file.read_exact(&mut length).map_err(unreadable)?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES {
            return Err(bad(SafeTensorError::HeaderTooLarge));
        }
        let mut header = Vec::new();
        (&file).take(header_bytes).read_to_end(&mut header).map_err(unreadable)?;
        if (header.len() as u64) < header_bytes {
            return Err(bad(SafeTensorError::InvalidHeaderLength));
        }
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| bad(SafeTensorError::InvalidHeaderDeserialization(error)))?;
        let before = LENGTH_BYTES as u64 + header_bytes;
        if metadata.data_len() as u64 != file_bytes - before {
            return Err(bad(SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok(Self::of(path, metadata, Data::Disk(file, before)))
    }

    fn of(file: &'a Path, metadata: Metadata, data: Data<'a>) -> Self {
        let names = metadata.offset_keys().into_iter();
        Self { file, stored: names.map(|name| (name.clone(), name)).collect(), metadata, data }
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

    /// Refuses tensors that `whose` does not have.
    pub(crate) fn refuse_others(&self, is_ours: impl Fn(&str) -> bool, whose: &str) -> Result<()> {
        match self.stored.iter().find(|(name, _)| !is_ours(name)) {
            Some((_, stored)) => Err(ModelError::UnexpectedTensor {
                file: self.file.to_owned(),
                tensor: stored.clone(),
                whose: whose.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The tensors of a specification.
    pub(crate) fn load<T>(&self, specification: &Parameters<T>) -> Result<Parameters<Vec<f32>>> {
        let load = |entry: &Parameter<T>| Ok(entry.with(self.floats(&entry.name, &entry.shape)?));
        specification.iter().map(load).collect()
    }

    /// The one number of a tensor without dimensions.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        let info = self.info(name, &[])?;
        match (info.dtype, self.bytes(info)?.as_ref().try_into()) {
            (Dtype::U64, Ok(bytes)) => Ok(u64::from_le_bytes(bytes)),
            (found, _) => Err(self.wrong_type(name, found, "u64")),
        }
    }

    /// The numbers of a tensor of this shape.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let info = self.info(name, shape)?;
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(self.wrong_type(name, info.dtype, "f32, f16 or bf16"));
        }
        let bytes = self.bytes(info)?;
        let convert = || {
            let view = TensorView::new(info.dtype, info.shape.clone(), &bytes)?;
            view.load(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        convert().map_err(|source: candle_core::Error| ModelError::Convert {
            file: self.file.to_owned(),
            tensor: name.to_owned(),
            source: Box::new(source),
        })
    }

    /// What is said of a tensor of this shape.
    fn info(&self, name: &str, shape: &[usize]) -> Result<&TensorInfo> {
        let tensor = name.to_owned();
        let Some(info) = self.stored.get(name).and_then(|stored| self.metadata.info(stored)) else {
            let file = self.file.to_owned();
            return Err(ModelError::MissingTensor { file, tensor, expected: shape.to_vec() });
        };
        if info.shape == shape {
            return Ok(info);
        }
        Err(ModelError::WrongShape {
            file: self.file.to_owned(),
            tensor,
            found: info.shape.clone(),
            expected: shape.to_vec(),
        })
    }

    /// The numbers of a tensor, as they are stored.
    fn bytes(&self, info: &TensorInfo) -> Result<Cow<'a, [u8]>> {
        let (start, end) = info.data_offsets;
        match &self.data {
            Data::Memory(data) => Ok(data[start..end].into()),
            Data::Disk(file, before) => {
                let mut bytes = vec![0; end - start];
                let read = file.read_exact_at(&mut bytes, before + start as u64);
                let path = self.file.to_owned();
                read.map_err(|source| ModelError::Read { path, source })?;
                Ok(bytes.into())
            }
        }
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

fn not_safetensors(file: &Path, source: SafeTensorError) -> ModelError {
    ModelError::Safetensors { file: file.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let [disk, memory] = read(&damaged).map(|found| {
                let ModelError::Safetensors { source, .. } = found.unwrap_err() else {
                    panic!("{damaged:?}")
                };
                source.to_string()
            });
            assert_eq!(disk, memory);
        }
    }
}
