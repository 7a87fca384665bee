//! The engine of a laboratory: this process, where something may happen to a run.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pipelines::context::Cancel;
use pipelines::engine::Engine;
use pipelines::error::Result;
use pipelines::task::{Event, Report, TaskArray};

use crate::step::Step;

/// What happens to a run as soon as its tasks have advanced by so much: optimizer steps, where they train.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is told to stop.
    Cancelled(u64),
    /// It dies, without a chance to save anything.
    Killed(u64),
}

/// Runs groups here, one after another.
#[derive(Default)]
pub struct Bench {
    /// Threads of each task; as many as there are cores without it.
    pub threads: Option<usize>,
    /// What happens.
    pub fate: Option<Fate>,
    /// How far all tasks are.
    pub advanced: Arc<AtomicU64>,
}

impl Engine<Step> for Bench {
    fn workers(&self) -> usize {
        1
    }

    fn run(
        &self,
        array: &TaskArray<Step>,
        _: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<()> {
        let threads = self.threads.unwrap_or(array.threads);
        let array = TaskArray { threads, ..array.clone() };
        for index in 0..array.groups.len() {
            let events = Arc::new(Mutex::new(Vec::new()));
            array.run_group(index, &self.report(&events, cancel), cancel)?;
            let events = std::mem::take(&mut *events.lock().unwrap());
            events.into_iter().for_each(|event| hear(index, event));
        }
        Ok(())
    }
}

impl Bench {
    /// Notes `events`, and lets the fate strike.
    fn report(&self, events: &Arc<Mutex<Vec<Event>>>, cancel: &Cancel) -> Report {
        let (events, cancel, fate) = (events.clone(), cancel.clone(), self.fate);
        let advanced = self.advanced.clone();
        Arc::new(move |event| {
            let done = if let Event::Advanced { done } = event { done } else { 0 };
            events.lock().unwrap().push(event);
            let advanced = advanced.fetch_add(done, Ordering::Relaxed) + done;
            match fate {
                Some(Fate::Cancelled(at)) if advanced >= at => cancel.cancel(),
                Some(Fate::Killed(at)) if done > 0 && advanced >= at => {
                    std::panic::panic_any("killed".to_owned())
                }
                _ => {}
            }
        })
    }
}
