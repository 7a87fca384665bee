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

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::record::{OutputRecord, TaskRecord};

/// An attempt whose directory nothing was added to for so long is one that was killed.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

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

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the object named `digest` stands, if it is there.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        fanned(&self.root.join("objects"), digest, "")
    }

    /// Whether an object of this name and length is there. Its bytes are checked when they are read.
    pub fn has_object(&self, digest: &Digest, bytes: u64) -> bool {
        fs::metadata(self.object_path(digest)).is_ok_and(|found| found.len() == bytes)
    }

    /// A new directory for one attempt, removed by [`Attempt`]'s drop.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn attempt(&self) -> Result<Attempt> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos());
            let dir =
                self.root.join("tmp").join(format!("{}-{nanos:x}-{count}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Attempt { dir }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).at("create", &dir),
            }
        }
    }

    /// Removes what attempts left behind that were killed hours ago.
    ///
    /// # Errors
    /// When the directory of attempts cannot be read.
    pub fn sweep(&self) -> Result<()> {
        let tmp = self.root.join("tmp");
        for entry in fs::read_dir(&tmp).at("read", &tmp)?.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Another run may sweep at the same time.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
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
    /// When the record cannot be read, or was written by a newer version.
    pub fn task(&self, key: &Digest) -> Result<Option<TaskRecord>> {
        let path = self.task_path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("read", &path),
        };
        let record = TaskRecord::read(&path, &bytes)?;
        let whole =
            record.outputs.values().all(|output| self.has_object(&output.digest, output.bytes));
        Ok(whole.then_some(record))
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
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        self.write_in_place(&path, &bytes)
    }

    /// Writes a small file under its final name, whole or not at all.
    pub(crate) fn write_in_place(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let attempt = self.attempt()?;
        let file = attempt.dir().join("file");
        write_durably(&file, bytes)?;
        move_into_place(&file, path)
    }

    fn states_dir(&self, prefix: &Digest) -> PathBuf {
        self.root.join("states").join(prefix.hex())
    }

    /// Keeps a training state as reached after `step` steps of `prefix`. A passing state never takes the place of one
    /// that is kept for longer runs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_state(&self, prefix: &Digest, step: u64, state: &TrainingState) -> Result<()> {
        let path = self.states_dir(prefix).join(format!("{step}.json"));
        if state.passing && read_state(&path).is_some_and(|known| !known.passing) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(state).expect("a state has string keys only");
        self.write_in_place(&path, &bytes)
    }

    /// Where a passing state's file stands: outside of the objects, so that letting it go takes nothing from anyone.
    pub(crate) fn passing_path(&self, prefix: &Digest, step: u64) -> PathBuf {
        self.states_dir(prefix).join(format!("{step}.state"))
    }

    /// The training states of `prefix` with at most `limit` steps, the longest first.
    ///
    /// # Errors
    /// When the directory of states cannot be read.
    pub fn states(&self, prefix: &Digest, limit: u64) -> Result<Vec<(u64, TrainingState)>> {
        let dir = self.states_dir(prefix);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("read", &dir),
        };
        let mut states: Vec<(u64, TrainingState)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let step = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
                // A state that a finished attempt lets go meanwhile is one that is not needed.
                (step <= limit).then(|| Some((step, read_state(&path)?))).flatten()
            })
            .filter(|(step, state)| self.has_state(prefix, *step, state))
            .collect();
        states.sort_unstable_by_key(|(step, _)| std::cmp::Reverse(*step));
        Ok(states)
    }

    fn has_state(&self, prefix: &Digest, step: u64, state: &TrainingState) -> bool {
        let path = self.state_path(prefix, step, state);
        fs::metadata(path).is_ok_and(|found| found.len() == state.file.bytes)
    }

    /// Where a state's file stands.
    pub(crate) fn state_path(&self, prefix: &Digest, step: u64, state: &TrainingState) -> PathBuf {
        match state.passing {
            true => self.passing_path(prefix, step),
            false => self.object_path(&state.file.digest),
        }
    }

    /// Lets go of the passing states of `prefix` below step `below`, and of their files.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn drop_passing_states(&self, prefix: &Digest, below: u64) -> Result<()> {
        let dir = self.states_dir(prefix);
        for (step, state) in self.states(prefix, below.saturating_sub(1))? {
            if state.passing {
                remove_if_there(&dir.join(format!("{step}.json")))?;
                remove_if_there(&self.passing_path(prefix, step))?;
            }
        }
        Ok(())
    }
}

fn read_state(path: &Path) -> Option<TrainingState> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// A training state: one file, whose content differs from step to step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Whether it serves only until its task is done.
    pub passing: bool,
    /// Its file: an object, or for a passing state a file beside this record.
    pub file: OutputRecord,
}

/// A directory of one attempt at something; gone when dropped.
#[derive(Debug)]
pub struct Attempt {
    dir: PathBuf,
}

impl Attempt {
    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // What cannot be removed stays in `tmp`, where nothing reads it.
        let _ = fs::remove_dir_all(&self.dir);
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

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn store() -> (tempfile::TempDir, Store) {
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
            sections: BTreeMap::new(),
        };
        TaskRecord {
            version: TaskRecord::VERSION,
            key: Digest::of(key),
            outputs: BTreeMap::from([("out".to_owned(), output)]),
            counts: BTreeMap::new(),
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
        fs::remove_file(store.object_path(&record.outputs["out"].digest)).unwrap();
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
    fn passing_states_come_and_go_and_kept_ones_stay() {
        let (_dir, store) = store();
        let file = record(&store, b"", b"state").outputs["out"].clone();
        let prefix = Digest::of(b"prefix");
        let keep = |step, passing| {
            fs::create_dir_all(store.states_dir(&prefix)).unwrap();
            if passing {
                fs::write(store.passing_path(&prefix, step), b"state").unwrap();
            }
            store
                .keep_state(&prefix, step, &TrainingState { passing, file: file.clone() })
                .unwrap();
        };
        let steps = |limit| -> Vec<u64> {
            store.states(&prefix, limit).unwrap().into_iter().map(|(step, _)| step).collect()
        };
        for (step, passing) in [(100, true), (240, false), (300, true)] {
            keep(step, passing);
        }
        assert_eq!(
            (steps(1000), steps(299), steps(99)),
            (vec![300, 240, 100], vec![240, 100], vec![])
        );
        keep(240, true);
        store.drop_passing_states(&prefix, 1000).unwrap();
        assert_eq!(steps(1000), [240], "a kept state became a passing one");
        assert!(store.has_object(&file.digest, file.bytes));
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
