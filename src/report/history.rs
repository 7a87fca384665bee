//! What a run's log says: which tasks ran, how long they took, how it ended.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use pipelines::digest::Digest;
use pipelines::log::{Logged, LoggedRun, Start, StartedStep};
use pipelines::roots::Root;
use pipelines::store::Store;
use pipelines::task::Event;

use crate::status::is_alive;

/// Runs that are named where one is not found.
const MAX_NAMED: usize = 10;

/// A run as its log tells it.
pub struct History {
    /// Its name in the store.
    pub name: String,
    /// What it started from.
    pub start: Start,
    /// What it came to, or what it had reached when something last became of it.
    pub root: Root,
    /// How it ended.
    pub end: End,
    /// When it started, in seconds since 1970.
    pub began: f64,
    /// When something last happened in it, in seconds since 1970.
    pub ended: f64,
    /// Tasks that failed, with their messages, in order.
    pub failures: Vec<(String, String)>,
    /// What ran, by step and phase.
    pub phases: BTreeMap<(String, String), Phase>,
    /// Lines of the log that cannot be understood.
    pub damaged_lines: usize,
    /// Whether training measured something in it.
    pub has_curves: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was made.
    Well,
    /// A task failed.
    Failed,
    /// It was stopped, or killed.
    Interrupted,
    /// It goes on.
    UnderWay,
}

/// What ran of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phase {
    /// Tasks that started.
    pub started: usize,
    /// Tasks that ended well.
    pub finished: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Seconds of all tasks together.
    pub busy: f64,
    /// When the first started and the last ended, in seconds since 1970.
    pub span: Option<(f64, f64)>,
}

impl Phase {
    /// Seconds from the start of its first task to the end of its last.
    pub fn seconds(&self) -> f64 {
        self.span.map_or(0.0, |(from, to)| to - from)
    }

    fn reach(&mut self, time: f64) {
        let (from, to) = self.span.unwrap_or((time, time));
        self.span = Some((from.min(time), to.max(time)));
    }
}

/// The newest run that ran a task. A newer one that found the same artifacts made tells nothing more.
///
/// # Errors
/// When there is none, or the directory of runs cannot be read.
pub fn newest(store: &Store) -> anyhow::Result<LoggedRun> {
    let mut runs = LoggedRun::all(store)?.into_iter();
    let newest = runs.find(|run| run.start().is_ok_and(|start| start.is_some()));
    let newest = newest.with_context(|| {
        format!("{}: found no run, expected one: `seedbed run`", store.root().display())
    })?;
    let Some(root) = newest.root()?.filter(|_| !newest.has_events()) else { return Ok(newest) };
    let made = |run: &LoggedRun| {
        run.has_events()
            && run.start().is_ok_and(|start| start.is_some())
            && run
                .root()
                .is_ok_and(|made| made.is_some_and(|made| made.artifacts == root.artifacts))
    };
    Ok(runs.find(made).unwrap_or(newest))
}

/// The run whose name starts with `name`.
///
/// # Errors
/// When there is none, or several; those that there are are named.
pub fn named(store: &Store, name: &str) -> anyhow::Result<LoggedRun> {
    let runs = LoggedRun::all(store)?;
    let found: Vec<&LoggedRun> = runs.iter().filter(|run| run.name().starts_with(name)).collect();
    if let [run] = found[..] {
        return Ok(run.clone());
    }
    let list = if found.is_empty() { runs.iter().collect() } else { found.clone() };
    let mut names: Vec<&str> = list.iter().take(MAX_NAMED).map(|run| run.name()).collect();
    if list.len() > MAX_NAMED {
        names.push("and older ones");
    }
    match found.len() {
        _ if runs.is_empty() => bail!("there is no run `{name}`, and no other: `seedbed run`"),
        0 => bail!("there is no run `{name}`; there are {}", names.join(", ")),
        _ => bail!("`{name}` may be any of the runs {}", names.join(", ")),
    }
}

impl History {
    /// Reads the log of a run.
    ///
    /// # Errors
    /// When it cannot be read, or an early build wrote it.
    pub fn read(run: &LoggedRun) -> anyhow::Result<Self> {
        let start = run.start()?.with_context(|| {
            format!("run {}: found no `start.json`, which runs of early builds lack", run.name())
        })?;
        let (events, damaged_lines) = run.events()?;
        let root = run.root()?;
        let has_ended_well = root.is_some();
        let root = match root {
            Some(root) => root,
            None => run.so_far()?.unwrap_or_default(),
        };
        let began = run.started().unwrap_or(0.0);
        let mut history = Self {
            name: run.name().to_owned(),
            start,
            root,
            end: End::Well,
            began,
            ended: began,
            failures: Vec::new(),
            phases: BTreeMap::new(),
            damaged_lines,
            has_curves: run.tensorboard().is_some(),
        };
        events.into_iter().for_each(|event| history.hear(event));
        let goes_on = || run.pid().is_some_and(|pid| pid != std::process::id() && is_alive(pid));
        history.end = match has_ended_well {
            true => End::Well,
            false if !history.failures.is_empty() => End::Failed,
            false if goes_on() => End::UnderWay,
            false => End::Interrupted,
        };
        Ok(history)
    }

