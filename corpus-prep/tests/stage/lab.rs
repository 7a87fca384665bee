//! Runs the stage on files of a fresh directory, with the planner and the workers' own code.

use corpus_prep::Config;
use laboratory::{Laboratory, Step, Steps};
use pipelines::digest::Digest;
use pipelines::input::Mapped;
use pipelines::publish::OutDir;
use pipelines::record::{Counts, TaskRecord};
use pipelines::store::Store;
use pipelines::table::decisions::Decision;
use pipelines::table::documents::{Document, Extracted};
use pipelines::table::examples::Example;
use pipelines::table::{Row, read_all};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use tempfile::TempDir;

const STEP: &str = "clean";

/// Raw files and a laboratory.
pub struct Lab {
    files: Arc<TempDir>,
    laboratory: Laboratory,
    threads: usize,
}

/// What a run left.
pub struct Ran {
    store: Store,
    ran: laboratory::Ran,
}

impl Lab {
    /// An empty directory and an empty store.
    pub fn new() -> Self {
        let files = Arc::new(TempDir::new().unwrap());
        Self { files, laboratory: Laboratory::default(), threads: 2 }
    }

    /// The same files with an empty store.
    pub fn fresh(&self) -> Self {
        let laboratory = Laboratory::default();
        Self { files: self.files.clone(), laboratory, threads: self.threads }
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
        let steps = Steps::from([(STEP, Step::new(config))]);
        let ran = self.laboratory.run_in(self.files.path(), &steps, self.threads)?;
        Ok(Ran { store: OutDir::open(&self.laboratory.path("")).unwrap().store, ran })
    }
}

impl Ran {
    /// The tasks that ran, as `phase/task`.
    pub fn started(&self) -> Vec<String> {
        self.ran.tasks(STEP)
    }

    fn records(&self) -> Vec<(&'static str, &str, &TaskRecord)> {
        self.ran.records(STEP)
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
        self.ran.outputs(STEP)
    }

    /// Each phase with one short digest of all its outputs and counts, as `PHASE DIGEST`.
    pub fn golden(&self) -> Vec<String> {
        let mut phases: Vec<(&'static str, String)> = Vec::new();
        for (phase, task, record) in self.records() {
            let outputs: Vec<_> = record
                .outputs
                .iter()
                .map(|(name, made)| format!("{name} {}", made.digest))
                .collect();
            let counts: BTreeMap<_, _> = record.counts.iter().collect();
            let line = format!("{task} {outputs:?} {counts:?}\n");
            match phases.last_mut() {
                Some((last, lines)) if *last == phase => lines.push_str(&line),
                _ => phases.push((phase, line)),
            }
        }
        let short = |lines: &str| Digest::of(lines.as_bytes()).short();
        phases.iter().map(|(phase, lines)| format!("{phase} {}", short(lines))).collect()
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
