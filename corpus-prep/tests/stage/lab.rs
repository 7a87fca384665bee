//! Runs the stage on files of a fresh directory, with the planner and the workers' own code.

use corpus_prep::Config;
use pipelines::context::Cancel;
use pipelines::digest::Digest;
use pipelines::input::Mapped;
use pipelines::manifest::Manifest;
use pipelines::plan::{Plan, Planner, State};
use pipelines::record::{Counts, TaskRecord};
use pipelines::stage::Stage;
use pipelines::store::Store;
use pipelines::table::decisions::Decision;
use pipelines::table::documents::{Document, Extracted};
use pipelines::table::examples::Example;
use pipelines::table::{Row, read_all};
use pipelines::task::{Assignment, Event, Report, TaskArray};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const STEP: &str = "clean";
const SEED: u64 = 1337;

/// Raw files and a store.
pub struct Lab {
    files: Arc<TempDir>,
    store: TempDir,
    threads: usize,
}

/// What a run left.
pub struct Ran {
    store: Store,
    plan: Plan,
    started: Vec<(String, String)>,
    versions: BTreeMap<String, u32>,
}

impl Lab {
    /// An empty directory and an empty store.
    pub fn new() -> Self {
        Self {
            files: Arc::new(TempDir::new().unwrap()),
            store: TempDir::new().unwrap(),
            threads: 2,
        }
    }

    /// The same files with an empty store.
    pub fn fresh(&self) -> Self {
        Self { files: self.files.clone(), store: TempDir::new().unwrap(), threads: self.threads }
    }

    /// The same with so many threads.
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Writes a raw file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What paths of raw files start with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.files.path().display())
    }

    /// Runs the stage with the config `json`, until nothing is left to do.
    pub fn run(&self, json: &str) -> Result<Ran, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let versions = config
            .phases(SEED)
            .iter()
            .map(|phase| (phase.name().to_owned(), phase.version()))
            .collect();
        let steps = BTreeMap::from([(STEP.to_owned(), config)]);
        let manifest = Manifest { name: "test".into(), seed: SEED, steps, pins: BTreeMap::new() };
        manifest.validate().map_err(|error| error.to_string())?;
        let store = Store::open(self.store.path()).unwrap();
        let mut planner = Planner::new(&manifest, self.files.path(), &store)
            .map_err(|error| error.to_string())?;
        let mut started = Vec::new();
        loop {
            let plan = planner.plan().map_err(|error| error.to_string())?;
            let ready = ready(&plan);
            if ready.is_empty() {
                assert!(plan.steps.iter().all(|step| step.is_done()));
                return Ok(Ran { store, plan, started, versions });
            }
            started.extend(ready.iter().map(|task| (task.phase.clone(), task.task.clone())));
            self.run_tasks(&manifest, ready)?;
        }
    }

    fn run_tasks(&self, manifest: &Manifest<Config>, tasks: Vec<Assignment>) -> Result<(), String> {
        let failed = Arc::new(Mutex::new(None));
        let heard = failed.clone();
        let report: Report = Arc::new(move |event| {
            if let Event::Failed { message, .. } = event {
                *heard.lock().unwrap() = Some(message);
            }
        });
        let array = TaskArray {
            store: self.store.path().to_owned(),
            seed: SEED,
            threads: self.threads,
            stages: manifest.steps.clone(),
            groups: vec![tasks],
        };
        array.run_group(0, &report, &Cancel::default()).unwrap();
        let message = failed.lock().unwrap().take();
        message.map_or(Ok(()), Err)
    }
}

fn ready(plan: &Plan) -> Vec<Assignment> {
    let mut ready = Vec::new();
    for step in &plan.steps {
        for (phase, planned) in step.tasks() {
            if let State::Ready = planned.state {
                ready.extend(planned.assignment(&step.name, phase));
            }
        }
    }
    ready
}

impl Ran {
    /// The tasks that ran, by phase and name.
    pub fn started(&self) -> Vec<(String, String)> {
        self.started.clone()
    }

