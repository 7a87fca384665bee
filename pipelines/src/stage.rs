//! What a stage is: named phases, each a list of independent tasks from bytes to bytes.
//!
//! A stage's config says which phases run; a [`Phase`] is exactly the part of the config that it may read, so whatever
//! it can read is in its key. Lists of tasks are pure functions of the config and of a [`View`] of what came before, which
//! names files and never opens them: they can be listed before anything has run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Context;
use crate::digest::Digest;
use crate::error::TaskError;
use crate::input::TaskInputs;
use crate::kind::Kind;
use crate::output::TaskOutput;
use crate::part::{Cut, Part, Stretch};

/// A stage with its config, as a manifest names it.
pub trait Stage: Send + Sync {
    /// The stage's name in manifests, such as `corpus-prep`.
    fn name(&self) -> &'static str;

    /// Says what is wrong with the config, naming field and value. Called before anything else.
    ///
    /// # Errors
    /// With the message for the user.
    fn validate(&self) -> Result<(), String>;

    /// The config with defaults filled in, as `artifact.json` shows it.
    fn config(&self) -> Value;

    /// What the config asks for.
    fn inputs(&self) -> Vec<InputField>;

    /// The kinds of artifact that come out.
    fn kinds(&self) -> Vec<Kind>;

    /// The phases in order. `seed` is the manifest's; a phase that draws takes it (or the config's own) into itself.
    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>>;

    /// What the artifacts are made of.
    ///
    /// # Errors
    /// When what the view shows does not fit.
    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError>;

    /// The numeric profile, where tensors are computed.
    fn numeric_profile(&self) -> Option<String> {
        None
    }
}

/// One phase: the part of the config that it may read, and what it does.
pub trait Phase: Send + Sync {
    /// The phase's name, such as `extract`.
    fn name(&self) -> &'static str;

    /// Raised whenever the bytes of an output change for the same config and inputs.
    fn version(&self) -> u32;

    /// Everything in `self`: `serde_json::to_value(self)`.
    fn config(&self) -> Value;

    /// The tasks, in order. Names are unique within the phase.
    ///
    /// # Errors
    /// When what the view shows does not fit.
    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError>;

    /// Runs one task. What it writes depends on `self` and `inputs` alone.
    ///
    /// # Errors
    /// Whatever went wrong. Nothing is kept of the outputs then.
    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError>;
}

/// A field of a config that names inputs.
#[derive(Clone, Debug)]
pub struct InputField {
    /// The field as the manifest writes it, such as `documents` or `examples.train`.
    pub field: &'static str,
    /// What it names.
    pub wanted: Wanted,
}

/// What an input field names.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Raw files.
    Files(FileSet),
    /// Artifacts of one kind: steps, or directories of published artifacts.
    Artifacts {
        /// The kind that is read.
        kind: Kind,
        /// Step names, or paths (with `/`, `.` or `://`).
        references: Vec<String>,
    },
}

/// Raw files, and how they are dealt into parts.
#[derive(Clone, Debug)]
pub struct FileSet {
    /// Globs, relative to the manifest. `**` crosses directories. Each must match a file.
    pub globs: Vec<String>,
    /// Largest bucket or range, in bytes.
    pub part_size: u64,
    /// What the stage must know of a file besides its bytes; an error says what is wrong with the name.
    pub tag: fn(&Path) -> Result<String, String>,
    /// How a large file with this tag may be cut.
    pub cut: fn(&str) -> Cut,
}

/// Where bytes that a task reads come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A stretch of a file that was there before, and may change.
    File {
        /// The file.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Length in bytes.
        bytes: u64,
        /// A second stretch of it, which is read behind the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<Stretch>,
        /// BLAKE3 of the stretch, the footer's bytes behind the others.
        digest: Digest,
    },
    /// A file of an artifact that was published elsewhere. It never changes.
    Published {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// BLAKE3 of it.
        digest: Digest,
    },
    /// What a task wrote, or will write.
    Output {
        /// The step.
        step: String,
        /// The phase.
        phase: String,
        /// The task.
        task: String,
        /// The output.
        output: String,
        /// One section of it, or the whole.
        section: Option<String>,
    },
    /// An object of the store, of an artifact that is pinned.
    Object {
        /// Its digest.
        digest: Digest,
        /// Its length.
        bytes: u64,
        /// What it is, for messages.
        name: String,
    },
}

