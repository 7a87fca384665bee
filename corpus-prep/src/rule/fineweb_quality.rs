//! FineWeb quality rules: is this a list, or lines that were torn apart?
//!
//! Source: Penedo et al. 2024, arXiv:2406.17557, section 3.6; bounds, names and order as datatrove's `FineWebQualityFilter`,
//! whose bound of `char_dup_ratio` is a tenth of the paper's.

use super::{Rule, bound, count};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the FineWeb quality rules. Each field is a rule's name; a text at the bound is kept. `"off"` switches a rule off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FinewebQuality {
    /// Fewest lines kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub empty: Option<u64>,
    /// Least share of lines that end in a terminal mark kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub line_punct_ratio: Option<f64>,
    /// Greatest share of lines of at most 30 characters kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub short_line_ratio: Option<f64>,
    /// Greatest share of characters in repeated lines kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub char_dup_ratio: Option<f64>,
    /// Most line feeds per word kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub list_ratio: Option<f64>,
}

impl Default for FinewebQuality {
    fn default() -> Self {
        Self {
            empty: Some(1),
            line_punct_ratio: Some(0.12),
            short_line_ratio: Some(0.67),
            char_dup_ratio: Some(0.01),
            list_ratio: Some(0.3),
        }
    }
}

impl FinewebQuality {
    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> [Rule; 5] {
        [
            Rule::at_least("empty", "num_lines", count(self.empty)),
            Rule::at_least("line_punct_ratio", "terminal_line_frac", self.line_punct_ratio),
            Rule::at_most("short_line_ratio", "short_line_frac", self.short_line_ratio),
            Rule::at_most("char_dup_ratio", "repeated_line_char_frac", self.char_dup_ratio),
            Rule::at_most("list_ratio", "line_feed_ratio", self.list_ratio),
        ]
    }
}
