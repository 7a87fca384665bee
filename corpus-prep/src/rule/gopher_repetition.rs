//! Gopher repetition rules: does this text say the same again and again?
//!
//! Source: Rae et al. 2021, arXiv:2112.11446, appendix A1.1, table A1; order as datatrove's
//! `GopherRepetitionFilter`. That filter has no names for the last six rules apart from their length; here they are
//! `dup_n_gram`, as `top_n_gram`.

use super::{Rule, bound};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the repetition rules, all shares. Each field is a rule's name; a text at the bound is kept. `"off"` switches
/// a rule off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GopherRepetition {
    /// Greatest share of paragraphs that are duplicates.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_para_frac: Option<f64>,
    /// Greatest share of characters in duplicate paragraphs.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_para_char_frac: Option<f64>,
    /// Greatest share of lines that are duplicates.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_line_frac: Option<f64>,
    /// Greatest share of characters in duplicate lines.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_line_char_frac: Option<f64>,
    /// Greatest share of characters in the most frequent pair of words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub top_2_gram: Option<f64>,
    /// The same for three words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub top_3_gram: Option<f64>,
    /// The same for four words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub top_4_gram: Option<f64>,
    /// Greatest share of characters in runs of five words that occurred before.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_5_gram: Option<f64>,
    /// The same for six words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_6_gram: Option<f64>,
    /// The same for seven words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_7_gram: Option<f64>,
    /// The same for eight words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_8_gram: Option<f64>,
    /// The same for nine words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_9_gram: Option<f64>,
    /// The same for ten words.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub dup_10_gram: Option<f64>,
}

impl Default for GopherRepetition {
    fn default() -> Self {
        Self {
            dup_para_frac: Some(0.30),
            dup_para_char_frac: Some(0.20),
            dup_line_frac: Some(0.30),
            dup_line_char_frac: Some(0.20),
            top_2_gram: Some(0.20),
            top_3_gram: Some(0.18),
            top_4_gram: Some(0.16),
            dup_5_gram: Some(0.15),
            dup_6_gram: Some(0.14),
            dup_7_gram: Some(0.13),
            dup_8_gram: Some(0.12),
            dup_9_gram: Some(0.11),
            dup_10_gram: Some(0.10),
        }
    }
}

impl GopherRepetition {
    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> [Rule; 13] {
        [
            Rule::at_most("dup_para_frac", "dup_para_frac", self.dup_para_frac),
            Rule::at_most("dup_para_char_frac", "dup_para_char_frac", self.dup_para_char_frac),
            Rule::at_most("dup_line_frac", "dup_line_frac", self.dup_line_frac),
            Rule::at_most("dup_line_char_frac", "dup_line_char_frac", self.dup_line_char_frac),
            Rule::at_most("top_2_gram", "top_2_gram_frac", self.top_2_gram),
            Rule::at_most("top_3_gram", "top_3_gram_frac", self.top_3_gram),
            Rule::at_most("top_4_gram", "top_4_gram_frac", self.top_4_gram),
            Rule::at_most("dup_5_gram", "dup_5_gram_frac", self.dup_5_gram),
            Rule::at_most("dup_6_gram", "dup_6_gram_frac", self.dup_6_gram),
            Rule::at_most("dup_7_gram", "dup_7_gram_frac", self.dup_7_gram),
            Rule::at_most("dup_8_gram", "dup_8_gram_frac", self.dup_8_gram),
            Rule::at_most("dup_9_gram", "dup_9_gram_frac", self.dup_9_gram),
            Rule::at_most("dup_10_gram", "dup_10_gram_frac", self.dup_10_gram),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Judge;
    use crate::signal::{self, Family};

    #[track_caller]
    fn check(signals: &[(&str, f64)], expected: Option<&str>) {
        let columns = signal::columns(&[Family::GopherRepetition]);
        let judge = Judge::new(GopherRepetition::default().rules(), &columns).unwrap();
        let of = |column: &&str| signals.iter().find(|(name, _)| name == column);
        let values: Vec<f64> =
            columns.iter().map(|column| of(column).map_or(0.0, |(_, value)| *value)).collect();
        assert_eq!(judge.first_failed(&values).map(|check| check.rule.name), expected);
    }

    #[test]
    fn a_share_at_its_bound_is_kept_and_above_it_dropped() {
        let bounds = [
            ("dup_para_frac", "dup_para_frac", 0.30),
            ("dup_para_char_frac", "dup_para_char_frac", 0.20),
            ("dup_line_frac", "dup_line_frac", 0.30),
            ("dup_line_char_frac", "dup_line_char_frac", 0.20),
            ("top_2_gram", "top_2_gram_frac", 0.20),
            ("top_3_gram", "top_3_gram_frac", 0.18),
            ("top_4_gram", "top_4_gram_frac", 0.16),
            ("dup_5_gram", "dup_5_gram_frac", 0.15),
            ("dup_6_gram", "dup_6_gram_frac", 0.14),
            ("dup_7_gram", "dup_7_gram_frac", 0.13),
            ("dup_8_gram", "dup_8_gram_frac", 0.12),
            ("dup_9_gram", "dup_9_gram_frac", 0.11),
            ("dup_10_gram", "dup_10_gram_frac", 0.10),
        ];
        for (rule, signal, bound) in bounds {
            check(&[(signal, bound)], None);
            check(&[(signal, bound + 1e-9)], Some(rule));
        }
    }

    #[test]
    fn rules_are_asked_in_order() {
        check(&[("dup_5_gram_frac", 1.0), ("top_3_gram_frac", 1.0)], Some("top_3_gram"));
    }
}
