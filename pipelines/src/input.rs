//! What a task reads: declared inputs, each checked against its digest.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, VerifyingReader};
use crate::error::{At, Error, Result};
use crate::part::Stretch;
use crate::store::Store;

/// A stretch of a file with its digest: an input whose place is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// What the task uses it for.
    pub role: String,
    /// What the stage knows of it besides its bytes.
    pub tag: String,
    /// What messages call it: the path of a raw file, or what made it.
    pub name: String,
    /// Where its bytes stand.
    pub place: Place,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// A second stretch of the file, which is read behind the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<Stretch>,
    /// BLAKE3 of the stretch, the footer's bytes behind the others.
    pub digest: Digest,
}

/// A file outside or inside the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A file that may change at any time.
    File(PathBuf),
    /// A file of an artifact that was published elsewhere.
    Published(PathBuf),
    /// An object.
    Object(Digest),
}

/// The inputs of one task.
pub struct TaskInputs {
    inputs: Vec<TaskInput>,
}

impl TaskInputs {
    pub(crate) fn new(located: Vec<Located>, store: &Store) -> Self {
        let inputs = located.into_iter().map(|located| TaskInput { located, store: store.clone() });
        Self { inputs: inputs.collect() }
    }

    /// The inputs in `role`, in the order in which the task declared them.
    pub fn all<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a TaskInput> {
        self.inputs.iter().filter(move |input| input.located.role == role)
    }

    /// The first input in `role`.
    ///
    /// # Errors
    /// When the task declared none.
    pub fn one<'a>(&'a self, role: &'a str) -> Result<&'a TaskInput> {
        self.all(role)
            .next()
            .ok_or_else(|| Error::Undeclared { what: format!("the input `{role}`") })
    }
}

/// One input of a task.
pub struct TaskInput {
    located: Located,
    store: Store,
}

impl TaskInput {
    /// What messages call it: the path of a raw file, or what made it.
    pub fn name(&self) -> &str {
        &self.located.name
    }

    /// What the stage said of it when it listed the task.
    pub fn tag(&self) -> &str {
        &self.located.tag
    }

    /// Where its first byte stands in its file.
    pub fn offset(&self) -> u64 {
        self.located.offset
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.located.bytes
    }

    /// The second stretch of its file that belongs to it.
    pub fn footer(&self) -> Option<Stretch> {
        self.located.footer
    }

    /// BLAKE3 of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.located.digest
    }

    /// Where its bytes stand.
    pub fn path(&self) -> PathBuf {
        match &self.located.place {
            Place::File(path) | Place::Published(path) => path.clone(),
            Place::Object(digest) => self.store.object_path(digest),
        }
    }

    /// Reads it from the start. An object is checked before; the reader of a raw file fails at its end if the bytes are
    /// not those that were planned for.
    ///
    /// # Errors
    /// When it cannot be opened, or is a damaged object.
    pub fn open(&self) -> Result<impl Read + use<>> {
        if let Place::Object(object) = &self.located.place {
            let Located { offset, bytes, digest, .. } = &self.located;
            self.store.check(object, *offset, *bytes, digest)?;
        }
        let path = self.path();
        let stretch = |offset: u64, bytes: u64| -> Result<_> {
            let mut file = File::open(&path).at("open", &path)?;
            file.seek(SeekFrom::Start(offset)).at("read", &path)?;
            Ok(file.take(bytes))
        };
        let first = stretch(self.located.offset, self.located.bytes)?;
        let footer = self.located.footer.unwrap_or(Stretch { offset: 0, bytes: 0 });
        let both = first.chain(stretch(footer.offset, footer.bytes)?);
        Ok(BufReader::new(VerifyingReader::new(both, self.located.digest)))
    }

    /// Maps it into memory after checking its bytes. A file that may change is read into memory instead.
    ///
    /// # Errors
    /// When it cannot be opened, its bytes are others, or it is of two stretches.
    pub fn map(&self) -> Result<Mapped> {
        if self.located.footer.is_some() {
            return Err(Error::Undeclared { what: format!("`{}` in one stretch", self.name()) });
        }
        match &self.located.place {
            Place::Object(object) => {
                self.store.check(
                    object,
                    self.located.offset,
                    self.located.bytes,
                    &self.located.digest,
                )?;
            }
            Place::Published(path) => {
                let mut file = File::open(path).at("open", path)?;
                file.seek(SeekFrom::Start(self.located.offset)).at("read", path)?;
                let (found, _) =
                    Digest::of_reader(file.take(self.located.bytes)).at("read", path)?;
                self.expect(found)?;
            }
            Place::File(path) => {
                let mut file = File::open(path).at("open", path)?;
                file.seek(SeekFrom::Start(self.located.offset)).at("read", path)?;
                let mut bytes = Vec::new();
                file.take(self.located.bytes).read_to_end(&mut bytes).at("read", path)?;
                self.expect(Digest::of(&bytes))?;
                return Ok(Mapped { path: path.clone(), bytes: Bytes::Held(bytes.into()) });
            }
        }
        Mapped::open(self.path(), self.located.offset, self.located.bytes)
    }

    fn expect(&self, found: Digest) -> Result<()> {
        let expected = self.located.digest;
        match found == expected {
            true => Ok(()),
            false => Err(Error::Damaged { path: self.path(), expected, found, advice: "" }),
        }
    }
}

