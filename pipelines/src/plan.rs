//! The plan: every task of every step, and whether it is done, ready, or waits for something.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::Digest;
use crate::error::{Error, Result, TaskError, chain};
use crate::files::DigestCache;
use crate::given;
use crate::graph::{self, Reference};
use crate::input::{Located, Place};
use crate::key::{Ingredients, KeyedInput, PhaseKey};
use crate::kind::Kind;
use crate::manifest::Manifest;
use crate::part::Part;
use crate::record::TaskRecord;
use crate::stage::{ArtifactView, Assembly, FileSet, Phase, Source, Stage, Task, View, Wanted};
use crate::store::Store;
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
    key: Option<Digest>,
    phase: Arc<PhaseKey>,
}

/// An output that the manifest lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// BLAKE3 of it.
    pub digest: Digest,
    /// Whether it is in the store still.
    pub is_there: bool,
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
            Place::File(_) => false,
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

/// Makes plans for one manifest; keeps what it has read from one plan to the next.
pub struct Planner<'a, S> {
    manifest: &'a Manifest<S>,
    base: PathBuf,
    store: Store,
    order: Vec<String>,
    files: HashMap<(String, &'static str), Vec<Part>>,
    given: HashMap<(String, Kind), (ArtifactView, Digest)>,
    records: HashMap<Digest, Arc<TaskRecord>>,
}

/// What became of tasks, by step, phase and name.
type Results = HashMap<(String, String), HashMap<String, Outcome>>;

/// Outputs that the manifest lets go, by phase.
type LetGo = BTreeMap<String, Vec<String>>;

enum Outcome {
    Done(Arc<TaskRecord>),
    Open,
}

impl<'a, S: Stage> Planner<'a, S> {
    /// A planner for `manifest`, whose paths are relative to `base`. Raw files and artifacts named by their paths are read
    /// now, and once.
    ///
    /// # Errors
    /// When steps do not fit together, or a raw file or an artifact cannot be read.
    pub fn new(manifest: &'a Manifest<S>, base: &Path, store: &Store) -> Result<Self> {
        let order = graph::order(manifest)?;
        let mut cache = DigestCache::open(store);
        let (base, store) = (base.to_owned(), store.clone());
        let (files, given, records) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut planner = Self { manifest, base, store, order, files, given, records };
        for (step, stage) in &manifest.steps {
            for input in stage.inputs() {
                match &input.wanted {
                    Wanted::Files(set) => planner.find_files(step, input.field, set, &mut cache)?,
                    Wanted::Artifacts { kind, references } => {
                        planner.find_given(*kind, references, &mut cache)?;
                    }
                }
            }
        }
        // Whoever may only look at a store, or looks where none is, plans without a cache.
        let _ = cache.save(&planner.store);
        Ok(planner)
    }

    fn find_files(
        &mut self,
        step: &str,
        field: &'static str,
        set: &FileSet,
        cache: &mut DigestCache,
    ) -> Result<()> {
        let parts = match cache.parts(&self.base, set) {
            Ok(parts) => parts,
            // What a pin holds is not made from files.
            Err(_) if self.manifest.pins.contains_key(step) => Vec::new(),
            Err(message) => {
                let message = format!("`{field}`: {message}");
                return Err(Error::Step { step: step.to_owned(), message });
            }
        };
        self.files.insert((step.to_owned(), field), parts);
        Ok(())
    }

    fn find_given(
        &mut self,
        kind: Kind,
        references: &[String],
        cache: &mut DigestCache,
    ) -> Result<()> {
        for reference in references {
            if let Reference::Path(path) = Reference::of(reference) {
                let found = given::at_path(&self.base.join(path), path, kind, cache)?;
                self.given.insert((path.to_owned(), kind), found);
            }
        }
        Ok(())
    }

    /// The plan as the store stands now.
    ///
    /// # Errors
    /// When a stage cannot list its tasks, or the store cannot be read.
    pub fn plan(&mut self) -> Result<Plan> {
        let mut results = Results::new();
        let mut steps: Vec<PlannedStep> = Vec::new();
        for name in self.order.clone() {
            let step = self.plan_step(&name, &steps, &mut results)?;
            steps.push(step);
        }
        ask_again(&mut steps);
        Ok(Plan { steps })
    }

