//! Running tasks from a frozen list: what a worker process, here or on a cluster node, does.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::{Cancel, Context, ProgressSink, States, Unit};
use crate::digest::Digest;
use crate::error::{At, Error, Result, TaskError, chain};
use crate::input::{Located, TaskInputs};
use crate::key::canonical;
use crate::output::TaskOutput;
use crate::panics;
use crate::record::TaskRecord;
use crate::resources::Resources;
use crate::stage::{Stage, Training};
use crate::store::{Store, TrainingState};

/// One task, with all that is needed to run it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The step.
    pub step: String,
    /// The phase.
    pub phase: String,
    /// The task's name in the phase.
    pub task: String,
    /// Its key.
    pub key: Digest,
    /// The phase's config as it was planned, in canonical form.
    pub config: String,
    /// Where its inputs stand.
    pub inputs: Vec<Located>,
    /// Where it trains: the key of its prefix, and from which step to which.
    pub training: Option<(Digest, Training)>,
}

impl Assignment {
    /// `step/phase/task`.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.step, self.phase, self.task)
    }
}

/// A frozen list of tasks in groups. One worker process runs one group; nothing rewrites the list afterwards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskArray<S> {
    /// The store.
    pub store: PathBuf,
    /// The manifest's seed.
    pub seed: u64,
    /// Threads of each worker, where `resources` says nothing else.
    pub threads: usize,
    /// Bytes of memory of each worker, where `resources` says nothing else; `None` where nothing bounds it.
    pub memory: Option<u64>,
    /// What the workers of a step may take, by step.
    pub resources: BTreeMap<String, Resources>,
    /// The stages of the steps that occur.
    pub stages: BTreeMap<String, S>,
    /// Groups of tasks. On disk each has a file of its own, so that a worker reads what it runs alone.
    #[serde(skip)]
    pub groups: Vec<Vec<Assignment>>,
}

/// What a worker says while it works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A task starts.
    Started {
        /// `step/phase/task`.
        task: String,
        /// The worker's process.
        pid: u32,
    },
    /// How much work the present task has.
    Total {
        /// How much.
        total: u64,
        /// Of what.
        unit: Unit,
    },
    /// So much more is done.
    Advanced {
        /// How much.
        done: u64,
    },
    /// A line worth showing.
    Note {
        /// The line.
        line: String,
    },
    /// Training measured something.
    Measured {
        /// The line of `metrics.jsonl`.
        line: Value,
    },
    /// The task is done, and its record stands.
    Finished {
        /// `step/phase/task`.
        task: String,
        /// How long it took.
        seconds: f64,
    },
    /// The task failed.
    Failed {
        /// `step/phase/task`.
        task: String,
        /// Why, with causes.
        message: String,
        /// Whether it was only told to stop.
        cancelled: bool,
    },
}

/// Hears what workers say.
pub type Report = Arc<dyn Fn(Event) + Send + Sync>;

impl<S: Serialize> TaskArray<S> {
    /// Writes a frozen list as the directory `list`: what all groups share, and a file for each group.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, list: &Path) -> Result<()> {
        fs::create_dir_all(list).at("create", list)?;
        write_json(&list.join(SHARED), self)?;
        (0..)
            .zip(&self.groups)
            .try_for_each(|(index, group)| write_json(&group_path(list, index), group))
    }
}

impl<S: DeserializeOwned> TaskArray<S> {
    /// Reads group `index` of a frozen list: an array of that group alone.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(list: &Path, index: usize) -> Result<Self> {
        let shared: Self = read_json(&list.join(SHARED))?;
        Ok(Self { groups: vec![read_json(&group_path(list, index))?], ..shared })
    }
}

/// What all groups of a list share, in its directory.
const SHARED: &str = "array.json";

fn group_path(list: &Path, index: usize) -> PathBuf {
    list.join(format!("{index}.json"))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(std::io::Error::other).at("write", path)?;
    fs::write(path, bytes).at("write", path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).at("read", path)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Format {
        path: path.to_owned(),
        found: error.to_string(),
        expected: "a list of tasks of this version of seedbed".into(),
    })
}

impl<S> TaskArray<S> {
    /// What the manifest says of the workers of group `index`, whose tasks are of one step.
    pub fn resources(&self, index: usize) -> Resources {
        let step = self.groups.get(index).and_then(|group| group.first()).map(|task| &task.step);
        step.and_then(|step| self.resources.get(step)).cloned().unwrap_or_default()
    }

    /// Bytes of memory of the worker of group `index`; `None` where nothing bounds it.
    pub fn memory(&self, index: usize) -> Option<u64> {
        self.resources(index).memory.map(|memory| memory.0).or(self.memory)
    }

    /// Threads of the worker of group `index`.
    pub fn threads(&self, index: usize) -> usize {
        self.resources(index).threads.map_or(self.threads, NonZeroUsize::get)
    }
}