impl Source {
    /// Section `name` of an output; of anything else, the thing itself.
    #[must_use]
    pub fn section(self, name: &str) -> Self {
        match self {
            Source::Output { step, phase, task, output, .. } => {
                Source::Output { step, phase, task, output, section: Some(name.to_owned()) }
            }
            other => other,
        }
    }
}

/// One thing that a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What the task uses it for.
    pub role: String,
    /// What the stage knows of it besides its bytes; part of the key.
    pub tag: String,
    /// Where it is.
    pub source: Source,
}

impl Input {
    /// `source` in the role `role`, without a tag.
    pub fn new(role: &str, source: Source) -> Self {
        Self { role: role.to_owned(), tag: String::new(), source }
    }

    /// With a tag.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Self {
        Self { tag: tag.to_owned(), ..self }
    }
}

/// One task of a phase.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name within the phase, such as the part's.
    pub name: String,
    /// What it reads, in order.
    pub inputs: Vec<Input>,
    /// Where it trains: what it shares with longer and shorter runs.
    pub training: Option<Training>,
}

impl Task {
    /// A task that does not train.
    pub fn new(name: impl Into<String>, inputs: Vec<Input>) -> Self {
        Self { name: name.into(), inputs, training: None }
    }
}

/// What a training task has in common with runs of other lengths.
///
/// Training is a prefix: the state after `n` steps is the same in every run with this `config` and these inputs. So states
/// are stored under config and inputs, and a longer run starts from the longest that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The phase's config without the length of the run.
    pub config: Value,
    /// Optimizer steps done before this task starts.
    pub from: u64,
    /// Optimizer steps done when it ends; `None` where only the data tells.
    pub to: Option<u64>,
    /// The output that holds the state at the end, if it is kept for longer runs; then `to` is known.
    pub state_output: Option<String>,
}

/// What a phase sees of the world when it lists its tasks: names, never contents.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The step that is planned.
    pub step: String,
    /// Raw files by field.
    pub files: BTreeMap<String, Vec<Part>>,
    /// Upstream artifacts by field, in the order in which the field names them.
    pub artifacts: BTreeMap<String, Vec<ArtifactView>>,
    /// Names of the tasks of earlier phases, by phase.
    pub phases: BTreeMap<String, Vec<String>>,
}

impl View {
    /// The parts of the files that `field` names; none if it names none.
    pub fn parts(&self, field: &str) -> &[Part] {
        self.files.get(field).map_or(&[], Vec::as_slice)
    }

    /// The artifacts that `field` names; none if it names none.
    pub fn artifacts(&self, field: &str) -> &[ArtifactView] {
        self.artifacts.get(field).map_or(&[], Vec::as_slice)
    }

    /// Shows the names of a phase's tasks to the phases behind it.
    pub(crate) fn note(&mut self, phase: &str, tasks: &[Task]) {
        self.phases.insert(phase.to_owned(), tasks.iter().map(|task| task.name.clone()).collect());
    }

    /// The names of the tasks of an earlier phase of this step.
    pub fn tasks(&self, phase: &str) -> &[String] {
        self.phases.get(phase).map_or(&[], Vec::as_slice)
    }

    /// What a task of an earlier phase of this step writes as `output`.
    pub fn output(&self, phase: &str, task: &str, output: &str) -> Source {
        Source::Output {
            step: self.step.clone(),
            phase: phase.to_owned(),
            task: task.to_owned(),
            output: output.to_owned(),
            section: None,
        }
    }
}

/// An artifact as downstream steps see it, published or yet to be made.
#[derive(Clone, Debug)]
pub struct ArtifactView {
    /// The step that makes it, or its path.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its files, in order.
    pub files: Vec<ArtifactFile>,
}

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Where it stands in the artifact's directory, with `/` between names.
    pub path: String,
    /// Which part of the data it holds.
    pub part: String,
    /// Where its bytes come from.
    pub source: Source,
}

impl ArtifactView {
    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&ArtifactFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files whose path ends in `suffix`, in order.
    pub fn files_ending(&self, suffix: &str) -> impl Iterator<Item = &ArtifactFile> {
        self.files.iter().filter(move |file| file.path.ends_with(suffix))
    }
}

/// What an artifact is made of: files that tasks of this step wrote, or that stand in upstream artifacts.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// Its kind.
    pub kind: Kind,
    /// Its files, in order.
    pub files: Vec<ArtifactFile>,
    /// The task (phase, name) whose details `artifact.json` shows.
    pub details: Option<(String, String)>,
}
