//! The log of a run: what it started from, what happened when, what training measured. Outside of every artifact, so that
//! clocks may be in it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::manifest::Manifest;
use crate::plan::{Plan, PlannedPhase, PlannedStep, State};
use crate::roots::{self, Root};
use crate::stage::Stage;
use crate::store::{Store, move_into_place, write_durably};
use crate::task::{Event, TaskArray};
use crate::tensorboard::EventFile;

/// The directory of all logs in a store.
const RUNS: &str = "runs";
/// What a run started from, in its directory.
const START: &str = "start.json";
/// What happened, in its directory.
const LOG: &str = "log.jsonl";
/// Event files, in its directory.
const TENSORBOARD: &str = "tensorboard";

/// What a run started from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The manifest's name.
    pub manifest: String,
    /// The manifest's seed.
    pub seed: u64,
    /// The step that ran alone, if one did.
    pub only: Option<String>,
    /// All steps, each behind those that it reads.
    pub steps: Vec<StartedStep>,
}

/// A step as a run found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartedStep {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// The steps and paths that it reads, each once.
    pub reads: Vec<String>,
    /// The artifact that holds it.
    pub pin: Option<Digest>,
    /// Its config with defaults filled in.
    pub config: Value,
    /// Its phases, in order.
    pub phases: Vec<StartedPhase>,
}

/// A phase as a run found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedPhase {
    /// Its name.
    pub name: String,
    /// Its tasks.
    pub tasks: usize,
    /// How many of them were done before.
    pub done: usize,
}

impl Start {
    fn of<S: Stage>(manifest: &Manifest<S>, only: Option<&str>, plan: &Plan) -> Self {
        let config = |step: &PlannedStep| manifest.steps[&step.name].config();
        Self {
            manifest: manifest.name.clone(),
            seed: manifest.seed,
            only: only.map(str::to_owned),
            steps: plan.steps.iter().map(|step| StartedStep::of(step, config(step))).collect(),
        }
    }
}

impl StartedStep {
    fn of(step: &PlannedStep, config: Value) -> Self {
        let mut reads: Vec<String> = Vec::new();
        for read in &step.reads {
            if !reads.contains(&read.name) {
                reads.push(read.name.clone());
            }
        }
        let phase = |phase: &PlannedPhase| StartedPhase {
            name: phase.name.to_owned(),
            tasks: phase.tasks.len(),
            done: phase.tasks.iter().filter(|task| matches!(task.state, State::Done(_))).count(),
        };
        Self {
            name: step.name.clone(),
            stage: step.stage.to_owned(),
            reads,
            pin: step.pin,
            config,
            phases: step.phases.iter().map(phase).collect(),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Writes the log of one run.
pub(crate) struct RunLog {
    dir: PathBuf,
    log: File,
    lists: usize,
    /// The task that each group of the present wave is at.
    tasks: HashMap<usize, String>,
    /// Event files by curve.
    curves: BTreeMap<String, EventFile>,
}

impl RunLog {
    /// Starts a log in `store`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(store: &Store) -> Result<Self> {
        let nanos =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = format!("{nanos:020}-{}", std::process::id());
        let dir = store.root().join(RUNS).join(name);
        fs::create_dir_all(&dir).at("create", &dir)?;
        let path = dir.join(LOG);
        let log = OpenOptions::new().create(true).append(true).open(&path).at("create", &path)?;
        Ok(Self { dir, log, lists: 0, tasks: HashMap::new(), curves: BTreeMap::new() })
    }

    /// Writes down what the run starts from.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn start<S: Stage>(
        &self,
        manifest: &Manifest<S>,
        only: Option<&str>,
        plan: &Plan,
    ) -> Result<()> {
        self.json(START, &Start::of(manifest, only, plan))
    }

    /// Writes the tasks of the next wave as a frozen list, and gives its directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn freeze<S: Serialize>(&mut self, array: &TaskArray<S>) -> Result<PathBuf> {
        let list = self.dir.join(format!("tasks-{:03}", self.lists));
        self.lists += 1;
        array.write(&list)?;
        Ok(list)
    }

    /// Writes down what happened in a group of the present wave.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, group: usize, event: &Event) -> Result<()> {
        match event {
            Event::Advanced { .. } | Event::Total { .. } => return Ok(()),
            Event::Measured { line } => return self.measured(group, line),
            Event::Started { task, .. } => _ = self.tasks.insert(group, task.clone()),
            Event::Note { .. } | Event::Finished { .. } | Event::Failed { .. } => {}
        }
        // One write, so that a kill hardly ever tears a line.
        let line = serde_json::json!({ "time": now(), "event": event }).to_string() + "\n";
        self.log.write_all(line.as_bytes()).at("write", &self.dir)
    }

    fn measured(&mut self, group: usize, line: &Value) -> Result<()> {
        let Some(task) = self.tasks.get(&group) else { return Ok(()) };
        let (curve, time) = (curve(task), now());
        let dir = self.dir.join(TENSORBOARD).join(&curve);
        let file = match self.curves.entry(curve) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(EventFile::create(&dir, time).at("create", &dir)?)
            }
        };
        file.add(time, line).at("write", &dir)
    }

    /// Registers what the run has reached so far, so that it is not taken for litter if the run ends here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn so_far(&self, root: &Root) -> Result<()> {
        self.whole(roots::SO_FAR, &root.to_bytes())
    }

    /// Registers what the run made, now that it has ended well.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn root(&self, root: &Root) -> Result<()> {
        self.whole(roots::FILE, &root.to_bytes())?;
        let so_far = self.dir.join(roots::SO_FAR);
        match fs::remove_file(&so_far) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.at("remove", &so_far),
        }
    }

    /// Writes a file of the run, whole or not at all.
    fn whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let fresh = self.dir.join(format!("{name}.part"));
        write_durably(&fresh, bytes)?;
        move_into_place(&fresh, &self.dir.join(name))
    }

    fn json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.dir.join(name);
        let bytes =
            serde_json::to_vec_pretty(value).map_err(std::io::Error::other).at("write", &path)?;
        fs::write(&path, bytes).at("write", &path)
    }
}

