//! The weights in a `checkpoint` artifact, as inputs of a task.

use std::path::{Path, PathBuf};

use pipelines::{
    input::{Mapped, TaskInput, TaskInputs},
    stage::{ArtifactView, Input},
};

use super::{Checkpoint, INDEX_FILE, WEIGHTS_FILE};
use crate::error::Result;

/// The role of one of several files with weights; its tag is its name.
const SHARD: &str = "shard";

/// The files with the weights of the model in `dir` of an artifact, as inputs of a task; `None` where there are none.
///
/// The first has the role [`WEIGHTS_FILE`], or [`INDEX_FILE`], and behind that stands every safetensors file beside it:
/// which of them the index names is known once a task reads it.
pub fn weight_inputs(artifact: &ArtifactView, dir: &str) -> Option<Vec<Input>> {
    let input = |name: &str| {
        let file = artifact.file(&format!("{dir}{name}"))?;
        Some(Input::new(name, file.source.clone()))
    };
    if let Some(whole) = input(WEIGHTS_FILE) {
        return Some(vec![whole]);
    }
    let beside = artifact.files_ending(".safetensors").filter_map(|file| {
        let name = file.path.strip_prefix(dir).filter(|name| !name.contains('/'))?;
        Some(Input::new(SHARD, file.source.clone()).tagged(name))
    });
    Some([input(INDEX_FILE)?].into_iter().chain(beside).collect())
}

/// The weights of a task's inputs, in memory.
pub struct MappedWeights {
    /// The weights, or their index.
    first: MappedFile,
    /// Where the first is an index.
    shards: Option<Vec<MappedFile>>,
}

struct MappedFile {
    tag: String,
    path: PathBuf,
    bytes: Mapped,
}

impl MappedWeights {
    /// Maps what [`weight_inputs`] listed.
    ///
    /// # Errors
    /// When the task declared no weights, and when one of their files cannot be read.
    pub fn of(inputs: &TaskInputs) -> pipelines::error::Result<Self> {
        let mapped = |input: &TaskInput| {
            let (tag, path) = (input.tag().to_owned(), input.name().into());
            Ok(MappedFile { tag, path, bytes: input.map()? })
        };
        match inputs.all(INDEX_FILE).next() {
            None => Ok(Self { first: mapped(inputs.one(WEIGHTS_FILE)?)?, shards: None }),
            Some(index) => {
                let shards: pipelines::error::Result<_> = inputs.all(SHARD).map(mapped).collect();
                Ok(Self { first: mapped(index)?, shards: Some(shards?) })
            }
        }
    }

    /// What the stage said of the weights, or of their index, when it listed the task.
    pub fn tag(&self) -> &str {
        &self.first.tag
    }

    /// The model of these weights and the bytes of a `config.json`; the path names that in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn checkpoint(&self, config: (&[u8], &Path)) -> Result<Checkpoint> {
        let first = (&*self.first.bytes, self.first.path.as_path());
        let Some(shards) = &self.shards else { return Checkpoint::from_bytes(config, first) };
        let shards: Vec<(&str, &[u8], &Path)> = shards
            .iter()
            .map(|shard| (shard.tag.as_str(), &*shard.bytes, shard.path.as_path()))
            .collect();
        Checkpoint::from_shards(config, first, &shards)
    }
}
