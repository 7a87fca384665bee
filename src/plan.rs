//! `seedbed plan`: says what `run` would do, and why.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use pipelines::explain::LastRun;
use pipelines::plan::{Plan, PlannedPhase, PlannedStep, PlannedTask, State};
use pipelines::publish::OutDir;
use pipelines::run::Run;
use pipelines::store::Store;
use serde_json::{Value, json};

use crate::cli::{Place, base_of};
use crate::implied;
use crate::show;

/// Reasons that are shown of a phase; `explain` shows all.
const MAX_REASONS: usize = 3;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (plan, out) = load(&self.place)?;
        if self.json {
            let steps: Vec<Value> =
                plan.steps.iter().map(|step| describe(step, &out.store)).collect();
            return show::line(serde_json::to_string_pretty(&json!({ "steps": steps }))?);
        }
        let mut left = Tally::default();
        for step in &plan.steps {
            say_step(step, &out.store)?;
            if step.pin.is_none() {
                left.add(&Tally::of(step.tasks().map(|(_, task)| task)));
            }
        }
        match (left.ready, left.waits) {
            (0, 0) => show::line("nothing to do: everything is made"),
            (ready, 0) => show::line(format!("{} to run", show::tasks(ready))),
            (ready, waits) => {
                show::line(format!("{} to run now, at most {waits} after them", show::tasks(ready)))
            }
        }
    }
}

/// The plan of the manifest at `place`, and its results.
pub fn load(place: &Place) -> anyhow::Result<(Plan, OutDir)> {
    let manifest = implied::read(&place.manifest)?;
    let out = OutDir::at(&place.out.for_manifest(&place.manifest));
    let plan = Run { manifest: &manifest, base: &base_of(&place.manifest), out: &out }.plan()?;
    Ok((plan, out))
}

/// How many tasks are in which state.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub done: usize,
    pub ready: usize,
    pub waits: usize,
}

impl Tally {
    pub fn of<'a>(tasks: impl Iterator<Item = &'a PlannedTask>) -> Self {
        let mut tally = Self::default();
        for task in tasks {
            match task.state {
                State::Done(_) => tally.done += 1,
                State::Ready => tally.ready += 1,
                State::Waits(_) => tally.waits += 1,
            }
        }
        tally
    }

    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.ready += other.ready;
        self.waits += other.waits;
    }
}

fn say_step(step: &PlannedStep, store: &Store) -> anyhow::Result<()> {
    show::line(format!("{} ({})", step.name, step.stage))?;
    if let Some(pin) = &step.pin {
        let hidden = Tally::of(step.tasks().map(|(_, task)| task));
        return match hidden.ready + hidden.waits {
            0 => show::line(format!("  pinned to {pin}; without the pin nothing would run either")),
            hidden => show::line(format!(
                "  pinned to {pin}; that hides {} that would run",
                show::tasks(hidden)
            )),
        };
    }
    let last = last_run(step, store);
    for phase in &step.phases {
        show::line(format!("  {:<14} {}", phase.name, phase_line(phase)))?;
        for reason in reasons(phase, last.as_ref()) {
            show::line(format!("  {:<14} because {reason}", ""))?;
        }
    }
    if let Some(training) = Training::of(step, store)? {
        show::line(format!("  {training}"))?;
    }
    Ok(())
}

/// What the step's tasks depended on when it was last done; it is long, and only tasks that will run are compared with it.
fn last_run(step: &PlannedStep, store: &Store) -> Option<LastRun> {
    let will_run = step.tasks().any(|(_, task)| matches!(task.state, State::Ready));
    will_run.then(|| LastRun::load(store, &step.name)).flatten()
}

fn phase_line(phase: &PlannedPhase) -> String {
    let tally = Tally::of(phase.tasks.iter());
    let mut words = Vec::new();
    if tally.done > 0 {
        words.push(format!("{} done", tally.done));
    }
    if tally.ready > 0 {
        words.push(format!("{} will run", tally.ready));
    }
    if tally.waits > 0 {
        let after = phase.tasks.iter().find_map(|task| match &task.state {
            State::Waits(phase) => Some(phase.as_str()),
            _ => None,
        });
        words.push(format!(
            "decided after {} (at most {})",
            after.unwrap_or("an earlier phase"),
            show::tasks(tally.waits)
        ));
    }
    if words.is_empty() { "no tasks".into() } else { words.join(", ") }
}

