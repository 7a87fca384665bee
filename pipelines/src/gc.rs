//! Garbage collection: what no root reaches is taken out of a store.
//!
//! Kept are: what the newest runs of each manifest reach (tasks, their outputs, artifacts, training states), what runs after
//! those have done before they were stopped, what is published under the output directory, what was imported, and whatever is
//! young. Manifests are told apart by their names. A run holds a shared lock on the store as long as it
//! lives, and nothing is removed while one does.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::publish::OutDir;
use crate::record::{Artifact, TaskRecord};
use crate::retention::Retention;
use crate::roots::{self, entries};
use crate::store::Store;

/// What is kept besides what is published and imported.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Runs of each manifest whose results are kept, the newest ones.
    pub runs: NonZeroUsize,
    /// What changed more recently than that stays.
    pub min_age: Duration,
}

/// What can go, or has gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Garbage {
    /// By what it is, such as `objects`: how many, and their bytes.
    pub found: BTreeMap<&'static str, Heap>,
}

/// Things of one sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Heap {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Garbage {
    fn add(&mut self, sort: &'static str, bytes: u64) {
        let heap = self.found.entry(sort).or_default();
        heap.count += 1;
        heap.bytes += bytes;
    }
}

/// What the roots reach.
#[derive(Default)]
struct Reached {
    tasks: HashSet<Digest>,
    objects: HashSet<Digest>,
    artifacts: HashSet<Digest>,
    states: HashSet<Digest>,
    runs: HashSet<PathBuf>,
}

/// Finds what `policy` lets go; removes it if `delete`.
///
/// # Errors
/// When a root or artifact cannot be read, something cannot be removed, or a run is under way and `delete` is asked for.
pub fn collect(out: &OutDir, policy: Policy, delete: bool) -> Result<Garbage> {
    let store = &out.store;
    let _lock = match delete {
        true => Some(exclusive(store)?),
        false => None,
    };
    let reached = Reached::of(out, policy.runs)?;
    let mut sweep = Sweep { min_age: policy.min_age, delete, garbage: Garbage::default() };
    // Records go before the objects that they name, so that whatever is interrupted here leaves no record without its objects.
    for path in fanned(&store.root().join("tasks"))? {
        let key = named(&path.0, path.1.strip_suffix(".json").unwrap_or(&path.1));
        sweep.file("task records", &path.2, key.is_none_or(|key| !reached.tasks.contains(&key)))?;
    }
    for path in entries(&store.root().join("artifacts"))? {
        let identity = digest_of(&path);
        let lost = identity.is_none_or(|identity| !reached.artifacts.contains(&identity));
        sweep.dir("published directories", &path, lost)?;
    }
    for path in entries(&store.root().join("states"))? {
        let prefix = digest_of(&path);
        let lost = prefix.is_none_or(|prefix| !reached.states.contains(&prefix));
        sweep.dir("training states", &path, lost)?;
    }
    for path in fanned(&store.root().join("objects"))? {
        let digest = named(&path.0, &path.1);
        let lost = digest.is_none_or(|digest| !reached.objects.contains(&digest));
        sweep.file("objects", &path.2, lost)?;
    }
    for path in entries(&store.root().join("runs"))? {
        sweep.dir("logs of runs", &path, !reached.runs.contains(&path))?;
    }
    for path in entries(&store.root().join("quarantine"))? {
        sweep.file("damaged objects", &path, true)?;
    }
    if delete {
        store.sweep()?;
    }
    Ok(sweep.garbage)
}

/// Removes the objects that the newest run lets go and that nothing else keeps. Where another run works with the store, or
/// a root is damaged, they stay: a later run or `seedbed gc` takes them.
///
/// # Errors
/// When a root or artifact cannot be read, or an object cannot be removed.
pub(crate) fn let_go(out: &OutDir, retention: &Retention) -> Result<()> {
    let store = &out.store;
    let _lock = match exclusive(store) {
        Err(Error::InUse { .. }) => return Ok(()),
        locked => locked?,
    };
    let newest = match roots::runs(store) {
        // What a damaged root reaches nobody knows.
        Err(Error::Format { .. }) => return Ok(()),
        runs => runs?.into_iter().find(|run| run.has_ended_well).and_then(|run| run.root),
    };
    let Some(list) = newest.and_then(|root| root.let_go) else { return Ok(()) };
    let paths =
        roots::list(store, &list)?.into_iter().map(|digest| (digest, store.object_path(&digest)));
    let there: Vec<_> = paths.filter(|(_, path)| path.exists()).collect();
    if there.is_empty() {
        return Ok(());
    }
    let reached = Reached::of(out, retention.runs.unwrap_or(NonZeroUsize::MIN))?;
    for (_, path) in there.iter().filter(|(digest, _)| !reached.objects.contains(digest)) {
        fs::remove_file(path).at("remove", path)?;
    }
    Ok(())
}

/// Locks the store against runs, for as long as the file lives.
fn exclusive(store: &Store) -> Result<File> {
    let (path, lock) = store.lock_file()?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: store.root().to_owned() }),
        Err(TryLockError::Error(error)) => Err(error).at("lock", &path),
    }
}

