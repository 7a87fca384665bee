//! The content-addressed store: objects by digest, task records by key, training states by prefix.
//!
//! ```text
//! objects/ab/cdef…        read-only bytes, named by their BLAKE3
//! tasks/ab/cdef….json     what the task with that key wrote
//! states/PREFIX/STEP.json a training state that any longer run may start from
//! quarantine/             objects whose bytes were found damaged
//! tmp/                    attempts under way; everything leaves it by rename
//! ```
//!
//! Whatever stands under its final name is whole: files are written under a name of their own, flushed to disk, then
//! renamed. Two attempts at one task may run at once; one result stands.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod attempts;
mod states;

pub use attempts::Attempt;
pub use states::TrainingState;

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::record::TaskRecord;

/// How long whoever works with a store waits for a collection to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store on disk.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store at `root`, making what is missing.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        for name in ["objects", "tasks", "states", "tmp"] {
            let dir = root.join(name);
            fs::create_dir_all(&dir).at("create", &dir)?;
        }
        Ok(Self { root })
    }

    /// The store at `root`, to look at: it may not be there.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps the store from being collected, for as long as the file lives.
    ///
    /// # Errors
    /// When it is being collected, and still is after a while: runs collect at their end what they let go.
    pub fn share(&self) -> Result<File> {
        let (_, lock) = self.lock_file()?;
        let begun = Instant::now();
        loop {
            match lock.try_lock_shared() {
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 100);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::BeingCollected { path: self.root.clone() });
                }
                // Where there are no locks, age protects what a run has just made.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(lock),
            }
        }
    }

    /// The file that runs and collections lock, with its path.
    pub(crate) fn lock_file(&self) -> Result<(PathBuf, File)> {
        let path = self.root.join("lock");
        let lock = OpenOptions::new().create(true).append(true).open(&path).at("open", &path)?;
        Ok((path, lock))
    }

    /// Where the object named `digest` stands, if it is there.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        fanned(&self.root.join("objects"), digest, "")
    }

    /// Whether an object of this name and length is there. Its bytes are checked when they are read.
    pub fn has_object(&self, digest: &Digest, bytes: u64) -> bool {
        fs::metadata(self.object_path(digest)).is_ok_and(|found| found.len() == bytes)
    }

    /// Moves a finished file whose content is `digest` into the store.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn adopt(&self, file: &Path, digest: &Digest) -> Result<()> {
        let path = self.object_path(digest);
        let bytes = fs::metadata(file).at("read", file)?.len();
        if self.has_object(digest, bytes) {
            return fs::remove_file(file).at("remove", file);
        }
        let mut permissions = fs::metadata(file).at("read", file)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(file, permissions).at("protect", file)?;
        move_into_place(file, &path)
    }

    /// Puts small bytes into the store as an object.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.has_object(&digest, bytes.len() as u64) {
            let attempt = self.attempt()?;
            let file = attempt.dir().join("object");
            write_durably(&file, bytes)?;
            self.adopt(&file, &digest)?;
        }
        Ok(digest)
    }

    /// The whole of a small object, checked.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.object_path(digest);
        let bytes = fs::read(&path).at("read", &path)?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(self.quarantine(digest, found)) }
    }

    /// Checks a stretch of an object against its digest.
    ///
    /// # Errors
    /// When the object is missing, or its bytes are others: it is then set aside, so that the next run makes it anew.
    pub fn check(&self, object: &Digest, offset: u64, bytes: u64, expected: &Digest) -> Result<()> {
        let path = self.object_path(object);
        let mut file = File::open(&path).at("open", &path)?;
        file.seek(SeekFrom::Start(offset)).at("read", &path)?;
        let (found, _) = Digest::of_reader(file.take(bytes)).at("read", &path)?;
        if found == *expected { Ok(()) } else { Err(self.quarantine(object, found)) }
    }

    /// Sets a damaged object aside, and withdraws the published artifacts that link to it.
    fn quarantine(&self, object: &Digest, found: Digest) -> Error {
        let path = self.object_path(object);
        let aside = self.root.join("quarantine");
        let moved = fs::create_dir_all(&aside)
            .and_then(|()| fs::rename(&path, aside.join(object.hex())))
            .and_then(|()| self.withdraw(object));
        let advice = match moved {
            Ok(()) => "; it was set aside, and the next run makes it anew",
            Err(_) => "; remove it, and the next run makes it anew",
        };
        Error::Damaged { path, expected: *object, found, advice }
    }

    /// Sets a damaged file of a run aside.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub(crate) fn set_aside(&self, path: &Path) -> Result<()> {
        let inside = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
        move_into_place(path, &self.root.join("quarantine").join(inside.replace('/', "-")))
    }

    /// Removes the published directories that hold `object`, which a hard link may have damaged too.
    fn withdraw(&self, object: &Digest) -> std::io::Result<()> {
        let published = self.root.join("artifacts");
        let Ok(entries) = fs::read_dir(&published) else { return Ok(()) };
        for entry in entries {
            let dir = entry?.path();
            let named = fs::read_to_string(dir.join(crate::record::Artifact::FILE));
            if named.is_ok_and(|text| text.contains(&object.hex())) {
                fs::remove_dir_all(dir)?;
            }
        }
        Ok(())
    }

    fn task_path(&self, key: &Digest) -> PathBuf {
        fanned(&self.root.join("tasks"), key, ".json")
    }

    /// The record of the task with this key, if it is done and all its outputs are there.
    ///
    /// # Errors
    /// When the record cannot be read, or was written by a newer version. A damaged one counts as absent.
    pub fn task(&self, key: &Digest) -> Result<Option<TaskRecord>> {
        let whole = |record: &TaskRecord| {
            record.outputs.values().all(|output| self.has_object(&output.digest, output.bytes))
        };
        Ok(self.record(key)?.filter(whole))
    }

    /// The record of the task with this key, whether its outputs are there or not.
    ///
    /// # Errors
    /// As [`Self::task`].
    pub fn record(&self, key: &Digest) -> Result<Option<TaskRecord>> {
        let path = self.task_path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("read", &path),
        };
        match TaskRecord::read(&path, &bytes) {
            Ok(record) => Ok(Some(record).filter(|record| record.key == *key)),
            // The task runs again, and writes it anew; as it does where another task's record stands.
            Err(Error::Format { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down that a task is done. Its outputs must be in the store.
    ///
    /// # Errors
    /// When the record cannot be written, or an earlier attempt gave other bytes.
    pub fn finish_task(&self, record: &TaskRecord) -> Result<()> {
        let path = self.task_path(&record.key);
        if let Some(earlier) = self.task(&record.key)? {
            return same_outputs(&earlier, record);
        }
        self.write_in_place(&path, &record.to_bytes())
    }

    /// Writes a small file under its final name, whole or not at all.
    pub(crate) fn write_in_place(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let attempt = self.attempt()?;
        let file = attempt.dir().join("file");
        write_durably(&file, bytes)?;
        move_into_place(&file, path)
    }
}

fn same_outputs(earlier: &TaskRecord, record: &TaskRecord) -> Result<()> {
    for (name, output) in &record.outputs {
        let before = earlier.outputs.get(name).map(|before| before.digest);
        if before != Some(output.digest) {
            return Err(Error::NotReproduced {
                task: record.key,
                expected: before.unwrap_or_else(|| Digest::of(b"")),
                found: output.digest,
            });
        }
    }
    Ok(())
}

fn fanned(root: &Path, digest: &Digest, suffix: &str) -> PathBuf {
    let hex = digest.hex();
    root.join(&hex[..2]).join(format!("{}{suffix}", &hex[2..]))
}

/// Writes `bytes` and waits until the disk has them.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).at("create", path)?;
    file.write_all(bytes).at("write", path)?;
    file.sync_all().at("write", path)
}

/// Renames a finished file to its final name, and waits until the directory knows it.
pub(crate) fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    let dir = to.parent().expect("a final name has a directory");
    fs::create_dir_all(dir).at("create", dir)?;
    fs::rename(from, to).at("write", to)?;
    File::open(dir).and_then(|dir| dir.sync_all()).at("write", dir)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::OutputRecord;
    use litemap::LiteMap;

    /// An empty store in a directory of its own.
    pub(crate) fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        (dir, store)
    }

    fn record(store: &Store, key: &[u8], content: &[u8]) -> TaskRecord {
        let digest = store.put(content).unwrap();
        let output = OutputRecord {
            digest,
            bytes: content.len() as u64,
            rows: None,
            tokens: None,
            sections: LiteMap::new(),
        };
        TaskRecord {
            version: TaskRecord::VERSION,
            key: Digest::of(key),
            outputs: LiteMap::from_iter([("out".to_owned(), output)]),
            counts: LiteMap::new(),
            details: serde_json::Value::Null,
        }
    }

    #[test]
    fn what_is_put_can_be_got() {
        let (_dir, store) = store();
        let digest = store.put(b"content").unwrap();
        assert_eq!(store.put(b"content").unwrap(), digest);
        assert_eq!(store.get(&digest).unwrap(), b"content");
    }

    #[test]
    fn a_flipped_bit_is_found_named_and_set_aside() {
        let (_dir, store) = store();
        let digest = store.put(b"content").unwrap();
        let path = store.object_path(&digest);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"cnntent").unwrap();
        let error = store.get(&digest).unwrap_err();
        assert!(matches!(error, Error::Damaged { expected, .. } if expected == digest), "{error}");
        assert!(!path.exists() && store.root().join("quarantine").join(digest.hex()).exists());
    }

    #[test]
    fn a_task_is_done_while_its_outputs_are_there() {
        let (_dir, store) = store();
        let record = record(&store, b"key", b"content");
        assert_eq!(store.task(&record.key).unwrap(), None);
        store.finish_task(&record).unwrap();
        assert_eq!(store.task(&record.key).unwrap(), Some(record.clone()));
        fs::remove_file(store.object_path(&record.outputs.get("out").unwrap().digest)).unwrap();
        assert_eq!(store.task(&record.key).unwrap(), None);
    }

    #[test]
    fn a_second_attempt_with_other_bytes_is_our_bug() {
        let (_dir, store) = store();
        store.finish_task(&record(&store, b"key", b"content")).unwrap();
        store.finish_task(&record(&store, b"key", b"content")).unwrap();
        let error = store.finish_task(&record(&store, b"key", b"other")).unwrap_err();
        assert!(matches!(error, Error::NotReproduced { .. }), "{error}");
    }

    #[test]
    fn a_damaged_record_counts_as_absent_and_is_written_anew() {
        let (_dir, store) = store();
        let record = record(&store, b"key", b"content");
        store.finish_task(&record).unwrap();
        let path = store.task_path(&record.key);
        for damage in [
            &b"{\"version\":1,\"key\""[..],
            &fs::read(&path).unwrap()[1..],
            &String::from_utf8(fs::read(&path).unwrap())
                .unwrap()
                .replace("bytes\":7", "bytes\":6")
                .into_bytes(),
        ] {
            fs::write(&path, damage).unwrap();
            assert_eq!(store.task(&record.key).unwrap(), None);
            store.finish_task(&record).unwrap();
            assert_eq!(store.task(&record.key).unwrap(), Some(record.clone()));
        }
        fs::write(&path, TaskRecord { version: 3, ..record.clone() }.to_bytes()).unwrap();
        assert!(matches!(store.task(&record.key), Err(Error::TooNew { found: 3, .. })));
    }

    #[test]
    fn a_cut_object_gives_way_to_a_whole_one() {
        let (_dir, store) = store();
        let digest = store.put(b"content").unwrap();
        let path = store.object_path(&digest);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"con").unwrap();
        assert_eq!(store.put(b"content").unwrap(), digest);
        assert_eq!(store.get(&digest).unwrap(), b"content");
    }
}
