//! The kinds of artifact.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an artifact is. `docs/formats.md` explains each, byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every record that was read, as text.
    Extracted,
    /// Every measured value of every record.
    Signals,
    /// What became of every record, and why.
    Decisions,
    /// The texts that are kept.
    Documents,
    /// Labelled rows of a task.
    Examples,
    /// A tokenizer, as `transformers` loads it.
    Vocabulary,
    /// Documents as token ids, in Megatron's layout.
    TokenShards,
    /// A model, as `transformers` loads it, or one such directory a seed.
    Checkpoint,
    /// What was measured of models.
    Results,
}

impl Kind {
    /// The kind's name on disk, in manifests and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Extracted => "extracted",
            Kind::Signals => "signals",
            Kind::Decisions => "decisions",
            Kind::Documents => "documents",
            Kind::Examples => "examples",
            Kind::Vocabulary => "vocabulary",
            Kind::TokenShards => "token-shards",
            Kind::Checkpoint => "checkpoint",
            Kind::Results => "results",
        }
    }

    /// The file that shows a directory of others to be of this kind; `None` for kinds that only seedbed writes.
    pub(crate) fn sign(self) -> Option<&'static str> {
        match self {
            Kind::Checkpoint => Some("config.json"),
            Kind::Vocabulary => Some("tokenizer.json"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
