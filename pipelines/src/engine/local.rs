//! Worker processes on this machine, started with the command that a cluster job would use.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::Engine;
use crate::context::Cancel;
use crate::error::{At, Error, Result};
use crate::task::{Event, TaskArray};

/// How often a group is started again after its worker was killed.
const RESTARTS: u32 = 2;
/// How long a worker may take to stop when told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts `program run-tasks LIST INDEX --attended` for each group, several at once.
///
/// A worker holds the reading end of a pipe; when the writing end here goes, because the run is told to stop or this process
/// is killed, the worker stops too, so no worker outlives its run.
pub struct Local {
    /// The program.
    pub program: PathBuf,
    /// Most workers at once.
    pub workers: usize,
    /// Bytes of memory that they may take together. Where a step's workers want more than that, one runs at a time.
    pub memory: u64,
}

enum Said {
    Event(Event),
    /// The worker closed its output: it is about to end.
    Closed,
}

struct Worker {
    child: Child,
    /// Dropped to tell the worker to stop.
    leash: Option<ChildStdin>,
    restarts: u32,
    /// The task that it is at, or was at last.
    task: String,
    /// Whether it said that a task failed.
    failed: bool,
}

impl Worker {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Started { task, .. } => self.task.clone_from(task),
            Event::Failed { .. } => self.failed = true,
            _ => {}
        }
    }
}

impl<S> Engine<S> for Local {
    fn workers(&self) -> usize {
        self.workers
    }

    fn memory(&self) -> Option<u64> {
        Some(self.memory)
    }

    fn run(
        &self,
        array: &TaskArray<S>,
        list: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<()> {
        let (send, receive) = channel();
        let mut waiting: VecDeque<(usize, u32)> =
            (0..array.groups.len()).map(|index| (index, 0)).collect();
        let mut running: HashMap<usize, Worker> = HashMap::new();
        let mut failed = false;
        let mut stopping: Option<Instant> = None;
        loop {
            while !failed && stopping.is_none() {
                let fits = |(index, _): &(usize, u32)| self.fits(array, &running, *index);
                let Some(at) = waiting.iter().position(fits) else { break };
                let Some((index, restarts)) = waiting.remove(at) else { break };
                running.insert(index, self.start(list, index, restarts, &send)?);
            }
            if running.is_empty() {
                return Ok(());
            }
            if cancel.is_cancelled() {
                stop(&mut running, &mut stopping);
            }
            let Some((index, said)) = next(&receive) else { continue };
            match said {
                Said::Event(event) => {
                    failed |= matches!(event, Event::Failed { .. });
                    if let Some(worker) = running.get_mut(&index) {
                        worker.hear(&event);
                    }
                    hear(index, event);
                }
                Said::Closed => {
                    let Some(mut worker) = running.remove(&index) else { continue };
                    let status = worker.child.wait().at("wait for", &self.program)?;
                    if status.success() || worker.failed || stopping.is_some() {
                        continue;
                    }
                    if status.signal().is_some_and(is_from_outside) && worker.restarts < RESTARTS {
                        let line = format!("a worker ended with {status}; its tasks start again");
                        hear(index, Event::Note { line });
                        waiting.push_front((index, worker.restarts + 1));
                        continue;
                    }
                    failed = true;
                    let task = match worker.task.is_empty() {
                        true => array.groups[index][0].name(),
                        false => worker.task,
                    };
                    let message = format!(
                        "its worker ended with {status} and said nothing, {} times; signal 9 often means too little memory",
                        worker.restarts + 1
                    );
                    hear(index, Event::Failed { task, message, cancelled: false });
                }
            }
        }
    }
}

/// Whether a signal that ended a worker came from outside: a kill, or want of memory. What a process does to itself, such as an
/// abort, it would do again.
fn is_from_outside(signal: i32) -> bool {
    const SIGHUP: i32 = 1;
    const SIGINT: i32 = 2;
    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;
    [SIGHUP, SIGINT, SIGKILL, SIGTERM].contains(&signal)
}

fn next(receive: &Receiver<(usize, Said)>) -> Option<(usize, Said)> {
    receive.recv_timeout(Duration::from_millis(100)).ok()
}

/// Lets go of every worker's leash; later, kills those that did not stop.
fn stop(running: &mut HashMap<usize, Worker>, stopping: &mut Option<Instant>) {
    let since = *stopping.get_or_insert_with(Instant::now);
    for worker in running.values_mut() {
        worker.leash = None;
        if since.elapsed() > PATIENCE {
            // It may have ended meanwhile; then there is nothing to kill.
            let _ = worker.child.kill();
        }
    }
}

impl Local {
    /// Whether a worker for the group `next` may start beside those that run.
    fn fits<S>(&self, array: &TaskArray<S>, running: &HashMap<usize, Worker>, next: usize) -> bool {
        let memory = |index: usize| array.memory(index).unwrap_or(0);
        let taken: u64 = running.keys().map(|index| memory(*index)).sum();
        let step = |index: usize| &array.groups[index][0].step;
        let of_step = running.keys().filter(|index| step(**index) == step(next)).count();
        let most = array.resources(next).workers.map_or(self.workers, NonZeroUsize::get);
        running.is_empty()
            || (running.len() < self.workers
                && of_step < most
                && taken.saturating_add(memory(next)) <= self.memory)
    }

    fn start(
        &self,
        list: &Path,
        index: usize,
        restarts: u32,
        send: &Sender<(usize, Said)>,
    ) -> Result<Worker> {
        let mut child = Command::new(&self.program)
            .arg("run-tasks")
            .arg(list)
            .arg(index.to_string())
            .arg("--attended")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .at("start", &self.program)?;
        let leash = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| Error::Undeclared { what: "a worker's output".into() })?;
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                let event = serde_json::from_str(&line).unwrap_or(Event::Note { line });
                if send.send((index, Said::Event(event))).is_err() {
                    return;
                }
            }
            // Nobody listens when the run is over.
            let _ = send.send((index, Said::Closed));
        });
        Ok(Worker { child, leash, restarts, task: String::new(), failed: false })
    }
}
