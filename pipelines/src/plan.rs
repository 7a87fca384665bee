//! The plan: every task of every step, and whether it is done, ready, or waits for something.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::input::{Located, Place};
use crate::key::{Ingredients, KeyedInput, PhaseKey};
use crate::kind::Kind;
use crate::part::Part;
use crate::passing::Passing;
use crate::record::TaskRecord;
use crate::stage::{ArtifactView, Task};
use crate::task::Assignment;

/// Whether a task has to run.
#[derive(Clone, Debug)]
pub enum State {
    /// Its result is in the store.
    Done(Arc<TaskRecord>),
    /// All it reads is there.
    Ready,
    /// Something that it reads is still to be made, by this phase (`step/phase`).
    Waits(String),
}

/// A task with its state.
#[derive(Clone, Debug)]
pub struct PlannedTask {
    /// The task. Its inputs are left out: they stand below.
    pub task: Task,
    /// Whether it has to run.
    pub state: State,
    /// Where its inputs stand, as soon as all are known.
    pub inputs: Vec<Located>,
    /// Its outputs that the manifest lets go, if it is done.
    pub passing: Vec<Passing>,
    pub(crate) key: Option<Digest>,
    pub(crate) phase: Arc<PhaseKey>,
}

impl PlannedTask {
    /// The key, as soon as everything it depends on is known.
    pub fn key(&self) -> Option<Digest> {
        self.key
    }

    /// What its result depends on, as soon as all of it is known.
    pub fn ingredients(&self) -> Option<Ingredients> {
        self.key.map(|_| self.phase.with(self.keyed_inputs()))
    }

    pub(crate) fn keyed_inputs(&self) -> Vec<KeyedInput> {
        let keyed = |input: &Located| KeyedInput {
            role: input.role.clone(),
            tag: input.tag.clone(),
            digest: input.digest,
            name: input.name.clone(),
        };
        self.inputs.iter().map(keyed).collect()
    }

    /// Whether it reads one of these objects.
    pub(crate) fn reads(&self, objects: &HashSet<Digest>) -> bool {
        self.inputs.iter().any(|input| match &input.place {
            Place::Object(digest) => objects.contains(digest),
            Place::File(_) | Place::Published(_) => false,
        })
    }

    /// Under what its training states are kept.
    pub fn training_prefix(&self) -> Option<Digest> {
        let training = self.task.training.as_ref()?;
        Some(Ingredients { config: training.config.clone(), ..self.ingredients()? }.key())
    }

    /// All that a worker needs to run it, as soon as everything it depends on is known.
    pub fn assignment(&self, step: &str, phase: &str) -> Option<Assignment> {
        Some(Assignment {
            step: step.to_owned(),
            phase: phase.to_owned(),
            task: self.task.name.clone(),
            key: self.key()?,
            config: self.phase.config().to_owned(),
            inputs: self.inputs.clone(),
            training: self.training_prefix().zip(self.task.training.clone()),
        })
    }
}

/// A phase with its tasks.
#[derive(Clone, Debug)]
pub struct PlannedPhase {
    /// The phase's name.
    pub name: &'static str,
    /// Its tasks, in order.
    pub tasks: Vec<PlannedTask>,
}

/// An artifact that a step reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The field of the config that names it.
    pub field: String,
    /// The step that makes it, or its path.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its identity, if it is named by its path.
    pub given: Option<Digest>,
}

/// A step with its phases.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The step's name.
    pub name: String,
    /// Its stage.
    pub stage: &'static str,
    /// Its phases, in order.
    pub phases: Vec<PlannedPhase>,
    /// What its artifacts are made of. For a pinned step: the pinned artifact.
    pub artifacts: Vec<ArtifactView>,
    /// Which tasks' details go into which artifact.
    pub details: BTreeMap<Kind, (String, String)>,
    /// The digest that holds it.
    pub pin: Option<Digest>,
    /// Raw files by field.
    pub files: BTreeMap<String, Vec<Part>>,
    /// Artifacts that it reads.
    pub reads: Vec<Read>,
}

impl PlannedStep {
    /// All its tasks, in order.
    pub fn tasks(&self) -> impl Iterator<Item = (&'static str, &PlannedTask)> {
        self.phases.iter().flat_map(|phase| phase.tasks.iter().map(|task| (phase.name, task)))
    }

    /// Whether nothing is left to run: every task is done, or a pin holds the step.
    pub fn is_done(&self) -> bool {
        self.pin.is_some() || self.tasks().all(|(_, task)| matches!(task.state, State::Done(_)))
    }
}

/// All steps, each behind those that it reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

impl Plan {
    /// The step called `name`.
    pub fn step(&self, name: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.name == name)
    }
}