/// Bytes of a file in memory.
#[derive(Clone)]
pub struct Mapped {
    path: PathBuf,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    /// Loaded by the system as they are read.
    Map(Arc<Mmap>),
    /// Those of a file that may change, or of an empty stretch, which cannot be mapped.
    Held(Arc<[u8]>),
}

impl Mapped {
    /// Maps `bytes` bytes of the file at `path` from `offset` on, without checking them.
    ///
    /// # Errors
    /// When the file cannot be opened, or is shorter.
    pub fn open(path: PathBuf, offset: u64, bytes: u64) -> Result<Self> {
        let file = File::open(&path).at("open", &path)?;
        let length = file.metadata().at("read", &path)?.len();
        if offset.checked_add(bytes).is_none_or(|end| end > length) {
            let found = format!("{length} bytes");
            let expected =
                format!("{bytes} bytes from byte {offset} on; was the writer interrupted?");
            return Err(Error::Format { path, found, expected });
        }
        if bytes == 0 {
            return Ok(Self { path, bytes: Bytes::Held(Arc::default()) });
        }
        let length = usize::try_from(bytes).map_err(|_| Error::Format {
            path: path.clone(),
            found: format!("{bytes} bytes"),
            expected: "a length that this machine can address".into(),
        })?;
        // SAFETY: the mapped files are objects and states of the store, or files of published artifacts. Those are never
        // written to again: a replacement is a new file under a new name, which leaves this mapping as it is. Whoever
        // edits a published artifact in place while a run reads it breaks the promise that artifacts never change.
        let map = unsafe { MmapOptions::new().offset(offset).len(length).map(&file) };
        Ok(Self { bytes: Bytes::Map(Arc::new(map.at("map", &path)?)), path })
    }

    /// The whole file at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn whole(path: PathBuf) -> Result<Self> {
        let bytes = std::fs::metadata(&path).at("open", &path)?.len();
        Self::open(path, 0, bytes)
    }

    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Map(map) => map,
            Bytes::Held(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_a_file_is_checked_alone_and_held() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let path = dir.path().join("raw");
        std::fs::write(&path, b"before,stretch,behind").unwrap();
        let map = |digest| {
            let located = Located {
                role: "unit".into(),
                tag: String::new(),
                name: "raw".into(),
                place: Place::File(path.clone()),
                offset: 7,
                bytes: 7,
                footer: None,
                digest,
            };
            TaskInputs::new(vec![located], &store).one("unit").unwrap().map()
        };
        let held = map(Digest::of(b"stretch")).unwrap();
        std::fs::write(&path, b"").unwrap();
        assert_eq!(held[..], *b"stretch", "a file that is cut takes its bytes away");
        std::fs::write(&path, b"before,stretch,behind").unwrap();
        let error = map(Digest::of(b"other")).err().unwrap();
        assert!(matches!(&error, Error::Damaged { path: at, .. } if *at == path), "{error}");
    }
}
