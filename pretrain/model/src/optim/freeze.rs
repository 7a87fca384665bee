//! Which parameters stay as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{ModelError, Result},
    param::Part,
};

/// What of a model is not trained, from the bottom up. What stands above the last block always is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Freeze {
    /// Whether the embeddings stay as they are, and with them the output projection that is tied to them.
    pub embeddings: bool,
    /// Blocks that stay as they are, counted from the bottom; at most all. Without `embeddings` these still learn, through
    /// them.
    pub layers: usize,
}

impl Freeze {
    /// Whether what stands there stays as it is.
    pub(crate) fn holds(&self, part: Part) -> bool {
        match part {
            Part::Embeddings => self.embeddings,
            Part::Layer(layer) => layer < self.layers,
            Part::Neck | Part::Head => false,
        }
    }

    /// Checks that a model of `num_layers` blocks has as many as are frozen.
    ///
    /// # Errors
    /// [`ModelError::Freeze`].
    pub fn check(&self, num_layers: usize) -> Result<()> {
        if self.layers <= num_layers {
            return Ok(());
        }
        Err(ModelError::Freeze { found: self.layers, expected: num_layers })
    }
}
