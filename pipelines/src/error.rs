//! How the frame can fail.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;

/// What a task, and so a stage, fails with: any error that can cross a thread.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Why something in the frame failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes are not those that their digest promises.
    #[error(
        "{path}: its bytes are {found:?}, but {expected:?} was written; the file is damaged{advice}"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: Digest,
        /// What it holds.
        found: Digest,
        /// What to do, starting with a semicolon, or nothing.
        advice: &'static str,
    },
    /// A file is not of the format that its place promises.
    #[error("{path}: found {found}, expected {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A file was written by a newer version of this program.
    #[error(
        "{path}: {what} version {found}; this build reads up to {supported}: use a newer seedbed"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Which format.
        what: &'static str,
        /// Its version.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// The manifest cannot be read or makes no sense.
    #[error("{path}: {message}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, where, and what would be right.
        message: String,
    },
    /// A step of the manifest asks for something that is not there.
    #[error("step `{step}`: {message}")]
    Step {
        /// The step.
        step: String,
        /// What is wrong.
        message: String,
    },
    /// Tasks failed; the first message stands for all.
    #[error("{failed} of {planned} tasks failed; the first was {task}: {message}")]
    TasksFailed {
        /// How many failed.
        failed: usize,
        /// How many the wave had.
        planned: usize,
        /// The first, as `step/phase/task`.
        task: String,
        /// What it said.
        message: String,
    },
    /// Two runs of one task gave different bytes.
    #[error(
        "task {task} gave {found:?} where an earlier attempt gave {expected:?}; this is a bug in seedbed: please report it"
    )]
    NotReproduced {
        /// The task's key.
        task: Digest,
        /// What the earlier attempt wrote.
        expected: Digest,
        /// What this one wrote.
        found: Digest,
    },
    /// A task ended well, and its result is not in the store.
    #[error(
        "{task} ended well, but its result is not in the store; does something else change the store, or is the disk failing?"
    )]
    NotKept {
        /// The task, as `step/phase/task`.
        task: String,
    },
    /// A worker resolves a phase's config to something else than was planned.
    #[error(
        "{task}: this machine resolves its config to {found}, but {expected} was planned; does it compute differently?"
    )]
    OtherConfig {
        /// The task, as `step/phase/task`.
        task: String,
        /// What this process makes of the config.
        found: String,
        /// What the plan says.
        expected: String,
    },
    /// A task asked for an input that it did not declare, or an output twice.
    #[error("a task names {what}, which is not there; this is a bug in the stage")]
    Undeclared {
        /// The role or output.
        what: String,
    },
    /// Something is to be removed from a store that a run works with.
    #[error("{path}: a run is under way; try again when it has ended")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// A store is being collected.
    #[error("{path}: `seedbed gc` is at work in it; try again when it has ended")]
    BeingCollected {
        /// The store.
        path: PathBuf,
    },
    /// The run was told to stop.
    #[error("interrupted; run again to go on from here")]
    Cancelled,
}

/// The frame's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Puts the action and the path beside an I/O error.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}

/// An error and its causes in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
