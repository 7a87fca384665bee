//! Outputs that pass: the manifest lets them go at the end of a run, and they are made again when a task will read them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::digest::Digest;
use crate::input::Place;
use crate::plan::{PlannedStep, State};
use crate::retention::Retention;
use crate::stage::{Assembly, Source};

/// An output that the manifest lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// BLAKE3 of it.
    pub digest: Digest,
    /// Whether it is in the store still.
    pub is_there: bool,
}

/// The outputs of one step that the manifest lets go, by phase.
#[derive(Default)]
pub(crate) struct LetGo(BTreeMap<String, Vec<String>>);

impl LetGo {
    /// Those that make artifacts which `retention` lets go.
    pub(crate) fn of(artifacts: &[Assembly], retention: &Retention) -> Self {
        let mut by_phase: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let let_go = artifacts.iter().filter(|artifact| retention.lets_go(artifact.kind));
        for file in let_go.flat_map(|artifact| &artifact.files) {
            if let Source::Output { phase, output, .. } = &file.source {
                let outputs = by_phase.entry(phase.clone()).or_default();
                if !outputs.contains(output) {
                    outputs.push(output.clone());
                }
            }
        }
        Self(by_phase)
    }

    /// The names of those of `phase`.
    pub(crate) fn outputs(&self, phase: &str) -> &[String] {
        self.0.get(phase).map_or(&[], Vec::as_slice)
    }
}

/// Lets those tasks run again whose outputs were let go and are read by a task that will run; that one waits for them.
pub(crate) fn ask_again(steps: &mut [PlannedStep]) {
    let mut gone: HashMap<Digest, String> = HashMap::new();
    for step in &*steps {
        for (phase, task) in step.tasks() {
            let missing = task.passing.iter().filter(|output| !output.is_there);
            gone.extend(missing.map(|output| (output.digest, format!("{}/{phase}", step.name))));
        }
    }
    let mut wanted = HashSet::new();
    // Whoever reads stands behind what it reads, so going backwards meets every task after all that read its outputs.
    let phases = steps.iter_mut().rev().flat_map(|step| step.phases.iter_mut().rev());
    for task in phases.filter(|_| !gone.is_empty()).flat_map(|phase| &mut phase.tasks) {
        if task.passing.iter().any(|output| wanted.contains(&output.digest)) {
            task.state = State::Ready;
        }
        if !matches!(task.state, State::Ready) {
            continue;
        }
        for input in &task.inputs {
            if let Place::Object(digest) = &input.place
                && let Some(maker) = gone.get(digest)
            {
                wanted.insert(*digest);
                task.state = State::Waits(maker.clone());
            }
        }
    }
}
