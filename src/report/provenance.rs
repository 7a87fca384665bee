//! Where everything comes from: artifacts, their configs, and how to make them again.

use std::path::{Path, PathBuf};

use pipelines::log::StartedStep;
use pipelines::publish::OutDir;
use serde::Serialize;

use super::artifacts::{Artifacts, Opened};
use super::history::History;
use crate::cli::Place;
use crate::show;

/// Letters of a config.
const MAX_CONFIG: usize = 20_000;

/// What went into a run, and what came out.
#[derive(Serialize)]
pub struct Provenance {
    pub artifacts: Vec<Made>,
    pub steps: Vec<StepConfig>,
    /// The program that wrote the page.
    pub program: String,
    pub again: Again,
    /// Where TensorBoard finds the run's curves.
    pub tensorboard: Option<String>,
}

/// How commands name the manifest and its results, as words for a shell.
#[derive(Serialize)]
pub struct Again {
    /// The manifest, if a file holds it.
    pub manifest: Option<String>,
    /// Where results go, if it is not beside the manifest.
    pub out: Option<String>,
    /// The directory of results.
    #[serde(skip)]
    root: PathBuf,
}

impl Again {
    /// Of what a command was told.
    pub fn of(out: &OutDir, place: Option<&Place>) -> Self {
        Self {
            manifest: place.map(|place| word(&place.manifest)),
            out: place.and_then(|place| place.out.out.as_deref()).map(word),
            root: out.root.clone(),
        }
    }
}

/// A path as one word for a shell.
fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,@".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// An artifact.
#[derive(Debug, PartialEq, Serialize)]
pub struct Made {
    pub step: String,
    pub kind: String,
    pub identity: String,
    pub files: usize,
    pub bytes: String,
    /// Rows of its tables, or tokens of its shards.
    pub rows: Option<String>,
    pub numeric_profile: Option<String>,
    /// What it was made from: field, name and identity.
    pub inputs: Vec<(String, String, String)>,
}

/// The config of a step, with defaults filled in.
#[derive(Debug, PartialEq, Serialize)]
pub struct StepConfig {
    pub step: String,
    pub stage: String,
    pub pin: Option<String>,
    pub config: String,
}

/// Gathers the provenance of a run.
pub fn provenance(history: &History, artifacts: &Artifacts, again: Again) -> Provenance {
    let curves =
        again.root.join(OutDir::STORE).join("runs").join(&history.name).join("tensorboard");
    let tensorboard = history.has_curves.then(|| word(&curves));
    Provenance {
        artifacts: artifacts.opened.iter().map(Made::of).collect(),
        steps: history.start.steps.iter().map(StepConfig::of).collect(),
        program: format!("seedbed {}", env!("CARGO_PKG_VERSION")),
        tensorboard,
        again,
    }
}

impl Made {
    fn of(opened: &Opened) -> Self {
        let parts = &opened.artifact.parts;
        let sum = |count: fn(&pipelines::record::PartRecord) -> Option<u64>| {
            parts.iter().filter_map(count).reduce(|sum, count| sum + count)
        };
        let rows = sum(|part| part.rows).map(|rows| format!("{rows} rows"));
        let tokens = sum(|part| part.tokens).map(|tokens| format!("{tokens} tokens"));
        let input = |input: &pipelines::record::InputRecord| {
            (input.field.clone(), input.name.clone(), input.digest.to_string())
        };
        Self {
            step: opened.step.clone(),
            kind: opened.artifact.kind.clone(),
            identity: opened.identity.to_string(),
            files: parts.len(),
            bytes: show::bytes(parts.iter().map(|part| part.bytes).sum::<u64>() as f64),
            rows: tokens.or(rows),
            numeric_profile: opened.artifact.numeric_profile.clone(),
            inputs: opened.artifact.inputs.iter().map(input).collect(),
        }
    }
}

impl StepConfig {
    fn of(step: &StartedStep) -> Self {
        let mut config = serde_json::to_string_pretty(&step.config).unwrap_or_default();
        if let Some((at, _)) = config.char_indices().nth(MAX_CONFIG) {
            config.truncate(at);
            config.push_str("\n… (artifact.json has all of it)");
        }
        Self {
            step: step.name.clone(),
            stage: step.stage.clone(),
            pin: step.pin.map(|pin| pin.to_string()),
            config,
        }
    }
}
