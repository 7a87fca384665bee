//! Where everything comes from: artifacts, their configs, and how to make them again.

use pipelines::log::StartedStep;
use serde::Serialize;

use super::artifacts::{Artifacts, Opened};
use super::history::History;
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
    /// Where TensorBoard finds the run's curves, from the directory of results on.
    pub tensorboard: Option<String>,
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
pub fn provenance(history: &History, artifacts: &Artifacts) -> Provenance {
    let tensorboard =
        history.has_curves.then(|| format!(".seedbed/runs/{}/tensorboard", history.name));
    Provenance {
        artifacts: artifacts.opened.iter().map(Made::of).collect(),
        steps: history.start.steps.iter().map(StepConfig::of).collect(),
        program: format!("seedbed {}", env!("CARGO_PKG_VERSION")),
        tensorboard,
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
