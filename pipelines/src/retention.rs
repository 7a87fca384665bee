//! What of a run's results is kept, and for how long: `[retention]` in a manifest. It changes no byte, and is in no key.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// What of a run's results is kept, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Intermediate artifacts that are not published, and whose files go as soon as a run has ended well. Their records stay;
    /// what a later change asks for is made again, and is the same.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub let_go: BTreeSet<Intermediate>,
    /// Newest runs of the manifest whose results `seedbed gc` keeps, training states among them. `None`: one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<NonZeroUsize>,
}

/// An artifact that serves to make others.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Intermediate {
    /// Every record that was read, as text: about as large as the raw files.
    Extracted,
}

impl Retention {
    /// Whether artifacts of this kind are let go.
    pub fn lets_go(&self, kind: Kind) -> bool {
        self.let_go.iter().any(|intermediate| match intermediate {
            Intermediate::Extracted => kind == Kind::Extracted,
        })
    }
}
