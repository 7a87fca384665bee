//! What a running task may know that never changes its bytes: threads, progress, whether to stop, states to start from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::input::Mapped;
use crate::output::{OutputFile, Size, TaskOutput};
use crate::store::{Store, TrainingState, move_into_place};

/// What progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of input.
    Bytes,
    /// Rows.
    Rows,
    /// Optimizer steps.
    Steps,
}

/// Hears how far a task is.
pub trait ProgressSink: Send + Sync {
    /// The task has `total` units of work.
    fn begin(&self, total: u64, unit: Unit);
    /// `done` more units are done.
    fn advance(&self, done: u64);
    /// A line worth showing, such as a loss.
    fn note(&self, line: &str);
    /// What training measured after a step: a line of `metrics.jsonl`.
    fn measured(&self, line: serde_json::Value);
}

/// A flag that tells tasks to stop.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Tells every holder to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The surroundings of a running task.
pub struct Context {
    pub(crate) threads: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) progress: Box<dyn ProgressSink>,
    pub(crate) cancel: Cancel,
    pub(crate) states: Option<States>,
}

/// The training states that a task shares with runs of other lengths.
pub(crate) struct States {
    pub(crate) store: Store,
    pub(crate) prefix: Digest,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Context {
    /// Threads in the pool that the task runs in.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Bytes of memory that the task may take; `None` where nothing bounds it.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Fails if the run was told to stop. Long loops call it at least once a second.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Whether the run was told to stop; for a task that saves something first.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Says how much work there is.
    pub fn begin(&self, total: u64, unit: Unit) {
        self.progress.begin(total, unit);
    }

    /// Says that `done` more units are done.
    pub fn advance(&self, done: u64) {
        self.progress.advance(done);
    }

    /// Shows a line, such as a loss.
    pub fn note(&self, line: &str) {
        self.progress.note(line);
    }

    /// Says what was measured after a step: a line of `metrics.jsonl`, for the log of the run.
    pub fn measured(&self, line: &impl serde::Serialize) {
        // A number that JSON cannot hold fails where the file is written.
        if let Ok(line) = serde_json::to_value(line) {
            self.progress.measured(line);
        }
    }

    /// The longest stored state that this training task can start from, and after how many steps it was reached.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn latest_state(&self) -> Result<Option<(u64, Mapped)>> {
        let Some(states) = &self.states else { return Ok(None) };
        for (step, state) in states.store.states(&states.prefix, states.to)? {
            if step <= states.from {
                break;
            }
            // Another attempt may let a passing state go meanwhile; the one before it does as well.
            let path = states.store.state_path(&states.prefix, step, &state);
            let Ok(mapped) = Mapped::open(path, 0, state.file.bytes) else { continue };
            if Digest::of(&mapped) == state.file.digest {
                return Ok(Some((step, mapped)));
            }
        }
        Ok(None)
    }

    /// Stores the state after `step` steps, to start from if this task does not come to its end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_state(
        &self,
        step: u64,
        write: impl FnOnce(&mut OutputFile) -> std::io::Result<()>,
    ) -> Result<()> {
        let Some(states) = &self.states else { return Ok(()) };
        let output = TaskOutput::new(&states.store)?;
        let mut file = output.create("state")?;
        write(&mut file).map_err(|source| Error::Io {
            action: "write",
            path: states.store.root().to_owned(),
            source,
        })?;
        let (_, path, file) = file.close(Size::Bytes)?;
        move_into_place(&path, &states.store.passing_path(&states.prefix, step))?;
        states.store.keep_state(&states.prefix, step, &TrainingState { passing: true, file })?;
        states.store.drop_passing_states(&states.prefix, step)
    }
}
