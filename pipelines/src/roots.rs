//! Roots: what a store is to keep. Every run registers one, and so does every import.
//!
//! A root of a run names the manifest, the artifacts and, in an object of its own, the keys of all tasks that the plan held:
//! equal plans share that object. While a run goes on it registers what it has reached so far, so that what an interrupted one
//! has done is not lost. [`crate::gc`] keeps what the newest roots reach.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::plan::Plan;
use crate::record::{checked, with_checksum};
use crate::store::Store;

/// The file of a root in the directory of a run that ended well.
pub const FILE: &str = "root.json";
/// The file of what a run has reached so far; gone when it has ended well.
pub const SO_FAR: &str = "so-far.json";

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// [`Root::VERSION`] of the writer.
    #[serde(default = "Root::first_version")]
    pub version: u64,
    /// The manifest's name.
    #[serde(default)]
    pub manifest: String,
    /// Tasks that ran, by `step/phase`.
    pub ran: BTreeMap<String, usize>,
    /// Identities of the artifacts, by `step/kind`.
    pub artifacts: BTreeMap<String, Digest>,
    /// The object that lists the keys of the plan's tasks; absent in roots of early builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Digest>,
    /// The keys themselves, as long as the run goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Digest>,
    /// The object that lists what of their outputs the manifest lets go, as keys are listed; absent if that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_go: Option<Digest>,
    /// Under what its training states are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<Digest>,
}

impl Root {
    /// Version of the format. Roots of version 1 have neither a version nor a checksum.
    pub const VERSION: u64 = 2;

    /// A root of the manifest called `manifest`, which reaches nothing yet.
    pub fn new(manifest: &str) -> Self {
        Self { version: Self::VERSION, manifest: manifest.to_owned(), ..Self::default() }
    }

    fn first_version() -> u64 {
        1
    }

    /// Reads the root at `path`; nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or was written by a newer version.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.at("read", path)?,
        };
        checked(path, &bytes, "root of a run", Self::VERSION).map(Some).map_err(|error| match error
        {
            Error::Format { path, found, .. } => {
                let expected = "the root of a run; `seedbed verify` sets a damaged one aside";
                Error::Format { path, found, expected: expected.into() }
            }
            other => other,
        })
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        with_checksum(self)
    }
}

/// Bytes of a digest in a list: 64 hexadecimal digits and a line end.
const LINE_BYTES: usize = 65;

/// The keys of all tasks of `plan` that are known.
pub(crate) fn keys(plan: &Plan) -> Vec<Digest> {
    plan.steps.iter().flat_map(|step| step.tasks()).filter_map(|(_, task)| task.key()).collect()
}

/// Stores the sorted keys of all tasks of `plan`, and gives the object's name.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn keep_keys(store: &Store, plan: &Plan) -> Result<Digest> {
    keep_list(store, keys(plan))
}

/// Stores which outputs of finished steps the manifest lets go, and gives the object's name; nothing if there are none.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn keep_let_go(store: &Store, plan: &Plan) -> Result<Option<Digest>> {
    let done = plan.steps.iter().filter(|step| step.is_done());
    let tasks = done.flat_map(|step| step.tasks());
    let outputs: Vec<Digest> =
        tasks.flat_map(|(_, task)| &task.passing).map(|output| output.digest).collect();
    if outputs.is_empty() { Ok(None) } else { keep_list(store, outputs).map(Some) }
}

fn keep_list(store: &Store, mut digests: Vec<Digest>) -> Result<Digest> {
    digests.sort_unstable();
    digests.dedup();
    let mut list = String::with_capacity(digests.len() * LINE_BYTES);
    for digest in digests {
        list.push_str(&digest.hex());
        list.push('\n');
    }
    store.put(list.as_bytes())
}

/// Reads a list that [`keep_keys`] or [`keep_let_go`] stored.
pub(crate) fn list(store: &Store, list: &Digest) -> Result<Vec<Digest>> {
    let bytes = store.get(list)?;
    let wrong = || Error::Format {
        path: store.object_path(list),
        found: "another line".into(),
        expected: "digests, 64 hexadecimal digits a line".into(),
    };
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    text.lines().map(|line| format!("b3:{line}").parse().map_err(|_| wrong())).collect()
}

/// A run as the store knows it.
pub(crate) struct KnownRun {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// What it reached; nothing if it ended before its first task.
    pub(crate) root: Option<Root>,
    /// Whether it ended well.
    pub(crate) has_ended_well: bool,
}

/// All runs, the newest first.
///
/// # Errors
/// When the directory of runs or a root cannot be read.
pub(crate) fn runs(store: &Store) -> Result<Vec<KnownRun>> {
    let mut dirs = entries(&store.root().join("runs"))?;
    dirs.sort();
    let read = |dir: PathBuf| {
        let root = Root::read(&dir.join(FILE))?;
        let has_ended_well = root.is_some();
        let root = match root {
            None => Root::read(&dir.join(SO_FAR))?,
            ended => ended,
        };
        Ok(KnownRun { dir, root, has_ended_well })
    };
    dirs.into_iter().rev().map(read).collect()
}

/// Registers an imported artifact.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn keep_import(store: &Store, identity: &Digest) -> Result<()> {
    store.write_in_place(&store.root().join("imports").join(identity.hex()), b"")
}

/// Identities of imported artifacts.
pub(crate) fn imports(store: &Store) -> Result<Vec<Digest>> {
    let names = entries(&store.root().join("imports"))?;
    Ok(names
        .iter()
        .filter_map(|path| format!("b3:{}", path.file_name()?.to_str()?).parse().ok())
        .collect())
}

/// What stands in a directory; nothing if it is not there.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path()).at("read", dir)).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).at("read", dir),
    }
}
