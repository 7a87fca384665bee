//! Running a plan: wave by wave of ready tasks, until nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::context::Cancel;
use crate::digest::Digest;
use crate::engine::Engine;
use crate::error::{Error, Result, TaskError};
use crate::explain::LastRun;
use crate::gc;
use crate::kind::Kind;
use crate::log::RunLog;
use crate::manifest::Manifest;
use crate::plan::{Plan, PlannedStep, PlannedTask, State};
use crate::planner::Planner;
use crate::publish::{Identities, OutDir};
use crate::record::TaskRecord;
use crate::roots::{self, Root};
use crate::stage::Stage;
use crate::task::{Assignment, Event, Report, TaskArray};

/// Most tasks that one worker process runs.
const MAX_GROUP: usize = 64;
/// Groups a worker, so that workers end at about the same time.
const GROUPS_PER_WORKER: usize = 4;

/// Hears how a run goes.
pub trait Observer {
    /// A wave of tasks starts: how many by `step/phase`.
    fn wave(&mut self, tasks: &BTreeMap<String, usize>);
    /// Something happened in a group of the wave.
    fn event(&mut self, group: usize, event: &Event);
    /// A step's artifacts are published.
    fn published(&mut self, step: &str);
}

/// Hears nothing.
pub struct Unobserved;

impl Observer for Unobserved {
    fn wave(&mut self, _: &BTreeMap<String, usize>) {}
    fn event(&mut self, _: usize, _: &Event) {}
    fn published(&mut self, _: &str) {}
}

/// A manifest with the place of its results.
pub struct Run<'a, S> {
    /// What to make.
    pub manifest: &'a Manifest<S>,
    /// What the manifest's paths are relative to.
    pub base: &'a Path,
    /// Where results go.
    pub out: &'a OutDir,
}