impl Reached {
    fn of(out: &OutDir, most_runs: NonZeroUsize) -> Result<Self> {
        let store = &out.store;
        let mut reached = Self::default();
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        for run in roots::runs(store)? {
            // The log of a run that did nothing tells why; it stays until it is old.
            let Some(root) = run.root else { continue };
            let runs = kept.entry(root.manifest.clone()).or_default();
            match run.has_ended_well {
                true => *runs += 1,
                // A later run had all that this one has done.
                false if *runs > 0 => continue,
                false => reached.unfinished(store, &root.states)?,
            }
            if *runs > most_runs.get() {
                continue;
            }
            reached.runs.insert(run.dir);
            root.artifacts.values().try_for_each(|identity| reached.artifact(store, identity))?;
            for key in root.keys {
                reached.task(store, key, &HashSet::new())?;
            }
            if let Some(list) = &root.tasks {
                reached.objects.insert(*list);
                let let_go = root.let_go.map(|let_go| roots::list(store, &let_go)).transpose()?;
                let let_go = HashSet::from_iter(let_go.unwrap_or_default());
                for key in roots::list(store, list)? {
                    reached.task(store, key, &let_go)?;
                }
            }
            reached.objects.extend(root.let_go);
            reached.states.extend(root.states);
        }
        roots::imports(store)?.iter().try_for_each(|identity| reached.artifact(store, identity))?;
        for identity in out.published()? {
            reached.artifact(store, &identity)?;
        }
        Ok(reached)
    }

    /// Notes the states that trainings with these prefixes have left, of which no task record tells yet.
    fn unfinished(&mut self, store: &Store, prefixes: &[Digest]) -> Result<()> {
        for prefix in prefixes {
            let states = store.states(prefix, u64::MAX)?.into_iter();
            self.objects.extend(
                states.filter(|(_, state)| !state.passing).map(|(_, state)| state.file.digest),
            );
        }
        Ok(())
    }

    fn artifact(&mut self, store: &Store, identity: &Digest) -> Result<()> {
        if !self.artifacts.insert(*identity) {
            return Ok(());
        }
        self.objects.insert(*identity);
        let path = store.object_path(identity);
        if !path.exists() {
            // An artifact that is lost already keeps nothing.
            return Ok(());
        }
        let bytes = store.get(identity)?;
        let parts = Artifact::read(&path, &bytes)?.parts;
        self.objects.extend(parts.iter().map(|part| part.blake3));
        Ok(())
    }

    /// Notes a task and its outputs but for those that are `let_go`.
    fn task(&mut self, store: &Store, key: Digest, let_go: &HashSet<Digest>) -> Result<()> {
        self.tasks.insert(key);
        if let Some(TaskRecord { outputs, .. }) = store.record(&key)? {
            let outputs = outputs.values().map(|output| output.digest);
            self.objects.extend(outputs.filter(|digest| !let_go.contains(digest)));
        }
        Ok(())
    }
}

struct Sweep {
    min_age: Duration,
    delete: bool,
    garbage: Garbage,
}

impl Sweep {
    fn is_old(&self, path: &Path) -> bool {
        let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        // What is newer than the clock says is young.
        let age = modified.ok().map(|modified| modified.elapsed().unwrap_or_default());
        age.is_some_and(|age| age >= self.min_age)
    }

    fn file(&mut self, sort: &'static str, path: &Path, lost: bool) -> Result<()> {
        if !lost || !self.is_old(path) {
            return Ok(());
        }
        self.garbage.add(sort, fs::symlink_metadata(path).map_or(0, |metadata| metadata.len()));
        if self.delete { fs::remove_file(path).at("remove", path) } else { Ok(()) }
    }

    fn dir(&mut self, sort: &'static str, path: &Path, lost: bool) -> Result<()> {
        if !lost || !self.is_old(path) {
            return Ok(());
        }
        self.garbage.add(sort, own_bytes(path)?);
        if self.delete { fs::remove_dir_all(path).at("remove", path) } else { Ok(()) }
    }
}

/// Bytes of the files in `dir` that no other name shares.
fn own_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for path in entries(dir)? {
        let metadata = fs::symlink_metadata(&path).at("read", &path)?;
        bytes += match (metadata.is_dir(), metadata.nlink()) {
            (true, _) => own_bytes(&path)?,
            (false, 1) => metadata.len(),
            (false, _) => 0,
        };
    }
    Ok(bytes)
}

/// Files in the directories of two digits under `root`: those digits, the name, the path.
pub(crate) fn fanned(root: &Path) -> Result<Vec<(String, String, PathBuf)>> {
    let mut found = Vec::new();
    for dir in entries(root)? {
        for path in entries(&dir)? {
            let name =
                |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
            found.push((name(&dir).unwrap_or_default(), name(&path).unwrap_or_default(), path));
        }
    }
    Ok(found)
}

fn named(head: &str, rest: &str) -> Option<Digest> {
    format!("b3:{head}{rest}").parse().ok()
}

fn digest_of(path: &Path) -> Option<Digest> {
    format!("b3:{}", path.file_name()?.to_str()?).parse().ok()
}
