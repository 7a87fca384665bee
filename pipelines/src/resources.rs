//! What workers may take of a machine. It changes no byte, and is in no key.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::size::ByteSize;

/// Least memory of a worker: one with next to nothing to do takes 20 MB.
pub const MIN_MEMORY: ByteSize = ByteSize(32_000_000);

/// `memory`, if a worker can do with it.
///
/// # Errors
/// With the message for the user.
pub fn enough(memory: ByteSize) -> Result<ByteSize, String> {
    match memory >= MIN_MEMORY {
        true => Ok(memory),
        false => Err(format!("found {memory}, expected at least {MIN_MEMORY}")),
    }
}

/// What the workers of one step may take: `[engine.STEP]` in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Most workers of the step at once. `None`: as many as the engine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<NonZeroUsize>,
    /// Threads of each worker. `None`: the cores, shared among the workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// Memory of each worker, at least 32 MB; so many run at once as the engine's memory holds. `None`: that memory, shared among
    /// the workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}
