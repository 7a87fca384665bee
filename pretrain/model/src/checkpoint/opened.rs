//! One safetensors file that has been opened.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs::File,
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use safetensors::{
    SafeTensorError, SafeTensors,
    tensor::{Metadata, TensorInfo},
};

use crate::error::{ModelError, Result};

/// Bytes of the length of a header, which stands before it.
pub(super) const LENGTH_BYTES: usize = 8;

/// Longest header that is read, in bytes: what crate `safetensors` reads too.
pub(super) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A safetensors file of which the header has been read.
pub(super) struct Opened<'a> {
    pub(super) path: PathBuf,
    metadata: Metadata,
    data: Data<'a>,
}

/// Where the numbers of the tensors stand.
enum Data<'a> {
    Memory(&'a [u8]),
    /// Behind so many bytes of a file. Each tensor is read alone, so that memory does not hold the file beside them.
    Disk(File, u64),
}

impl<'a> Opened<'a> {
    /// The bytes of a file.
    pub(super) fn new(bytes: &'a [u8], path: &Path) -> Result<Self> {
        let header = SafeTensors::read_metadata(bytes);
        let (header_bytes, metadata) = header.map_err(|source| not_safetensors(path, source))?;
        let (_, behind) = bytes.split_at(LENGTH_BYTES + header_bytes);
        Ok(Self { path: path.to_owned(), metadata, data: Data::Memory(behind) })
    }

    /// The file, of which the header is read.
    pub(super) fn open(path: &Path) -> Result<Self> {
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
        Ok(Self { path: path.to_owned(), metadata, data: Data::Disk(file, before) })
    }

    /// Names of its tensors.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.metadata.offset_keys().into_iter().collect()
    }

    /// What is said of the tensor that it calls `name`.
    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    /// The numbers of a tensor, as they are stored.
    pub(super) fn bytes(&self, info: &TensorInfo) -> Result<Cow<'a, [u8]>> {
        let (start, end) = info.data_offsets;
        match &self.data {
            Data::Memory(data) => Ok(data[start..end].into()),
            Data::Disk(file, before) => {
                let mut bytes = vec![0; end - start];
                let read = file.read_exact_at(&mut bytes, before + start as u64);
                let path = self.path.clone();
                read.map_err(|source| ModelError::Read { path, source })?;
                Ok(bytes.into())
            }
        }
    }
}

fn not_safetensors(file: &Path, source: SafeTensorError) -> ModelError {
    ModelError::Safetensors { file: file.to_owned(), source: Box::new(source) }
}
