//! Working memory between uses.

use std::sync::{Mutex, PoisonError};

/// Working memory of threads that are not encoding now.
pub(crate) struct Idle<S>(Mutex<Vec<S>>);

impl<S> Default for Idle<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Default> Idle<S> {
    /// What `work` gives with memory that no other thread has meanwhile.
    pub(crate) fn lend<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle().pop().unwrap_or_default();
        let done = work(&mut scratch);
        idle().push(scratch);
        done
    }
}
