//! C4 rules: is this text for people, and enough of it?
//!
//! They judge what [`C4Lines`](crate::edit::C4Lines) finds in the lines that it keeps. Source: Raffel et al. 2020,
//! arXiv:1910.10683, section 2.2; bounds and names as datatrove's `C4QualityFilter`. Of a text with both a placeholder and a
//! brace, datatrove names the one that comes first, and these rules the placeholder.

use super::{Rule, bound, count};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the C4 rules. Each field is a rule's name; a text at the bound is kept. `"off"` switches a rule off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct C4 {
    /// Most lines with "lorem ipsum" kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub lorem_ipsum: Option<u64>,
    /// Most lines with an opening brace kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub curly_bracket: Option<u64>,
    /// Fewest sentences kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub too_few_sentences: Option<u64>,
}

impl Default for C4 {
    fn default() -> Self {
        Self { lorem_ipsum: Some(0), curly_bracket: Some(0), too_few_sentences: Some(5) }
    }
}

impl C4 {
    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> [Rule; 3] {
        [
            Rule::at_most("lorem_ipsum", "lorem_ipsum_lines", count(self.lorem_ipsum)),
            Rule::at_most("curly_bracket", "brace_lines", count(self.curly_bracket)),
            Rule::at_least("too_few_sentences", "num_sentences", count(self.too_few_sentences)),
        ]
    }
}