    fn plan_step(
        &mut self,
        name: &str,
        before: &[PlannedStep],
        results: &mut Results,
    ) -> Result<PlannedStep> {
        let stage = &self.manifest.steps[name];
        let failed =
            |error: &TaskError| Error::Step { step: name.to_owned(), message: chain(&**error) };
        let (mut view, reads) = self.view(name, stage, before)?;
        let let_go = self.let_go(stage, &view).map_err(|error| failed(&error))?;
        let mut phases = Vec::new();
        for phase in stage.phases(self.manifest.seed) {
            let tasks = phase.tasks(&view).map_err(|error| failed(&error))?;
            note_tasks(&mut view, phase.name(), &tasks);
            let let_go = let_go.get(phase.name()).map_or(&[][..], Vec::as_slice);
            let tasks = self.plan_phase(name, stage, phase.as_ref(), tasks, let_go, results)?;
            phases.push(PlannedPhase { name: phase.name(), tasks });
        }
        let assemblies = stage.artifacts(&view).map_err(|error| failed(&error))?;
        let pin = self.manifest.pins.get(name).copied();
        let details =
            assemblies.iter().filter_map(|made| Some((made.kind, made.details.clone()?))).collect();
        let artifacts = match pin {
            Some(digest) => vec![given::pinned(&self.store, name, digest)?],
            None => {
                let kept = |made: &Assembly| !self.manifest.retention.lets_go(made.kind);
                assemblies.into_iter().filter(kept).map(|made| assembled(name, made)).collect()
            }
        };
        let stage = stage.name();
        Ok(PlannedStep {
            name: name.to_owned(),
            stage,
            phases,
            artifacts,
            details,
            pin,
            files: view.files,
            reads,
        })
    }

    /// The outputs of each phase that make artifacts which the manifest lets go.
    fn let_go(&self, stage: &S, view: &View) -> Result<LetGo, TaskError> {
        let retention = &self.manifest.retention;
        let mut let_go = LetGo::new();
        if !stage.kinds().into_iter().any(|kind| retention.lets_go(kind)) {
            return Ok(let_go);
        }
        let mut view = view.clone();
        for phase in stage.phases(self.manifest.seed) {
            let tasks = phase.tasks(&view)?;
            note_tasks(&mut view, phase.name(), &tasks);
        }
        let made = stage.artifacts(&view)?;
        for file in
            made.iter().filter(|made| retention.lets_go(made.kind)).flat_map(|made| &made.files)
        {
            if let Source::Output { phase, output, .. } = &file.source {
                let outputs = let_go.entry(phase.clone()).or_default();
                if !outputs.contains(output) {
                    outputs.push(output.clone());
                }
            }
        }
        Ok(let_go)
    }

    fn view(&self, name: &str, stage: &S, before: &[PlannedStep]) -> Result<(View, Vec<Read>)> {
        let mut view = View { step: name.to_owned(), ..View::default() };
        let mut reads = Vec::new();
        for input in stage.inputs() {
            match input.wanted {
                Wanted::Files(_) => {
                    let parts = self
                        .files
                        .get(&(name.to_owned(), input.field))
                        .cloned()
                        .unwrap_or_default();
                    view.files.insert(input.field.to_owned(), parts);
                }
                Wanted::Artifacts { kind, references } => {
                    let mut artifacts = Vec::new();
                    for reference in &references {
                        let (artifact, given) = self.artifact(name, reference, kind, before)?;
                        artifacts.push(artifact);
                        let (field, name) = (input.field.to_owned(), reference.clone());
                        reads.push(Read { field, name, kind, given });
                    }
                    view.artifacts.insert(input.field.to_owned(), artifacts);
                }
            }
        }
        Ok((view, reads))
    }

    fn artifact(
        &self,
        step: &str,
        reference: &str,
        kind: Kind,
        before: &[PlannedStep],
    ) -> Result<(ArtifactView, Option<Digest>)> {
        match Reference::of(reference) {
            Reference::Path(path) => {
                let (artifact, identity) = &self.given[&(path.to_owned(), kind)];
                Ok((artifact.clone(), Some(*identity)))
            }
            Reference::Step(upstream) => {
                let made = before.iter().find(|planned| planned.name == upstream);
                let artifact = made
                    .and_then(|made| made.artifacts.iter().find(|artifact| artifact.kind == kind));
                let artifact = artifact.cloned().map(|artifact| (artifact, None));
                artifact.ok_or_else(|| Error::Step {
                    step: step.to_owned(),
                    message: format!(
                        "step `{upstream}` is pinned to an artifact that is not {kind}"
                    ),
                })
            }
        }
    }

