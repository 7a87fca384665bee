//! The hidden command that runs one group of a frozen task list: the same for a worker of this machine and a cluster job.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pipelines::context::Cancel;
use pipelines::error::Error;
use pipelines::task::{Report, TaskArray};

use crate::stages::Stage;

/// How long tasks may take to stop before the process ends under them.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a program that waits for others looks whether it is to stop.
const LISTEN_EVERY: Duration = Duration::from_millis(50);

/// A command that goes on from nothing was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

#[derive(Args)]
pub struct Command {
    /// The directory of the frozen task list
    list: PathBuf,
    /// Which group of it
    index: usize,
    /// Stop when standard input closes: then whoever started this is gone
    #[arg(long)]
    attended: bool,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let cancel = stop_on_signals()?;
        if self.attended {
            stop_when_left_alone(cancel.clone());
        }
        let array = TaskArray::<Stage>::read(&self.list, self.index)?;
        let report: Report = Arc::new(|event| {
            let Ok(line) = serde_json::to_string(&event) else { return };
            // Nobody may be listening; the store tells what was done.
            let _ = writeln!(io::stdout(), "{line}");
        });
        if !array.run_group(0, &report, &cancel)? {
            // What went wrong was reported as an event; the exit status tells a batch system.
            std::process::exit(1);
        }
        Ok(())
    }
}

/// A flag that SIGINT and SIGTERM raise.
pub fn stop_on_signals() -> anyhow::Result<Cancel> {
    let cancel = Cancel::default();
    let raised = cancel.clone();
    ctrlc::set_handler(move || raised.cancel()).context("cannot listen for signals")?;
    Ok(cancel)
}

/// Fails if the program was told to stop.
pub fn check(cancel: &Cancel) -> Result<(), Error> {
    if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// What another thread sends next, unless the program is told to stop before; `None` if it sends no more.
pub fn listen<T>(thread: &Receiver<T>, cancel: &Cancel) -> Result<Option<T>, Error> {
    loop {
        check(cancel)?;
        match thread.recv_timeout(LISTEN_EVERY) {
            Ok(sent) => return Ok(Some(sent)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Whether the program was told to stop, as an error of any command says.
pub fn is_interrupted(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Interrupted>() || matches!(cause.downcast_ref(), Some(Error::Cancelled))
    })
}

/// The error of a command of which no run can go on: that it was told to stop is all there is to say.
pub fn without_resuming(error: anyhow::Error) -> anyhow::Error {
    if is_interrupted(&error) { Interrupted.into() } else { error }
}

fn stop_when_left_alone(cancel: Cancel) {
    std::thread::spawn(move || {
        let mut nothing = [0u8; 64];
        while io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        cancel.cancel();
        std::thread::sleep(PATIENCE);
        // A task that does not look at the flag: what it has written is not visible to anyone.
        std::process::exit(1);
    });
}
