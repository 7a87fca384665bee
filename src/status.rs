//! `seedbed status`: what is done, what runs, and what is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use pipelines::task::Event;

use crate::cli::Place;
use crate::plan::{self, Tally};
use crate::show;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (plan, out) = plan::load(&self.place)?;
        for step in &plan.steps {
            let tally = Tally::of(step.tasks().map(|(_, task)| task));
            let left = tally.ready + tally.waits;
            let state = match (step.pin, tally.done, left) {
                (Some(_), ..) => "pinned".to_owned(),
                (None, _, 0) => "done".to_owned(),
                (None, 0, left) => format!("not started, {}", show::tasks(left)),
                (None, done, left) => format!("{done} of {} done", show::tasks(done + left)),
            };
            show::line(format!("{:<20} {:<12} {state}", step.name, step.stage))?;
        }
        if let Some(run) = LastLog::newest(&out.store.root().join("runs")) {
            run.say()?;
        }
        Ok(())
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
    fn newest(runs: &Path) -> Option<Self> {
        let dirs = std::fs::read_dir(runs).ok()?;
        let mut dirs: Vec<PathBuf> = dirs.flatten().map(|entry| entry.path()).collect();
        dirs.sort();
        dirs.into_iter()
            .rev()
            .find_map(|dir| Some(Self::read(&std::fs::read_to_string(dir.join("log.jsonl")).ok()?)))
    }

    fn read(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines() {
            let event = serde_json::from_str::<serde_json::Value>(line)
                .ok()
                .map(|mut line| line["event"].take());
            let Some(Ok(event)) = event.map(serde_json::from_value::<Event>) else { continue };
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
                Event::Total { .. } | Event::Advanced { .. } | Event::Note { .. } => {}
            }
        }
        log
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
            let alive = Path::new("/proc").join(pid.to_string()).exists();
            let state = if alive { "running" } else { "was interrupted" };
            show::line(format!("  {state} {task} (process {pid})"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_is_open_and_what_failed() {
        let log = LastLog::read(concat!(
            "{\"time\":1.0,\"event\":{\"started\":{\"task\":\"a/b/c\",\"pid\":1}}}\n",
            "{\"time\":1.0,\"event\":{\"started\":{\"task\":\"a/b/d\",\"pid\":1}}}\n",
            "{\"time\":2.0,\"event\":{\"finished\":{\"task\":\"a/b/c\",\"seconds\":1.0}}}\n",
            "{\"time\":2.0,\"event\":{\"failed\":{\"task\":\"a/b/e\",\"message\":\"m\",\"cancelled\":false}}}\n",
            "a line that was cut",
        ));
        assert_eq!((log.finished, log.failed.len()), (1, 1));
        assert_eq!(log.open.keys().collect::<Vec<_>>(), ["a/b/d"]);
    }
}
