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
    SafeTensorError,
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
        let (metadata, before) = read_header(path, bytes, bytes.len() as u64)?;
        // A header that was read is within the bytes.
        let behind = usize::try_from(before).ok().and_then(|before| bytes.get(before..));
        let data = Data::Memory(behind.unwrap_or_default());
        Ok(Self { path: path.to_owned(), metadata, data })
    }

    /// The file, of which the header is read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let file_bytes = file.metadata().map_err(unreadable)?.len();
        let (metadata, before) = read_header(path, &file, file_bytes)?;
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

/// What stands before the tensors of a file of so many bytes, and how many bytes that are.
fn read_header(path: &Path, mut file: impl Read, file_bytes: u64) -> Result<(Metadata, u64)> {
    let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
    let bad = |source| not_safetensors(path, source);
    let require = |place: &str, expected: u64| match file_bytes < expected {
        true => Err(ModelError::Truncated {
            file: path.to_owned(),
            place: place.to_owned(),
            found: file_bytes,
            expected,
        }),
        false => Ok(()),
    };
    if file_bytes < LENGTH_BYTES as u64 {
        return Err(bad(SafeTensorError::HeaderTooSmall));
    }
    let mut length = [0; LENGTH_BYTES];
    file.read_exact(&mut length).map_err(unreadable)?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > MAX_HEADER_BYTES {
        return Err(bad(SafeTensorError::HeaderTooLarge));
    }
    let before = LENGTH_BYTES as u64 + header_bytes;
    require("its header", before)?;
    let mut header = Vec::new();
    file.take(header_bytes).read_to_end(&mut header).map_err(unreadable)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| bad(SafeTensorError::InvalidHeaderDeserialization(error)))?;
    let end = before.saturating_add(metadata.data_len() as u64);
    require("its last tensor", end)?;
    if file_bytes > end {
        return Err(bad(SafeTensorError::MetadataIncompleteBuffer));
    }
    Ok((metadata, before))
}

fn not_safetensors(file: &Path, source: SafeTensorError) -> ModelError {
    ModelError::Safetensors { file: file.to_owned(), source: Box::new(source) }
}
