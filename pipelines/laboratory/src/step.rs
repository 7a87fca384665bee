//! A step of a test's manifest: any stage, whatever its type.

use std::sync::Arc;

use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::stage::{Assembly, InputField, Phase, Stage, View};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A stage with its config.
#[derive(Clone)]
pub struct Step(Arc<dyn Stage>);

impl Step {
    /// The step of a stage.
    pub fn new(stage: impl Stage + 'static) -> Self {
        Self(Arc::new(stage))
    }
}

/// A config from the lines that a manifest would have for it.
///
/// # Errors
/// With the message for the user.
pub fn told<C: DeserializeOwned>(lines: &str) -> Result<C, String> {
    toml::from_str(lines).map_err(|error| error.to_string())
}

/// Frozen task lists hold it; no worker reads them here.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.config().serialize(serializer)
    }
}

impl Stage for Step {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn validate(&self) -> Result<(), String> {
        self.0.validate()
    }

    fn config(&self) -> Value {
        self.0.config()
    }

    fn inputs(&self) -> Vec<InputField> {
        self.0.inputs()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.0.kinds()
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        self.0.phases(seed)
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        self.0.artifacts(view)
    }

    fn numeric_profile(&self) -> Option<String> {
        self.0.numeric_profile()
    }
}
