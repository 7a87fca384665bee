//! Names of raw files in a manifest: one glob, or a list of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Globs of raw files, relative to the manifest: `"notes/*.txt"` or `["a.jsonl", "b.jsonl"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "OneOrMany", expecting = "a path or glob, or a list of them")]
pub struct Globs(pub Vec<String>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a path or glob, or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Globs {
    fn from(globs: OneOrMany) -> Self {
        match globs {
            OneOrMany::One(glob) => Self(vec![glob]),
            OneOrMany::Many(globs) => Self(globs),
        }
    }
}

impl Globs {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