/// Why tasks of the phase will run: the most frequent reasons first.
fn reasons(phase: &PlannedPhase, last: Option<&LastRun>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in phase.tasks.iter().filter(|task| matches!(task.state, State::Ready)) {
        for reason in LastRun::reasons(last, phase.name, task) {
            *counts.entry(reason).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = counts.len().saturating_sub(MAX_REASONS);
    let mut reasons: Vec<String> =
        counts.into_iter().take(MAX_REASONS).map(|(reason, _)| reason).collect();
    if more > 0 {
        reasons.push(format!("of {more} more reasons: see `explain`"));
    }
    reasons
}

/// Where the training of a step goes on.
pub enum Training {
    /// From nothing.
    Starts {
        /// Optimizer steps that are left.
        left: u64,
    },
    /// At a state of an earlier run.
    Resumes {
        /// The first optimizer step that is left.
        from: u64,
        /// The last one.
        end: u64,
        /// How many are left.
        left: u64,
    },
    /// Some models of a run whose length its data say.
    ResumesModels {
        /// Those that have a state.
        going_on: usize,
        /// All that are not done.
        all: usize,
    },
}

impl Training {
    /// How far `step` is; `None` where nothing is to be trained, or no model of unknown length has a state.
    pub fn of(step: &PlannedStep, store: &Store) -> anyhow::Result<Option<Self>> {
        let (mut start, mut end, mut left) = (None, 0, 0);
        let (mut all, mut going_on) = (0, 0);
        for (_, task) in step.tasks() {
            let Some(training) = &task.task.training else { continue };
            end = end.max(training.to.unwrap_or(0));
            if matches!(task.state, State::Done(_)) {
                continue;
            }
            let resumed = match task.training_prefix() {
                Some(prefix) => store.states(&prefix, training.to.unwrap_or(u64::MAX))?,
                None => Vec::new(),
            };
            let resumed = resumed.first().map(|(step, _)| *step);
            let Some(to) = training.to else {
                all += 1;
                going_on += usize::from(resumed.is_some());
                continue;
            };
            let from = resumed.unwrap_or(0).max(training.from);
            start.get_or_insert(from);
            left += to - from;
        }
        Ok(match start {
            Some(0) => Some(Self::Starts { left }),
            Some(from) if left > 0 => Some(Self::Resumes { from, end, left }),
            _ if going_on > 0 => Some(Self::ResumesModels { going_on, all }),
            _ => None,
        })
    }

    /// Whether there is a state of an earlier run.
    pub fn is_started(&self) -> bool {
        !matches!(self, Self::Starts { .. })
    }
}

impl fmt::Display for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starts { left } => {
                write!(f, "starts from nothing, trains {left} optimizer steps")
            }
            Self::Resumes { from, end, left } => {
                write!(f, "resumes at {from} of {end}, trains {left} optimizer steps")
            }
            Self::ResumesModels { going_on, all } => {
                write!(f, "resumes {going_on} of {all} models where they were stopped")
            }
        }
    }
}

fn describe(step: &PlannedStep, store: &Store) -> Value {
    let last = last_run(step, store);
    let phase = |phase: &PlannedPhase| {
        let tally = Tally::of(phase.tasks.iter());
        json!({
            "phase": phase.name,
            "done": tally.done,
            "will_run": tally.ready,
            "undecided": tally.waits,
            "because": reasons(phase, last.as_ref()),
        })
    };
    json!({
        "step": step.name,
        "stage": step.stage,
        "pin": step.pin,
        "phases": step.phases.iter().map(phase).collect::<Vec<_>>(),
        "training": Training::of(step, store).ok().flatten().map(|training| training.to_string()),
    })
}
