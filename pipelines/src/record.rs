//! What is written down about a task that ran, and about an artifact that was published.

use std::collections::BTreeMap;
use std::path::Path;

use litemap::LiteMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::canonical;

/// The field of a checked file that holds BLAKE3 over the canonical JSON of all other fields.
const CHECKSUM: &str = "checksum";

/// Counts of one phase or task by name, such as `read`, `kept`, `gopher_short_doc`.
pub type Counts = BTreeMap<String, u64>;

/// A named stretch of an output that a later task may read alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the stretch.
    pub digest: Digest,
}

/// One file that a task wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// BLAKE3 of the file, and its name in the store.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows, where the file is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Tokens, where the file is a token shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Stretches by name. One that is not named is empty.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub sections: LiteMap<String, Section>,
}

/// A task that is done. It stands in the store under the task's key.
///
/// A plan holds one of each task, so its maps are sorted lists, which take no more room than what is in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// [`TaskRecord::VERSION`] of the writer.
    pub version: u64,
    /// The task's key.
    pub key: Digest,
    /// Files by output name.
    pub outputs: LiteMap<String, OutputRecord>,
    /// What was counted.
    #[serde(default)]
    pub counts: LiteMap<String, u64>,
    /// What the stage says of its result for `artifact.json`, or null.
    #[serde(default)]
    pub details: Value,
}

impl TaskRecord {
    /// Version of the format. Records of version 1 have no checksum.
    pub const VERSION: u64 = 2;

    /// Reads a record.
    ///
    /// # Errors
    /// When the bytes are no record, a damaged one, or one of a newer version.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        checked(path, bytes, "task record", Self::VERSION)
    }

    /// The bytes of the file: canonical JSON with a checksum of all else in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        with_checksum(self)
    }
}

/// An upstream artifact that went into another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The field of the config that names it.
    pub field: String,
    /// The step that made it, or its path.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its identity.
    pub digest: Digest,
}

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Where the file stands in the artifact's directory.
    pub path: String,
    /// Which part of the data it holds; files of one part share it.
    pub part: String,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// Rows, where the file is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Tokens, where the file is a token shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The key of the task that wrote it; absent for a file taken over from an imported or pinned artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Digest>,
}

/// `artifact.json`: what an artifact is and how it was made. The digest of its bytes is the artifact's identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is, such as `documents`.
    pub kind: String,
    /// [`Artifact::VERSION`] of the writer.
    pub format_version: u64,
    /// The stage that made it.
    pub stage: String,
    /// The stage's config with defaults filled in.
    pub config: Value,
    /// The seed of the manifest or step.
    pub seed: u64,
    /// What tensors were computed with, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_profile: Option<String>,
    /// The artifacts it was made from.
    pub inputs: Vec<InputRecord>,
    /// Its files, in order.
    pub parts: Vec<PartRecord>,
    /// Counts by phase, summed over tasks.
    pub counts: BTreeMap<String, Counts>,
    /// What the stage says of it, by name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl Artifact {
    /// Version of the format.
    pub const VERSION: u64 = 1;
    /// The file's name.
    pub const FILE: &str = "artifact.json";

    /// Reads the `artifact.json` at `path`.
    ///
    /// # Errors
    /// When the bytes are not such a file, or one of a newer version.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "artifact";
        let value = json(path, bytes, WHAT)?;
        let found = value["format_version"]
            .as_u64()
            .ok_or_else(|| not_a(WHAT, path, "JSON without `format_version`".into()))?;
        if found > Self::VERSION {
            let (path, supported) = (path.to_owned(), Self::VERSION);
            return Err(Error::TooNew { path, what: WHAT, found, supported });
        }
        let artifact: Self = typed(path, value, WHAT)?;
        let inside = |part: &&PartRecord| {
            let mut names = Path::new(&part.path).components();
            names.all(|name| matches!(name, std::path::Component::Normal(_)))
                && !part.path.is_empty()
        };
        match artifact.parts.iter().find(|part| !inside(part)) {
            None => Ok(artifact),
            Some(part) => Err(Error::Format {
                path: path.to_owned(),
                found: format!("the part `{}`", part.path),
                expected: "a path inside the artifact".into(),
            }),
        }
    }

    /// The bytes of the file: indented JSON and a line end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("an artifact has string keys only");
        bytes.push(b'\n');
        bytes
    }
}

/// Reads JSON with a `version`, and from version 2 on with a checksum, which is looked at before anything else: what a turned
/// bit makes look newer is damaged. Without a version it is of version 1.
pub(crate) fn checked<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    what: &'static str,
    supported: u64,
) -> Result<T> {
    let mut value = json(path, bytes, what)?;
    let sum = value.as_object_mut().and_then(|fields| fields.remove(CHECKSUM));
    let expected = Value::from(Digest::of(canonical(&value).as_bytes()).to_string());
    let found = value["version"].as_u64().unwrap_or(1);
    if (sum.is_some() || found > 1) && sum.as_ref() != Some(&expected) {
        return Err(Error::Format {
            path: path.to_owned(),
            found: format!("`{CHECKSUM}`: {}", sum.unwrap_or_default()),
            expected: expected.to_string(),
        });
    }
    if found > supported {
        return Err(Error::TooNew { path: path.to_owned(), what, found, supported });
    }
    typed(path, value, what)
}

/// Canonical JSON with a checksum of all else in it.
pub(crate) fn with_checksum(written: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(written).expect("it has string keys only");
    value[CHECKSUM] = Digest::of(canonical(&value).as_bytes()).to_string().into();
    canonical(&value).into_bytes()
}

fn json(path: &Path, bytes: &[u8], what: &str) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| not_a(what, path, error.to_string()))
}

fn typed<T: DeserializeOwned>(path: &Path, value: Value, what: &str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| not_a(what, path, error.to_string()))
}

fn not_a(what: &str, path: &Path, found: String) -> Error {
    Error::Format { path: path.to_owned(), found, expected: format!("{what} as JSON") }
}
