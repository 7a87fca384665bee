//! Rules: what a text must be like to be kept.
//!
//! One file a family. Rules judge signals, which are measured once; the first rule that fails is the reason for which a
//! text is dropped. A rule has one name: in the manifest, in `decisions` and in counts.

mod bound;
pub mod c4;
pub mod fineweb_quality;
pub mod gopher_quality;
pub mod gopher_repetition;
mod judge;

pub use c4::C4;
pub use fineweb_quality::FinewebQuality;
pub use gopher_quality::GopherQuality;
pub use gopher_repetition::GopherRepetition;
pub use judge::{Check, Judge};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bounds of all families.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Is this running text?
    pub gopher_quality: GopherQuality,
    /// Does it say the same again and again?
    pub gopher_repetition: GopherRepetition,
    /// Is it text for people, and enough of it?
    pub c4: C4,
    /// Is it a list, or lines that were torn apart?
    pub fineweb_quality: FinewebQuality,
}

/// One rule: which signal may not be beyond which bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// The column of what it judges.
    pub signal: &'static str,
    /// Which values are kept.
    pub kept: Kept,
}

/// The values that a rule keeps; `None` keeps all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kept {
    /// Those of at least a bound.
    AtLeast(Option<f64>),
    /// Those of at most a bound.
    AtMost(Option<f64>),
}

impl Rule {
    /// Whether it has a bound.
    pub fn is_on(&self) -> bool {
        matches!(self.kept, Kept::AtLeast(Some(_)) | Kept::AtMost(Some(_)))
    }

    /// A rule that a signal may not be less than a bound.
    pub fn at_least(name: &'static str, signal: &'static str, bound: Option<f64>) -> Self {
        Self { name, signal, kept: Kept::AtLeast(bound) }
    }

    /// A rule that a signal may not be more than a bound.
    pub fn at_most(name: &'static str, signal: &'static str, bound: Option<f64>) -> Self {
        Self { name, signal, kept: Kept::AtMost(bound) }
    }
}

/// A whole number as a bound.
fn count(bound: Option<u64>) -> Option<f64> {
    bound.map(|bound| bound as f64)
}