    fn hear(&mut self, Logged { time, event }: Logged) {
        self.ended = self.ended.max(time);
        match event {
            Event::Started { task, .. } => {
                let phase = self.phase(&task);
                phase.started += 1;
                phase.reach(time);
            }
            Event::Finished { task, seconds } => {
                let phase = self.phase(&task);
                phase.finished += 1;
                phase.busy += seconds;
                phase.reach(time);
            }
            Event::Failed { cancelled: true, .. } => {}
            Event::Failed { task, message, .. } => {
                self.phase(&task).failed += 1;
                self.failures.push((task, message));
            }
            Event::Total { .. }
            | Event::Advanced { .. }
            | Event::Note { .. }
            | Event::Measured { .. } => {}
        }
    }

    fn phase(&mut self, task: &str) -> &mut Phase {
        let mut names = task.splitn(3, '/').map(str::to_owned);
        let mut next = || names.next().unwrap_or_default();
        self.phases.entry((next(), next())).or_default()
    }

    /// What ran of a phase; nothing where none of it did.
    pub fn ran(&self, step: &str, phase: &str) -> Phase {
        self.phases.get(&(step.to_owned(), phase.to_owned())).copied().unwrap_or_default()
    }

    /// Whether all tasks of `step` are done, by this run or before.
    pub fn is_done(&self, step: &StartedStep) -> bool {
        // Of two steps that ask for the same result, only one is heard to make it.
        self.artifacts_of(step).next().is_some()
            || step
                .phases
                .iter()
                .all(|phase| phase.done + self.ran(&step.name, &phase.name).finished >= phase.tasks)
    }

    /// Identities of what the run made of `step` or found made, in the order of kinds.
    pub fn artifacts_of(&self, step: &StartedStep) -> impl Iterator<Item = Digest> {
        let is_of = |name: &str| name.split_once('/').is_some_and(|(of, _)| of == step.name);
        self.root.artifacts.iter().filter(move |(name, _)| is_of(name)).map(|(_, found)| *found)
    }

    /// Tasks that ended well in this run.
    pub fn finished(&self) -> usize {
        self.phases.values().map(|phase| phase.finished).sum()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use pipelines::log::StartedPhase;

    /// A step of one phase `work` whose tasks are `done` before the run, out of `tasks`.
    pub fn step(name: &str, reads: &[&str], tasks: usize, done: usize) -> StartedStep {
        StartedStep {
            name: name.into(),
            stage: "tokenize".into(),
            reads: reads.iter().map(|&name| name.to_owned()).collect(),
            pin: None,
            config: serde_json::json!({}),
            phases: vec![StartedPhase { name: "work".into(), tasks, done }],
        }
    }

    /// A run of these steps in which `events` happened, a second apart.
    pub fn history(steps: Vec<StartedStep>, events: Vec<Event>) -> History {
        let start = Start { manifest: "tests".into(), steps, ..Start::default() };
        let mut history = History {
            name: "1-1".into(),
            start,
            root: Root::default(),
            end: End::Interrupted,
            began: 0.0,
            ended: 0.0,
            failures: Vec::new(),
            phases: BTreeMap::new(),
            damaged_lines: 0,
            has_curves: false,
        };
        let mut time = 0.0;
        for event in events {
            time += 1.0;
            history.hear(Logged { time, event });
        }
        history
    }

    pub fn started(task: &str) -> Event {
        Event::Started { task: task.into(), pid: 1 }
    }

    pub fn finished(task: &str) -> Event {
        Event::Finished { task: task.into(), seconds: 0.5 }
    }

    #[test]
    fn a_phase_takes_from_its_first_start_to_its_last_end() {
        let events = ["a/work/1", "a/work/2"].map(|task| [started(task), finished(task)]).concat();
        let history = history(vec![step("a", &[], 3, 1)], events);
        let ran = history.ran("a", "work");
        assert_eq!((ran.started, ran.finished, ran.busy, ran.seconds()), (2, 2, 1.0, 3.0));
        assert!(history.is_done(&history.start.steps[0]));
        assert_eq!(history.ran("b", "work"), Phase::default());
    }

    #[test]
    fn tasks_that_failed_are_told_and_those_that_were_stopped_are_not() {
        let failed = |task: &str, cancelled| Event::Failed {
            task: task.into(),
            message: "no space".into(),
            cancelled,
        };
        let events = vec![failed("a/work/1", true), failed("a/work/2", false)];
        let history = history(vec![step("a", &[], 2, 0)], events);
        assert_eq!(history.failures, [("a/work/2".to_owned(), "no space".to_owned())]);
        assert!(!history.is_done(&history.start.steps[0]));
    }
}