    fn plan_phase(
        &mut self,
        step: &str,
        stage: &S,
        phase: &dyn Phase,
        tasks: Vec<Task>,
        let_go: &[String],
        results: &mut Results,
    ) -> Result<Vec<PlannedTask>> {
        let shared = Arc::new(PhaseKey::new(Ingredients {
            stage: stage.name().to_owned(),
            phase: phase.name().to_owned(),
            version: phase.version(),
            config: phase.config(),
            inputs: Vec::new(),
        }));
        // There may be tens of thousands, each with a record to read; `collect` keeps their order.
        let planned: Vec<PlannedTask> = tasks
            .into_par_iter()
            .map(|task| self.plan_task(&shared, task, let_go, results))
            .collect::<Result<_>>()?;
        let outcomes = results.entry((step.to_owned(), phase.name().to_owned())).or_default();
        for next in &planned {
            let outcome = match (&next.state, next.key) {
                (State::Done(record), Some(key)) => {
                    self.records.insert(key, record.clone());
                    Outcome::Done(record.clone())
                }
                _ => Outcome::Open,
            };
            outcomes.insert(next.task.name.clone(), outcome);
        }
        Ok(planned)
    }

    fn plan_task(
        &self,
        phase: &Arc<PhaseKey>,
        mut task: Task,
        let_go: &[String],
        results: &Results,
    ) -> Result<PlannedTask> {
        let phase = phase.clone();
        let mut inputs = Vec::with_capacity(task.inputs.len());
        for input in std::mem::take(&mut task.inputs) {
            match locate(&input, results)? {
                Ok(located) => inputs.push(located),
                Err(waits_for) => {
                    let (state, inputs, passing) =
                        (State::Waits(waits_for), Vec::new(), Vec::new());
                    return Ok(PlannedTask { task, state, inputs, passing, key: None, phase });
                }
            }
        }
        let keyed = inputs.iter().map(|input| (&*input.role, &*input.tag, &input.digest));
        let key = phase.key(keyed);
        let known = match self.records.get(&key) {
            Some(known) => Some(known.clone()),
            None => self.store.record(&key)?.map(Arc::new),
        };
        let (mut state, mut passing) = (State::Ready, Vec::new());
        if let Some(record) = known {
            let mut is_whole = true;
            for (name, output) in &record.outputs {
                let is_there = self.store.has_object(&output.digest, output.bytes);
                match let_go.contains(name) {
                    true => passing.push(Passing { digest: output.digest, is_there }),
                    false => is_whole &= is_there,
                }
            }
            if is_whole {
                state = State::Done(record);
            } else {
                passing.clear();
            }
        }
        Ok(PlannedTask { task, state, inputs, passing, key: Some(key), phase })
    }

    /// Forgets what was read of the store, because objects of it turned out damaged.
    pub fn forget_records(&mut self) {
        self.records.clear();
    }
}

/// Lets those tasks run again whose outputs were let go and are read by a task that will run; that one waits for them.
fn ask_again(steps: &mut [PlannedStep]) {
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

/// Shows the names of a phase's tasks to the phases behind it.
fn note_tasks(view: &mut View, phase: &str, tasks: &[Task]) {
    view.phases.insert(phase.to_owned(), tasks.iter().map(|task| task.name.clone()).collect());
}

fn assembled(step: &str, made: Assembly) -> ArtifactView {
    ArtifactView { name: step.to_owned(), kind: made.kind, files: made.files }
}

/// Where an input stands, or the phase that still has to make it.
fn locate(input: &crate::stage::Input, results: &Results) -> Result<Result<Located, String>> {
    let mut second = None;
    let (name, place, offset, bytes, digest) = match &input.source {
        Source::File { path, offset, bytes, footer, digest } => {
            second = *footer;
            (path.display().to_string(), Place::File(path.clone()), *offset, *bytes, *digest)
        }
        Source::Object { digest, bytes, name } => {
            (name.clone(), Place::Object(*digest), 0, *bytes, *digest)
        }
        Source::Output { step, phase, task, output, section } => {
            let bug = |what: String| Error::Undeclared { what };
            let place = (step.clone(), phase.clone());
            let outcomes = results.get(&place);
            let record = match outcomes.and_then(|outcomes| outcomes.get(task)) {
                Some(Outcome::Done(record)) => record,
                Some(Outcome::Open) => return Ok(Err(format!("{step}/{phase}"))),
                None => return Err(bug(format!("the task {step}/{phase}/{task}"))),
            };
            let made = record.outputs.get(output);
            let made =
                made.ok_or_else(|| bug(format!("the output {step}/{phase}/{task}/{output}")))?;
            let (offset, bytes, digest) = match section {
                None => (0, made.bytes, made.digest),
                Some(name) => match made.sections.get(name) {
                    Some(section) => (section.offset, section.bytes, section.digest),
                    None => (0, 0, Digest::of(b"")),
                },
            };
            let name = format!("{step}/{phase}/{task}/{output}");
            (name, Place::Object(made.digest), offset, bytes, digest)
        }
    };
    let (role, tag) = (input.role.clone(), input.tag.clone());
    Ok(Ok(Located { role, tag, name, place, offset, bytes, footer: second, digest }))
}