    fn records(&self) -> Vec<(&'static str, &str, &TaskRecord)> {
        let tasks = self.plan.steps[0].tasks();
        let record = |(phase, planned): (&'static str, _)| {
            let planned: &pipelines::plan::PlannedTask = planned;
            let State::Done(record) = &planned.state else {
                panic!("{} is not done", planned.task.name)
            };
            (phase, planned.task.name.as_str(), record.as_ref())
        };
        tasks.map(record).collect()
    }

    /// The counts of a phase, all its tasks together.
    pub fn counts(&self, phase: &str) -> Counts {
        let mut counts = Counts::new();
        for (_, _, record) in self.records().iter().filter(|(name, ..)| *name == phase) {
            for (name, count) in &record.counts {
                *counts.entry(name.clone()).or_default() += count;
            }
        }
        counts
    }

    /// The digest of every output of every task.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        let outputs = self.records().into_iter().flat_map(|(phase, task, record)| {
            let name = move |output: &String| format!("{phase}/{task}/{output}");
            record.outputs.iter().map(move |(output, made)| (name(output), made.digest))
        });
        outputs.collect()
    }

    /// Each phase with its version and one short digest of all its outputs and counts.
    pub fn golden(&self) -> Vec<(&'static str, u32, String)> {
        let mut phases: Vec<(&'static str, String)> = Vec::new();
        for (phase, task, record) in self.records() {
            let outputs: Vec<_> = record
                .outputs
                .iter()
                .map(|(name, made)| format!("{name} {}", made.digest))
                .collect();
            let line = format!("{task} {outputs:?} {:?}\n", record.counts);
            match phases.last_mut() {
                Some((last, lines)) if *last == phase => lines.push_str(&line),
                _ => phases.push((phase, line)),
            }
        }
        let golden = |(phase, lines): (&'static str, String)| {
            (phase, self.versions[phase], Digest::of(lines.as_bytes()).short())
        };
        phases.into_iter().map(golden).collect()
    }

    fn rows<R: Row>(&self, output: &str) -> Vec<R> {
        let mut rows = Vec::new();
        for (_, _, record) in self.records() {
            if let Some(made) = record.outputs.get(output) {
                rows.extend(
                    read_all(&Mapped::whole(self.store.object_path(&made.digest)).unwrap())
                        .unwrap(),
                );
            }
        }
        rows
    }

    /// The table `extracted`.
    pub fn extracted(&self) -> Vec<Extracted> {
        self.rows("extracted")
    }

    /// The table `decisions`.
    pub fn decisions(&self) -> Vec<Decision> {
        self.rows("decisions")
    }

    /// The table `documents`.
    pub fn documents(&self) -> Vec<Document> {
        self.rows("documents")
    }

    /// The table `examples`.
    pub fn examples(&self) -> Vec<Example> {
        self.rows("examples")
    }

    /// What a phase's first task says for `artifact.json`.
    pub fn details(&self, phase: &str) -> serde_json::Value {
        let records = self.records();
        let record = records.iter().find(|(name, ..)| *name == phase).unwrap().2;
        record.details.clone()
    }

    /// The file `labels.json`.
    pub fn labels(&self) -> String {
        let records = self.records();
        let made = records.iter().find_map(|(_, _, record)| record.outputs.get("labels")).unwrap();
        String::from_utf8(self.store.get(&made.digest).unwrap()).unwrap()
    }
}

/// Text number `at` that all rules keep: 70 different words.
pub fn good(at: usize) -> String {
    let letter = |value: usize| char::from(b'a' + u8::try_from(value % 26).unwrap());
    let word = |n: usize| match n % 8 {
        0 => "the".to_owned(),
        4 => "with".to_owned(),
        _ => [n, n / 26 + at, at + 3 * n, n * n].iter().map(|value| letter(*value)).collect(),
    };
    (0..70).map(word).collect::<Vec<_>>().join(" ")
}

/// One row a line.
pub fn jsonl(rows: &[serde_json::Value]) -> Vec<u8> {
    rows.iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes()
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
