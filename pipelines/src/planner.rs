//! Makes plans: lists the tasks of every step, finds their inputs, and looks up what the store has of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::Digest;
use crate::error::{Error, Result, TaskError, chain};
use crate::files::DigestCache;
use crate::given;
use crate::graph::{self, Reference};
use crate::key::{Ingredients, PhaseKey};
use crate::kind::Kind;
use crate::manifest::Manifest;
use crate::part::Part;
use crate::passing::{self, LetGo, Passing};
use crate::plan::{Plan, PlannedPhase, PlannedStep, PlannedTask, Read, State};
use crate::record::TaskRecord;
use crate::results::{Made, Results};
use crate::stage::{ArtifactView, Assembly, FileSet, Phase, Stage, Task, View, Wanted};
use crate::store::Store;

/// Makes plans for one manifest; keeps what it has read from one plan to the next.
pub(crate) struct Planner<'a, S> {
    manifest: &'a Manifest<S>,
    base: PathBuf,
    store: Store,
    order: Vec<String>,
    files: HashMap<(String, &'static str), Vec<Part>>,
    given: HashMap<(String, Kind), (ArtifactView, Digest)>,
    records: HashMap<Digest, Arc<TaskRecord>>,
}

impl<'a, S: Stage> Planner<'a, S> {
    /// A planner for `manifest`, whose paths are relative to `base`. Raw files and artifacts named by their paths are read
    /// now, and once.
    ///
    /// # Errors
    /// When steps do not fit together, or a raw file or an artifact cannot be read.
    pub(crate) fn new(manifest: &'a Manifest<S>, base: &Path, store: &Store) -> Result<Self> {
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
    pub(crate) fn plan(&mut self) -> Result<Plan> {
        let mut results = Results::default();
        let mut steps: Vec<PlannedStep> = Vec::new();
        for name in self.order.clone() {
            let step = self.plan_step(&name, &steps, &mut results)?;
            steps.push(step);
        }
        passing::ask_again(&mut steps);
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
            view.note(phase.name(), &tasks);
            let let_go = let_go.outputs(phase.name());
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

    /// The outputs of a step that the manifest lets go. Of most there are none, and their tasks, of which there may be tens of
    /// thousands, are not listed for it.
    fn let_go(&self, stage: &S, view: &View) -> Result<LetGo, TaskError> {
        let retention = &self.manifest.retention;
        if !stage.kinds().into_iter().any(|kind| retention.lets_go(kind)) {
            return Ok(LetGo::default());
        }
        let mut view = view.clone();
        for phase in stage.phases(self.manifest.seed) {
            let tasks = phase.tasks(&view)?;
            view.note(phase.name(), &tasks);
        }
        Ok(LetGo::of(&stage.artifacts(&view)?, retention))
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
                        "step `{upstream}` has no {kind}: a pin holds it to something else, or the manifest lets go of it"
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
        let mut made = Made::with_capacity(planned.len());
        for task in &planned {
            let record = match (&task.state, task.key) {
                (State::Done(record), Some(key)) => {
                    self.records.insert(key, record.clone());
                    Some(record.clone())
                }
                _ => None,
            };
            made.insert(task.task.name.clone(), record);
        }
        results.note(step, phase.name(), made);
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
            match results.locate(&input)? {
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
    pub(crate) fn forget_records(&mut self) {
        self.records.clear();
    }
}

fn assembled(step: &str, made: Assembly) -> ArtifactView {
    ArtifactView { name: step.to_owned(), kind: made.kind, files: made.files }
}