impl<S: Stage + Clone + Serialize> Run<'_, S> {
    /// Runs what is not done, of all steps or of `only` one, and publishes.
    ///
    /// # Errors
    /// When a task fails, `only` names no step or one whose inputs are not made yet, or files cannot be written. What is
    /// done then stays done.
    pub fn run(
        &self,
        engine: &dyn Engine<S>,
        only: Option<&str>,
        cancel: &Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Root> {
        let in_use = self.out.store.share()?;
        let mut under_way = UnderWay::begin(self, only)?;
        self.out.store.sweep()?;
        let root = loop {
            let plan = under_way.look(observer)?;
            let ready = ready(&plan, only);
            if ready.is_empty() {
                break under_way.end(&plan)?;
            }
            let failures = under_way.wave(&plan, &ready, engine, cancel, observer)?;
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let failed = failures.len();
            if let Some((task, message)) = failures.into_iter().next() {
                // What else the wave has finished is published all the same; if that fails too, it is not what to tell.
                let _ = under_way.look(observer).and_then(|plan| under_way.register(&plan));
                let planned = ready.len();
                return Err(Error::TasksFailed { failed, planned, task, message });
            }
        };
        drop(in_use);
        if root.let_go.is_some() {
            gc::let_go(self.out, &self.manifest.retention)?;
        }
        Ok(root)
    }

    /// What [`run`](Run::run) would do now.
    ///
    /// # Errors
    /// When the manifest does not fit its files, or the store cannot be read.
    pub fn plan(&self) -> Result<Plan> {
        Planner::new(self.manifest, self.base, &self.out.store)?.plan()
    }

    fn check_only(&self, plan: &Plan, only: Option<&str>) -> Result<()> {
        let Some(only) = only else { return Ok(()) };
        let wrong = |message: String| Error::Step { step: only.to_owned(), message };
        let step = plan.step(only).ok_or_else(|| {
            let names: Vec<&str> = self.manifest.steps.keys().map(String::as_str).collect();
            wrong(format!("there is no such step; there are {}", names.join(", ")))
        })?;
        let open = step
            .reads
            .iter()
            .find_map(|read| plan.step(&read.name).filter(|upstream| !upstream.is_done()));
        match open {
            Some(open) => Err(wrong(format!(
                "it reads `{0}`, which is not made yet; run it first (--only {0})",
                open.name
            ))),
            None => Ok(()),
        }
    }

    /// Publishes the steps that have become done, in order.
    fn publish(
        &self,
        plan: &Plan,
        published: &mut Identities,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        for step in plan.steps.iter().filter(|step| step.is_done()) {
            if published.keys().any(|(name, _)| *name == step.name)
                || !inputs_are_published(step, published)
            {
                continue;
            }
            let stage = &self.manifest.steps[&step.name];
            self.out.publish(stage, self.manifest.seed, self.base, step, &plan.steps, published)?;
            LastRun::save(step, &self.out.store)?;
            observer.published(&step.name);
        }
        Ok(())
    }

    /// Lets go of states that serve no more, where an attempt was killed between the end of its task and that; gives the
    /// prefixes of all training states.
    fn settle_states(&self, plan: &Plan) -> Result<Vec<Digest>> {
        let mut prefixes = Vec::new();
        for (_, task) in plan.steps.iter().flat_map(|step| step.tasks()) {
            let Some((prefix, training)) = task.training_prefix().zip(task.task.training.as_ref())
            else {
                continue;
            };
            if matches!(task.state, State::Done(_)) {
                let length = training.to.unwrap_or(u64::MAX);
                self.out.store.drop_passing_states(&prefix, length)?;
            }
            prefixes.push(prefix);
        }
        Ok(prefixes)
    }

    fn array(
        &self,
        ready: &[(&PlannedStep, &'static str, &PlannedTask)],
        workers: usize,
        memory: Option<u64>,
    ) -> TaskArray<S> {
        let groups = deal(ready, workers);
        let concurrent = groups.len().clamp(1, workers.max(1));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let names = ready.iter().map(|(step, ..)| step.name.clone());
        TaskArray {
            store: self.out.store.root().to_owned(),
            seed: self.manifest.seed,
            threads: (cores / concurrent).max(1),
            memory: memory.map(|memory| memory / concurrent as u64),
            resources: self.manifest.engine.clone(),
            stages: names.map(|name| (name.clone(), self.manifest.steps[&name].clone())).collect(),
            groups,
        }
    }

    /// Runs a finished task again and gives its record; keeps nothing.
    pub(crate) fn again(
        &self,
        step: &str,
        phase: &str,
        task: &PlannedTask,
        cancel: &Cancel,
        report: &Report,
    ) -> Result<TaskRecord, TaskError> {
        let what = || Error::Undeclared { what: format!("{step}/{phase}/{}", task.task.name) };
        let groups = vec![vec![task.assignment(step, phase).ok_or_else(what)?]];
        let array = TaskArray {
            store: self.out.store.root().to_owned(),
            seed: self.manifest.seed,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory: None,
            resources: self.manifest.engine.clone(),
            stages: BTreeMap::from([(step.to_owned(), self.manifest.steps[step].clone())]),
            groups,
        };
        array.run_again(0, report, cancel)
    }
}

/// A run that goes on.
struct UnderWay<'r, S> {
    run: &'r Run<'r, S>,
    only: Option<&'r str>,
    planner: Planner<'r, S>,
    log: RunLog,
    root: Root,
    published: Identities,
    tried: BTreeSet<Option<Digest>>,
}

impl<'r, S: Stage + Clone + Serialize> UnderWay<'r, S> {
    fn begin(run: &'r Run<'r, S>, only: Option<&'r str>) -> Result<Self> {
        Ok(Self {
            run,
            only,
            planner: Planner::new(run.manifest, run.base, &run.out.store)?,
            log: RunLog::create(&run.out.store)?,
            root: Root::new(&run.manifest.name),
            published: Identities::new(),
            tried: BTreeSet::new(),
        })
    }

    /// Plans anew, and publishes what has become done.
    fn look(&mut self, observer: &mut dyn Observer) -> Result<Plan> {
        self.planner.forget_records();
        let plan = self.planner.plan()?;
        if self.tried.is_empty() {
            self.log.start(self.run.manifest, self.only, &plan)?;
        }
        self.run.check_only(&plan, self.only)?;
        self.run.publish(&plan, &mut self.published, observer)?;
        self.root.artifacts = names(&self.published);
        self.root.states = self.run.settle_states(&plan)?;
        Ok(plan)
    }

    /// Registers what has been reached so far.
    fn register(&self, plan: &Plan) -> Result<()> {
        self.log.so_far(&Root { keys: roots::keys(plan), ..self.root.clone() })
    }

    /// Runs the tasks that can run now, and gives those that failed with their messages.
    fn wave(
        &mut self,
        plan: &Plan,
        ready: &[(&PlannedStep, &'static str, &PlannedTask)],
        engine: &dyn Engine<S>,
        cancel: &Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Vec<(String, String)>> {
        let again = ready.iter().find(|(_, _, task)| self.tried.contains(&task.key()));
        if let Some((step, phase, task)) = again {
            let task = format!("{}/{phase}/{}", step.name, task.task.name);
            return Err(Error::NotKept { task });
        }
        self.tried.extend(ready.iter().map(|(_, _, task)| task.key()));
        self.register(plan)?;
        let array = self.run.array(ready, engine.workers(), engine.memory());
        let list = self.log.freeze(&array)?;
        observer.wave(&tally(ready));
        let failures = self.hear(&array, &list, engine, cancel, observer)?;
        for (phase, count) in tally(ready) {
            *self.root.ran.entry(phase).or_default() += count;
        }
        Ok(failures)
    }

    fn hear(
        &mut self,
        array: &TaskArray<S>,
        list: &Path,
        engine: &dyn Engine<S>,
        cancel: &Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Vec<(String, String)>> {
        let mut failures = Vec::new();
        let mut logged = Ok(());
        engine.run(array, list, cancel, &mut |group, event| {
            match &event {
                // Ctrl-C reaches workers as well, and may reach them before this process.
                Event::Failed { cancelled: true, .. } => cancel.cancel(),
                Event::Failed { task, message, .. } => {
                    failures.push((task.clone(), message.clone()))
                }
                _ => {}
            }
            if logged.is_ok() {
                logged = self.log.event(group, &event);
            }
            observer.event(group, &event);
        })?;
        logged.map(|()| failures)
    }

    /// Registers what was made, now that nothing is left to run.
    fn end(mut self, plan: &Plan) -> Result<Root> {
        let store = &self.run.out.store;
        self.root.tasks = Some(roots::keep_keys(store, plan)?);
        self.root.let_go = roots::keep_let_go(store, plan)?;
        self.log.root(&self.root)?;
        Ok(self.root)
    }
}

/// Identities of artifacts by `step/kind`.
fn names(published: &Identities) -> BTreeMap<String, Digest> {
    let named = |((step, kind), identity): (&(String, Kind), &Digest)| {
        (format!("{step}/{kind}"), *identity)
    };
    published.iter().map(named).collect()
}

fn inputs_are_published(step: &PlannedStep, published: &Identities) -> bool {
    step.reads
        .iter()
        .all(|read| read.given.is_some() || published.contains_key(&(read.name.clone(), read.kind)))
}

/// The tasks that can run now, those that train first: they take longest.
fn ready<'p>(
    plan: &'p Plan,
    only: Option<&str>,
) -> Vec<(&'p PlannedStep, &'static str, &'p PlannedTask)> {
    let wanted =
        |step: &&PlannedStep| step.pin.is_none() && only.is_none_or(|only| only == step.name);
    let mut ready = Vec::new();
    let mut keys = BTreeSet::new();
    for step in plan.steps.iter().filter(wanted) {
        for (phase, task) in step.tasks() {
            // Two steps may ask for the same result; it is made once.
            if matches!(task.state, State::Ready) && keys.insert(task.key()) {
                ready.push((step, phase, task));
            }
        }
    }
    ready.sort_by_key(|(_, _, task)| task.task.training.is_none());
    ready
}

fn tally(ready: &[(&PlannedStep, &'static str, &PlannedTask)]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for (step, phase, _) in ready {
        *tally.entry(format!("{}/{phase}", step.name)).or_default() += 1;
    }
    tally
}

/// Deals tasks of one phase into groups; a training task is a group of its own.
fn deal(
    ready: &[(&PlannedStep, &'static str, &PlannedTask)],
    workers: usize,
) -> Vec<Vec<Assignment>> {
    let mut groups: Vec<Vec<Assignment>> = Vec::new();
    let tally = tally(ready);
    let mut open: Option<(String, usize)> = None;
    for (step, phase, task) in ready {
        let Some(assignment) = task.assignment(&step.name, phase) else { continue };
        let place = format!("{}/{phase}", step.name);
        let size = tally[&place].div_ceil(workers.max(1) * GROUPS_PER_WORKER).clamp(1, MAX_GROUP);
        match (&mut open, groups.last_mut()) {
            (Some((open, left)), Some(group))
                if *open == place && *left > 0 && assignment.training.is_none() =>
            {
                *left -= 1;
                group.push(assignment);
            }
            _ => {
                open = Some((place, size - 1));
                groups.push(vec![assignment]);
            }
        }
    }
    groups
}
