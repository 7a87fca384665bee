//! A fresh directory with its store, and what runs leave in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pipelines::context::Cancel;
use pipelines::digest::Digest;
use pipelines::error::chain;
use pipelines::manifest::Manifest;
use pipelines::plan::{Plan, State};
use pipelines::publish::OutDir;
use pipelines::record::{Artifact, TaskRecord};
use pipelines::roots::Root;
use pipelines::run::{Observer, Run};
use pipelines::task::Event;

use crate::bench::{Bench, Fate};
use crate::step::Step;

/// The seed of every manifest here.
pub const SEED: u64 = 7;

/// Steps by name.
pub type Steps = BTreeMap<&'static str, Step>;

/// A fresh directory.
pub struct Laboratory {
    dir: tempfile::TempDir,
}

impl Default for Laboratory {
    fn default() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }
}

impl Laboratory {
    /// Where `path` stands, such as `STEP/KIND`.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Runs what is not done.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn run(&self, steps: &Steps) -> Result<Ran, String> {
        self.run_on(&Bench::default(), self.dir.path(), steps)
    }

    /// Runs what is not done with so many threads a task, on raw files whose paths are relative to `base`.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn run_in(&self, base: &Path, steps: &Steps, threads: usize) -> Result<Ran, String> {
        self.run_on(&Bench { threads: Some(threads), ..Bench::default() }, base, steps)
    }

    /// Runs what is not done with so many threads a task.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn run_with_threads(&self, steps: &Steps, threads: usize) -> Result<Ran, String> {
        self.run_in(self.dir.path(), steps, threads)
    }

    /// Runs what is not done until `fate` strikes, and gives the message for the user.
    ///
    /// # Panics
    /// If the run comes to its end before.
    #[track_caller]
    pub fn interrupt(&self, steps: &Steps, fate: Fate) -> String {
        let bench = Bench { fate: Some(fate), ..Bench::default() };
        match self.run_on(&bench, self.dir.path(), steps) {
            Err(message) => message,
            Ok(_) => panic!("the run was over before {fate:?}"),
        }
    }

    fn run_on(&self, bench: &Bench, base: &Path, steps: &Steps) -> Result<Ran, String> {
        let say = |error: pipelines::error::Error| chain(&error);
        let named = steps.iter().map(|(name, step)| ((*name).to_owned(), step.clone()));
        let (steps, pins) = (named.collect(), BTreeMap::new());
        let manifest = Manifest { pins, ..Manifest::new("test", SEED, steps) };
        manifest.validate().map_err(say)?;
        let out = OutDir::open(self.dir.path()).map_err(say)?;
        let run = Run { manifest: &manifest, base, out: &out };
        let mut notes = Notes::default();
        let summary = run.run(bench, None, &Cancel::default(), &mut notes).map_err(say)?;
        Ok(Ran { summary, events: notes.0, plan: run.plan().map_err(say)? })
    }

    /// The record of the artifact at `path`, such as `STEP/KIND`.
    pub fn artifact(&self, path: &str) -> Artifact {
        let file = self.path(path).join(Artifact::FILE);
        Artifact::read(&file, &fs::read(&file).unwrap()).unwrap()
    }

    /// The digests of the files of the artifact at `path`, such as `STEP/KIND`, by their own paths.
    pub fn digests(&self, path: &str) -> BTreeMap<String, Digest> {
        self.artifact(path).parts.into_iter().map(|part| (part.path, part.blake3)).collect()
    }
}

#[derive(Default)]
struct Notes(Vec<Event>);

impl Observer for Notes {
    fn wave(&mut self, _: &BTreeMap<String, usize>) {}

    fn event(&mut self, _: usize, event: &Event) {
        self.0.push(event.clone());
    }

    fn published(&mut self, _: &str) {}
}

/// What a run did.
#[derive(Debug)]
pub struct Ran {
    /// What it came to.
    pub summary: Root,
    /// What its tasks said, in order.
    pub events: Vec<Event>,
    plan: Plan,
}

impl Ran {
    /// The tasks of `step` that ran, as `phase/task`, in order.
    pub fn tasks(&self, step: &str) -> Vec<String> {
        let name = |event: &Event| match event {
            Event::Started { task, .. } => {
                task.strip_prefix(step)?.strip_prefix('/').map(str::to_owned)
            }
            _ => None,
        };
        self.events.iter().filter_map(name).collect()
    }

    /// By how much tasks said that they had advanced, in order.
    pub fn advances(&self) -> Vec<u64> {
        let done = |event: &Event| match event {
            Event::Advanced { done } => Some(*done),
            _ => None,
        };
        self.events.iter().filter_map(done).collect()
    }

    /// The records of the tasks of `step`, which is done, with their phases and names.
    pub fn records(&self, step: &str) -> Vec<(&'static str, &str, &TaskRecord)> {
        let tasks = self.plan.step(step).unwrap().tasks();
        tasks
            .map(|(phase, planned)| match &planned.state {
                State::Done(record) => (phase, planned.task.name.as_str(), record.as_ref()),
                other => panic!("{phase}/{} is {other:?}", planned.task.name),
            })
            .collect()
    }

    /// The digest of every output of `step`, by `phase/task/output`.
    pub fn outputs(&self, step: &str) -> BTreeMap<String, Digest> {
        let records = self.records(step).into_iter();
        let outputs = records.flat_map(|(phase, task, record)| {
            let outputs = record.outputs.iter();
            outputs.map(move |(name, made)| (format!("{phase}/{task}/{name}"), made.digest))
        });
        outputs.collect()
    }
}
