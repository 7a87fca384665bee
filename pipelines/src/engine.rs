//! Engines: how the groups of a frozen task list get run.
//!
//! An engine offers one thing: run this command for index i of N. Which tasks there are, which are done, and what is
//! tried again is decided elsewhere, from the store.

mod in_process;
mod local;

pub use in_process::InProcess;
pub use local::Local;

use std::path::Path;

use crate::context::Cancel;
use crate::error::Result;
use crate::task::{Event, TaskArray};

/// Runs the groups of a list.
pub trait Engine<S> {
    /// How many workers run at once.
    fn workers(&self) -> usize;

    /// Bytes of memory that all workers together may take; `None` where nothing bounds it.
    fn memory(&self) -> Option<u64> {
        None
    }

    /// Runs every group of `array`, which also stands in the file `list`, and says what happens as it happens, with the
    /// group that it happens in. Comes back when no worker is left.
    ///
    /// # Errors
    /// When workers cannot be started or die again and again. Failing tasks are reported, not returned.
    fn run(
        &self,
        array: &TaskArray<S>,
        list: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<()>;
}