/// The curve that `step/phase/task` draws: that of its step, which phases of one task go on with, or one of several.
fn curve(task: &str) -> String {
    let mut names = task.splitn(3, '/');
    let mut next = || names.next().unwrap_or_default();
    let (step, phase, task) = (next(), next(), next());
    if task == phase { step.to_owned() } else { format!("{step}/{}", task.replace('/', "-")) }
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Seconds since 1970.
    pub time: f64,
    /// What.
    pub event: Event,
}

/// The directory of a run, to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoggedRun {
    dir: PathBuf,
}

impl LoggedRun {
    /// The runs of `store`, the newest first.
    ///
    /// # Errors
    /// When the directory of runs cannot be read.
    pub fn all(store: &Store) -> Result<Vec<Self>> {
        let dirs = roots::entries(&store.root().join(RUNS))?.into_iter();
        let mut runs: Vec<Self> = dirs.filter(|dir| dir.is_dir()).map(|dir| Self { dir }).collect();
        runs.sort_by(|one, other| other.cmp(one));
        Ok(runs)
    }

    /// Its name: when it started, in nanoseconds since 1970, and its process.
    pub fn name(&self) -> &str {
        self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// When it started, in seconds since 1970.
    pub fn started(&self) -> Option<f64> {
        let nanos: u64 = self.name().split('-').next()?.parse().ok()?;
        Some(std::time::Duration::from_nanos(nanos).as_secs_f64())
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.name().rsplit('-').next()?.parse().ok()
    }

    /// Whether a task of it has started.
    pub fn has_events(&self) -> bool {
        fs::metadata(self.dir.join(LOG)).is_ok_and(|log| log.len() > 0)
    }

    /// Where its event files stand, if training measured something in it.
    pub fn tensorboard(&self) -> Option<PathBuf> {
        Some(self.dir.join(TENSORBOARD)).filter(|dir| dir.is_dir())
    }

    /// What it started from; nothing of a run of an early build, or one that stopped before its first plan.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn start(&self) -> Result<Option<Start>> {
        self.json(START)
    }

    /// What it came to; nothing of a run that has not ended well.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn root(&self) -> Result<Option<Root>> {
        Root::read(&self.dir.join(roots::FILE))
    }

    /// What it has reached so far; nothing of a run that ended well, or before its first task.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn so_far(&self) -> Result<Option<Root>> {
        Root::read(&self.dir.join(roots::SO_FAR))
    }

    /// What happened, in order, and how many lines cannot be understood, such as one that was cut.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn events(&self) -> Result<(Vec<Logged>, usize)> {
        let path = self.dir.join(LOG);
        let bytes = fs::read(&path).at("read", &path)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut damaged = 0;
        let mut events = Vec::new();
        for line in lines {
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(_) => damaged += 1,
            }
        }
        Ok((events, damaged))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.dir.join(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.at("read", &path)?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Format {
            path,
            found: error.to_string(),
            expected: "what a run of this version of seedbed writes down".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn phases_of_one_task_draw_one_curve() {
        assert_eq!(curve("base/train/train"), "base");
        assert_eq!(curve("base/decay/decay"), "base");
        assert_eq!(curve("tuned/train/seed-2"), "tuned/seed-2");
    }

    #[test]
    fn what_is_measured_goes_to_the_curve_of_its_task() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let mut log = RunLog::create(&store).unwrap();
        let started = |task: &str| Event::Started { task: task.into(), pid: 1 };
        let measured = || Event::Measured { line: json!({ "step": 1, "train_loss": 2.0 }) };
        log.event(0, &started("base/train/train")).unwrap();
        log.event(1, &started("tuned/train/seed-1")).unwrap();
        log.event(1, &measured()).unwrap();
        log.event(2, &measured()).unwrap();
        let run = &LoggedRun::all(&store).unwrap()[0];
        let (events, damaged) = run.events().unwrap();
        assert_eq!((events.len(), damaged), (2, 0), "what was measured stands elsewhere");
        let tensorboard = run.tensorboard().unwrap();
        assert!(tensorboard.join("tuned/seed-1").is_dir() && !tensorboard.join("base").exists());
        assert_eq!((run.start().unwrap(), run.root().unwrap()), (None, None));
    }

    #[test]
    fn a_line_that_was_cut_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        RunLog::create(&store).unwrap();
        let run = &LoggedRun::all(&store).unwrap()[0];
        assert!(!run.has_events());
        let line = r#"{"time":1.5,"event":{"note":{"line":"a"}}}"#;
        fs::write(run.dir.join(LOG), format!("{line}\n{}", &line[..20])).unwrap();
        let (events, damaged) = run.events().unwrap();
        assert_eq!(events, [Logged { time: 1.5, event: Event::Note { line: "a".into() } }]);
        assert_eq!(damaged, 1);
        fs::write(run.dir.join(START), "{}").unwrap();
        let error = run.start().unwrap_err().to_string();
        assert!(error.contains("start.json") && error.contains("manifest"), "{error}");
    }
}