impl<S: Stage> TaskArray<S> {
    /// Runs the tasks of group `index` in order, until one fails.
    ///
    /// # Errors
    /// When the store cannot be opened or there is no such group. A failing task is reported, and stops the group.
    pub fn run_group(&self, index: usize, report: &Report, cancel: &Cancel) -> Result<bool> {
        let store = Store::open(&self.store)?;
        let _in_use = store.share()?;
        let group = self
            .groups
            .get(index)
            .ok_or_else(|| Error::Undeclared { what: format!("group {index}") })?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads(index))
            .build()
            .map_err(std::io::Error::other)
            .at("start threads for", &self.store)?;
        let (threads, memory) = (self.threads(index), self.memory(index));
        let surroundings = Surroundings { store: &store, threads, memory, report, cancel };
        for assignment in group {
            let started = std::time::Instant::now();
            let task = assignment.name();
            report(Event::Started { task: task.clone(), pid: std::process::id() });
            match pool.install(|| self.run_task(assignment, &surroundings)) {
                Ok(()) => {
                    report(Event::Finished { task, seconds: started.elapsed().as_secs_f64() })
                }
                Err(error) => {
                    let cancelled = cancel.is_cancelled();
                    report(Event::Failed { task, message: chain(&*error), cancelled });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn run_task(
        &self,
        assignment: &Assignment,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), TaskError> {
        let Surroundings { store, .. } = *surroundings;
        if store.task(&assignment.key)?.is_some() {
            return Ok(());
        }
        let out = self.attempt(assignment, surroundings, true)?;
        let record = out.store(assignment.key)?;
        // The state first: a task that is done is never run again, so what it keeps must stand before.
        if let Some((prefix, training)) = &assignment.training
            && let Some(to) = training.to
            && let Some(file) =
                training.state_output.as_ref().and_then(|name| record.outputs.get(name))
        {
            let state = TrainingState { passing: false, file: file.clone() };
            store.keep_state(prefix, to, &state)?;
        }
        store.finish_task(&record)?;
        if let Some((prefix, training)) = &assignment.training {
            store.drop_passing_states(prefix, training.to.unwrap_or(u64::MAX))?;
        }
        Ok(())
    }

    /// Runs group `index`, which holds one task, from nothing, whether it is done or not; what it gives is not kept.
    ///
    /// # Errors
    /// When the task fails.
    pub(crate) fn run_again(
        &self,
        index: usize,
        report: &Report,
        cancel: &Cancel,
    ) -> Result<TaskRecord, TaskError> {
        let store = Store::open(&self.store)?;
        let assignment = &self.groups[index][0];
        let (threads, memory) = (self.threads(index), self.memory(index));
        let surroundings = Surroundings { store: &store, threads, memory, report, cancel };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(std::io::Error::other)
            .at("start threads for", &self.store)?;
        let out = pool.install(|| self.attempt(assignment, &surroundings, false))?;
        Ok(out.record(assignment.key))
    }

    /// Runs a task; from a stored training state only if `resume`.
    fn attempt(
        &self,
        assignment: &Assignment,
        surroundings: &Surroundings<'_>,
        resume: bool,
    ) -> Result<TaskOutput, TaskError> {
        let Surroundings { store, cancel, .. } = *surroundings;
        let unknown = || Error::Undeclared { what: format!("the phase of {}", assignment.name()) };
        let stage = self.stages.get(&assignment.step).ok_or_else(unknown)?;
        let phases = stage.phases(self.seed);
        let phase =
            phases.iter().find(|phase| phase.name() == assignment.phase).ok_or_else(unknown)?;
        same_config(assignment, &canonical(&phase.config()))?;
        let inputs = TaskInputs::new(assignment.inputs.clone(), store);
        let mut out = TaskOutput::new(store)?;
        let ctx = surroundings.context(assignment, resume);
        // A panic is a bug of ours; the user gets its message, the other tasks go on, and nothing is half-written.
        let ran = catch_unwind(AssertUnwindSafe(|| phase.run(&inputs, &mut out, &ctx)));
        ran.unwrap_or_else(|panic| Err(bug(&*panic).into()))?;
        cancel_before_commit(cancel)?;
        Ok(out)
    }
}

/// What the tasks of a group have around them.
struct Surroundings<'a> {
    store: &'a Store,
    threads: usize,
    memory: Option<u64>,
    report: &'a Report,
    cancel: &'a Cancel,
}

impl Surroundings<'_> {
    fn context(&self, assignment: &Assignment, resume: bool) -> Context {
        let training = assignment.training.as_ref().filter(|_| resume);
        let states = training.map(|(prefix, training)| States {
            store: self.store.clone(),
            prefix: *prefix,
            from: training.from,
            to: training.to.unwrap_or(u64::MAX),
        });
        let progress = Box::new(Reporting { report: self.report.clone() });
        let (threads, memory) = (self.threads, self.memory);
        Context { threads, memory, progress, cancel: self.cancel.clone(), states }
    }
}

/// A worker that understands the config otherwise than the planner did, such as one on a machine with another numeric
/// profile, would store its result under a key that promises something else.
fn same_config(assignment: &Assignment, found: &str) -> Result<()> {
    if assignment.config == found {
        return Ok(());
    }
    let expected = assignment.config.clone();
    Err(Error::OtherConfig { task: assignment.name(), found: found.to_owned(), expected })
}

fn cancel_before_commit(cancel: &Cancel) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

fn bug(panic: &(dyn std::any::Any + Send)) -> String {
    format!("the task stopped in a way it should not ({}); {}", panics::told(panic), panics::BUG)
}

struct Reporting {
    report: Report,
}

impl ProgressSink for Reporting {
    fn begin(&self, total: u64, unit: Unit) {
        (self.report)(Event::Total { total, unit });
    }

    fn advance(&self, done: u64) {
        (self.report)(Event::Advanced { done });
    }

    fn note(&self, line: &str) {
        (self.report)(Event::Note { line: line.to_owned() });
    }

    fn measured(&self, line: Value) {
        (self.report)(Event::Measured { line });
    }
}
