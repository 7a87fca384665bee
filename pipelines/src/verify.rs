//! Verification: whether a store still holds what was written into it, and whether tasks still give what they gave.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::context::Cancel;
use crate::digest::Digest;
use crate::error::{At, Error, Result, chain};
use crate::gc::fanned;
use crate::plan::{Plan, PlannedStep, PlannedTask, State};
use crate::publish::OutDir;
use crate::record::{Artifact, TaskRecord};
use crate::roots::{self, Root, entries};
use crate::run::Run;
use crate::seed::{Permutation, Seed};
use crate::stage::Stage;
use crate::store::Store;
use crate::task::Report;

/// What a check of a store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Objects read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Task records read.
    pub records: u64,
    /// Published directories read.
    pub artifacts: u64,
    /// Roots of runs read.
    pub runs: u64,
    /// What was damaged, one line each, sorted. It was set aside or withdrawn; the next run makes it anew.
    pub damaged: Vec<String>,
}

/// Reads every object, record and published file, and compares it with its digest.
///
/// # Errors
/// When something cannot be read. Damage is no error: it is what this finds.
pub fn check(out: &OutDir, cancel: &Cancel) -> Result<Checked> {
    let store = &out.store;
    let _in_use = store.share()?;
    let bytes = AtomicU64::new(0);
    let damaged = Mutex::new(Vec::new());
    let say = |line: String| {
        damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
    };
    let stopped = || if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) };
    let objects = fanned(&store.root().join("objects"))?;
    objects.par_iter().try_for_each(|(head, rest, path)| -> Result<()> {
        stopped()?;
        let Ok(digest) = format!("b3:{head}{rest}").parse::<Digest>() else {
            say(format!("{}: it is not named by a digest", path.display()));
            return Ok(());
        };
        let length = fs::metadata(path).at("read", path)?.len();
        bytes.fetch_add(length, Ordering::Relaxed);
        match store.check(&digest, 0, length, &digest) {
            Err(error @ Error::Damaged { .. }) => say(error.to_string()),
            checked => checked?,
        }
        Ok(())
    })?;
    let records = fanned(&store.root().join("tasks"))?;
    records.par_iter().try_for_each(|(_, _, path)| -> Result<()> {
        stopped()?;
        match TaskRecord::read(path, &fs::read(path).at("read", path)?) {
            Err(error @ Error::Format { .. }) => say(error.to_string()),
            read => drop(read?),
        }
        Ok(())
    })?;
    let published = entries(&store.root().join("artifacts"))?;
    published.par_iter().try_for_each(|dir| -> Result<()> {
        stopped()?;
        if let Some(line) = damage_of(store, dir)? {
            say(line);
            fs::remove_dir_all(dir).at("remove", dir)?;
        }
        Ok(())
    })?;
    let mut runs = 0;
    for dir in entries(&store.root().join("runs"))? {
        for name in [roots::FILE, roots::SO_FAR] {
            let path = dir.join(name);
            match Root::read(&path) {
                Err(error @ Error::Format { .. }) => {
                    say(error.to_string());
                    store.set_aside(&path)?;
                }
                read => runs += u64::from(read?.is_some()),
            }
        }
    }
    let mut damaged = damaged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    damaged.sort();
    Ok(Checked {
        objects: objects.len() as u64,
        bytes: bytes.into_inner(),
        records: records.len() as u64,
        artifacts: published.len() as u64,
        runs,
        damaged,
    })
}

/// What is wrong with a published directory, if anything is.
fn damage_of(store: &Store, dir: &Path) -> Result<Option<String>> {
    let path = dir.join(Artifact::FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(format!("{}: it is missing", path.display())));
        }
        Err(error) => return Err(error).at("read", &path),
    };
    if dir.file_name().is_none_or(|name| name.to_string_lossy() != Digest::of(&bytes).hex()) {
        return Ok(Some(format!("{}: its digest is not the directory's name", path.display())));
    }
    for part in Artifact::read(&path, &bytes)?.parts {
        let path = dir.join(&part.path);
        let Ok(found) = fs::metadata(&path) else {
            return Ok(Some(format!("{}: it is missing", path.display())));
        };
        // A hard link to an object has been read with the object.
        let object = fs::metadata(store.object_path(&part.blake3));
        if object.is_ok_and(|object| (object.dev(), object.ino()) == (found.dev(), found.ino())) {
            continue;
        }
        let (digest, _) = File::open(&path).and_then(Digest::of_reader).at("read", &path)?;
        if digest != part.blake3 {
            let expected = part.blake3;
            return Ok(Some(format!(
                "{}: found {digest:?}, expected {expected:?}",
                path.display()
            )));
        }
    }
    Ok(None)
}

/// What became of a task that ran again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recomputed {
    /// `step/phase/task`.
    pub task: String,
    /// What differs from its record, or why it could not run; `None` if it gave the same.
    pub problem: Option<String>,
}

impl<S: Stage + Clone + Serialize> Run<'_, S> {
    /// Runs `count` finished tasks of the manifest again, drawn by `seed`, and compares what they give with their records.
    /// Nothing of it is kept.
    ///
    /// # Errors
    /// When the manifest does not fit its files, or the run is told to stop.
    pub fn recompute(
        &self,
        count: usize,
        seed: u64,
        cancel: &Cancel,
        report: &Report,
    ) -> Result<Vec<Recomputed>> {
        let _in_use = self.out.store.share()?;
        let plan = self.plan()?;
        let done = done(&plan);
        let order = Permutation::new(Seed::new(seed, "verify/tasks"), 0, done.len() as u64);
        let mut recomputed = Vec::new();
        for at in 0..done.len().min(count) {
            let place = usize::try_from(order.at(at as u64)).expect("a place below a usize is one");
            let (step, phase, task, record) = done[place];
            let name = format!("{step}/{phase}/{}", task.task.name);
            let again = self.again(step, phase, task, cancel, report);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let problem = match again {
                Ok(found) => difference(record, &found),
                Err(error) => Some(chain(&*error)),
            };
            recomputed.push(Recomputed { task: name, problem });
        }
        Ok(recomputed)
    }
}

/// A finished task with its step, phase and record.
type Finished<'p> = (&'p str, &'static str, &'p PlannedTask, &'p TaskRecord);

fn done(plan: &Plan) -> Vec<Finished<'_>> {
    let mut done = Vec::new();
    let passing =
        plan.steps.iter().flat_map(PlannedStep::tasks).flat_map(|(_, task)| &task.passing);
    let let_go = passing.filter(|output| !output.is_there).map(|output| output.digest).collect();
    for step in &plan.steps {
        for (phase, task) in step.tasks() {
            // What it read may have been let go.
            if let State::Done(record) = &task.state
                && !task.reads(&let_go)
            {
                done.push((step.name.as_str(), phase, task, &**record));
            }
        }
    }
    done
}

/// The first output that is not as its record says.
fn difference(record: &TaskRecord, found: &TaskRecord) -> Option<String> {
    if record.counts != found.counts {
        let counts = |of: &TaskRecord| Value::from_iter(of.counts.clone()).to_string();
        return Some(format!("it counted {}, its record says {}", counts(found), counts(record)));
    }
    let names = record.outputs.keys().chain(found.outputs.keys());
    let digest = |of: &TaskRecord, name: &String| of.outputs.get(name).map(|output| output.digest);
    names.into_iter().find(|name| digest(record, name) != digest(found, name)).map(|name| {
        let (found, expected) = (digest(found, name), digest(record, name));
        format!("`{name}`: found {found:?}, its record says {expected:?}; this is a bug in seedbed: please report it")
    })
}
