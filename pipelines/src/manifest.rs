//! Manifests: which steps there are, and what each stage is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::resources::{Resources, enough};
use crate::retention::Retention;
use crate::stage::Stage;

// `S` is the enum of stages: its variant is the key behind the step's name. Editors show what stands in doc comments here.
/// A pipeline as a person wrote it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest<S> {
    /// What the pipeline is called.
    pub name: String,
    /// Where random choices start from.
    #[serde(default)]
    pub seed: u64,
    /// Steps by name.
    pub steps: BTreeMap<String, S>,
    /// What the workers of a step may take; changes no result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engine: BTreeMap<String, Resources>,
    /// What is kept, and for how long; changes no result.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention: Retention,
    /// Artifacts that hold a step still while what it reads moves on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, Digest>,
}

impl<S> Manifest<S> {
    /// A manifest of these steps, and nothing else.
    pub fn new(name: &str, seed: u64, steps: BTreeMap<String, S>) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            steps,
            engine: BTreeMap::new(),
            retention: Retention::default(),
            pins: BTreeMap::new(),
        }
    }
}

fn is_default(retention: &Retention) -> bool {
    *retention == Retention::default()
}

impl<S: Stage + DeserializeOwned> Manifest<S> {
    /// Reads the manifest at `path`; `write_out` then adds the steps that it implies.
    ///
    /// # Errors
    /// When it cannot be read or is wrong, with line, column and the names that would be right.
    pub fn read(
        path: &Path,
        write_out: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<Self> {
        let text = fs::read_to_string(path).at("read", path)?;
        Self::parse(&text, path, write_out)
    }

    /// Reads a manifest from `text`, calling it `path` in messages; `write_out` then adds the steps that it implies.
    ///
    /// # Errors
    /// When it is wrong, with line, column and the names that would be right.
    pub fn parse(
        text: &str,
        path: &Path,
        write_out: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<Self> {
        let wrong = |message: String| Error::Manifest { path: path.to_owned(), message };
        let mut manifest: Self =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        // Before it is checked: pins and resources may be those of a step that is implied.
        write_out(&mut manifest).map_err(wrong)?;
        manifest.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(manifest)
    }
}

impl<S: Stage> Manifest<S> {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// When a name cannot be used, a config is wrong, or a pin names no step.
    pub fn validate(&self) -> Result<()> {
        if self.steps.is_empty() {
            let message = "there are none; a step is written `[steps.NAME.STAGE]`".into();
            return Err(Error::Step { step: "steps".into(), message });
        }
        for (name, stage) in &self.steps {
            let wrong = |message: String| Error::Step { step: name.clone(), message };
            let plain =
                |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(wrong("a step's name is made of letters, digits, `-` and `_`".into()));
            }
            stage.validate().map_err(wrong)?;
        }
        let pins = self.pins.keys().map(|step| ("pins", step));
        let engine = self.engine.keys().map(|step| ("engine", step));
        for (table, step) in pins.chain(engine) {
            if !self.steps.contains_key(step) {
                let names: Vec<&str> = self.steps.keys().map(String::as_str).collect();
                let message = format!(
                    "`[{table}]` names it, but there are only the steps {}",
                    names.join(", ")
                );
                return Err(Error::Step { step: step.clone(), message });
            }
        }
        self.engine.iter().try_for_each(|(step, resources)| {
            let enough = resources.memory.map_or(Ok(()), |memory| enough(memory).map(drop));
            enough.map_err(|message| Error::Step {
                step: step.clone(),
                message: format!("`memory` in `[engine.{step}]`: {message}"),
            })
        })
    }
}
