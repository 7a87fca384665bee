//! `seedbed status`: what is done, what runs, and what is left.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use pipelines::log::{Logged, LoggedRun};
use pipelines::plan::PlannedStep;
use pipelines::store::Store;
use pipelines::task::Event;
use serde::Serialize;
use serde_json::json;

use crate::cli::Place;
use crate::plan::{self, Tally, Training};
use crate::show;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// How far a step is.
#[derive(Serialize)]
struct StepStatus<'a> {
    step: &'a str,
    stage: &'a str,
    /// `pinned`, `done`, `started` or `not-started`.
    state: &'static str,
    done: usize,
    left: usize,
    /// Where training goes on.
    training: Option<String>,
}

impl<'a> StepStatus<'a> {
    fn of(step: &'a PlannedStep, store: &Store) -> anyhow::Result<Self> {
        let tally = Tally::of(step.tasks().map(|(_, task)| task));
        let left = tally.ready + tally.waits;
        let training = Training::of(step, store)?;
        // Nothing of a training need be done for there to be a state that it goes on from.
        let is_started = tally.done > 0 || training.as_ref().is_some_and(Training::is_started);
        let state = match (step.pin, left) {
            (Some(_), _) => "pinned",
            (None, 0) => "done",
            (None, _) if is_started => "started",
            (None, _) => "not-started",
        };
        let training = training.map(|training| training.to_string());
        Ok(Self { step: &step.name, stage: step.stage, state, done: tally.done, left, training })
    }

    fn say(&self) -> anyhow::Result<()> {
        let state = match self.state {
            "started" => {
                format!("{} of {} done", self.done, show::tasks(self.done + self.left))
            }
            "not-started" => format!("not started, {}", show::tasks(self.left)),
            state => state.to_owned(),
        };
        let training = self.training.iter().map(|line| format!("; {line}")).collect::<String>();
        show::line(format!("{:<20} {:<12} {state}{training}", self.step, self.stage))
    }
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (plan, out) = plan::load(&self.place)?;
        let steps: Vec<StepStatus<'_>> = plan
            .steps
            .iter()
            .map(|step| StepStatus::of(step, &out.store))
            .collect::<anyhow::Result<_>>()?;
        let log = LastLog::newest(&out.store)?;
        if self.json {
            let last_run = log.as_ref().map(LastLog::describe);
            let both = json!({ "steps": steps, "last_run": last_run });
            return show::line(serde_json::to_string(&both)?);
        }
        steps.iter().try_for_each(StepStatus::say)?;
        log.map_or(Ok(()), |log| log.say())
    }
}

/// What the newest run's log says.
#[derive(Default)]
struct LastLog {
    finished: usize,
    failed: Vec<(String, String)>,
    /// Tasks that started and neither ended nor failed, with the process that ran them.
    open: BTreeMap<String, u32>,
}

impl LastLog {
    /// Of the newest run whose log can be read.
    fn newest(store: &Store) -> anyhow::Result<Option<Self>> {
        let mut runs = LoggedRun::all(store)?.into_iter();
        Ok(runs.find_map(|run| Some(Self::of(run.events().ok()?.0))))
    }

    fn of(events: Vec<Logged>) -> Self {
        let mut log = Self::default();
        for Logged { event, .. } in events {
            match event {
                Event::Started { task, pid } => {
                    log.open.insert(task, pid);
                }
                Event::Finished { task, .. } => {
                    log.open.remove(&task);
                    log.finished += 1;
                }
                // Its process goes on to its end, and the task stays open.
                Event::Failed { cancelled: true, .. } => {}
                Event::Failed { task, message, .. } => {
                    log.open.remove(&task);
                    log.failed.push((task, message));
                }
                Event::Total { .. }
                | Event::Advanced { .. }
                | Event::Note { .. }
                | Event::Measured { .. } => {}
            }
        }
        log
    }

    fn describe(&self) -> serde_json::Value {
        let failed =
            self.failed.iter().map(|(task, message)| json!({ "task": task, "message": message }));
        let open = self
            .open
            .iter()
            .map(|(task, pid)| json!({ "task": task, "pid": pid, "running": is_alive(*pid) }));
        json!({
            "finished": self.finished,
            "failed": failed.collect::<Vec<_>>(),
            "open": open.collect::<Vec<_>>(),
        })
    }

    fn say(&self) -> anyhow::Result<()> {
        show::line(format!(
            "last run: {} finished, {} failed",
            show::tasks(self.finished),
            self.failed.len()
        ))?;
        for (task, message) in &self.failed {
            show::line(format!("  failed {task}: {message}"))?;
        }
        for (task, pid) in &self.open {
            let state = if is_alive(*pid) { "running" } else { "was interrupted" };
            show::line(format!("  {state} {task} (process {pid})"))?;
        }
        Ok(())
    }
}

/// Whether a process runs.
pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_is_open_and_what_failed() {
        let started = |task: &str| Event::Started { task: task.into(), pid: 1 };
        let events = [
            started("a/b/c"),
            started("a/b/d"),
            Event::Finished { task: "a/b/c".into(), seconds: 1.0 },
            Event::Failed { task: "a/b/e".into(), message: "m".into(), cancelled: false },
        ];
        let log = LastLog::of(events.map(|event| Logged { time: 1.0, event }).into());
        assert_eq!((log.finished, log.failed.len()), (1, 1));
        assert_eq!(log.open.keys().collect::<Vec<_>>(), ["a/b/d"]);
    }
}
