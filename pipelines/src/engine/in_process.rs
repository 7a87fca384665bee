//! Groups in this very process, one after another: for tests, and for stages that run alone in a library.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Engine;
use crate::context::Cancel;
use crate::error::Result;
use crate::stage::Stage;
use crate::task::{Event, Report, TaskArray};

/// Runs groups here, one after another.
pub struct InProcess;

impl<S: Stage> Engine<S> for InProcess {
    fn workers(&self) -> usize {
        1
    }

    fn run(
        &self,
        array: &TaskArray<S>,
        _: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<()> {
        for index in 0..array.groups.len() {
            let events = Arc::new(Mutex::new(Vec::new()));
            let heard = events.clone();
            let report: Report = Arc::new(move |event| {
                heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
            });
            let went_well = array.run_group(index, &report, cancel)?;
            let events = std::mem::take(
                &mut *events.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            );
            events.into_iter().for_each(|event| hear(index, event));
            if !went_well {
                break;
            }
        }
        Ok(())
    }
}
