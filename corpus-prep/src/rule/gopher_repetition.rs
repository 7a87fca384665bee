//! Gopher repetition rules: does this text say the same again and again?
//!
//! Source: Rae et al. 2021, arXiv:2112.11446, appendix A1.1, table A1; order as datatrove's
//! `GopherRepetitionFilter`. That filter has no names for the last six rules apart from their length; here they are
//! `dup_n_gram`, as `top_n_gram`.

use super::{Check, bound};
use crate::signal::Signals;
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
    /// The rules with what they find in a text, in the order in which they are asked.
    pub fn checks(&self, signals: &Signals) -> [Check; 13] {
        let s = &signals.gopher_repetition;
        let [top_2, top_3, top_4] = s.top_ngram_frac;
        let [dup_5, dup_6, dup_7, dup_8, dup_9, dup_10] = s.dup_ngram_frac;
        [
            Check::at_most("dup_para_frac", s.dup_para_frac, self.dup_para_frac),
            Check::at_most("dup_para_char_frac", s.dup_para_char_frac, self.dup_para_char_frac),
            Check::at_most("dup_line_frac", s.dup_line_frac, self.dup_line_frac),
            Check::at_most("dup_line_char_frac", s.dup_line_char_frac, self.dup_line_char_frac),
            Check::at_most("top_2_gram", top_2, self.top_2_gram),
            Check::at_most("top_3_gram", top_3, self.top_3_gram),
            Check::at_most("top_4_gram", top_4, self.top_4_gram),
            Check::at_most("dup_5_gram", dup_5, self.dup_5_gram),
            Check::at_most("dup_6_gram", dup_6, self.dup_6_gram),
            Check::at_most("dup_7_gram", dup_7, self.dup_7_gram),
            Check::at_most("dup_8_gram", dup_8, self.dup_8_gram),
            Check::at_most("dup_9_gram", dup_9, self.dup_9_gram),
            Check::at_most("dup_10_gram", dup_10, self.dup_10_gram),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::first_failed;

    #[track_caller]
    fn check(change: impl Fn(&mut Signals), expected: Option<&str>) {
        let mut signals = Signals::default();
        change(&mut signals);
        let failed = first_failed(&GopherRepetition::default().checks(&signals));
        assert_eq!(failed.map(|check| check.rule), expected);
    }

    #[test]
    fn a_share_at_its_bound_is_kept_and_above_it_dropped() {
        check(|s| s.gopher_repetition.dup_para_frac = 0.30, None);
        check(|s| s.gopher_repetition.dup_para_frac = 0.301, Some("dup_para_frac"));
        check(|s| s.gopher_repetition.dup_para_char_frac = 0.20, None);
        check(|s| s.gopher_repetition.dup_para_char_frac = 0.201, Some("dup_para_char_frac"));
        check(|s| s.gopher_repetition.dup_line_frac = 0.30, None);
        check(|s| s.gopher_repetition.dup_line_frac = 0.301, Some("dup_line_frac"));
        check(|s| s.gopher_repetition.dup_line_char_frac = 0.20, None);
        check(|s| s.gopher_repetition.dup_line_char_frac = 0.201, Some("dup_line_char_frac"));
        let tops = [("top_2_gram", 0.20), ("top_3_gram", 0.18), ("top_4_gram", 0.16)];
        for (at, (rule, bound)) in tops.into_iter().enumerate() {
            check(|s| s.gopher_repetition.top_ngram_frac[at] = bound, None);
            check(|s| s.gopher_repetition.top_ngram_frac[at] = bound + 1e-9, Some(rule));
        }
        let dups = [0.15, 0.14, 0.13, 0.12, 0.11, 0.10];
        let names =
            ["dup_5_gram", "dup_6_gram", "dup_7_gram", "dup_8_gram", "dup_9_gram", "dup_10_gram"];
        for (at, (rule, bound)) in names.into_iter().zip(dups).enumerate() {
            check(|s| s.gopher_repetition.dup_ngram_frac[at] = bound, None);
            check(|s| s.gopher_repetition.dup_ngram_frac[at] = bound + 1e-9, Some(rule));
        }
    }

    #[test]
    fn the_first_rule_that_fails_is_the_reason() {
        check(
            |s| {
                s.gopher_repetition.dup_ngram_frac = [1.0; 6];
                s.gopher_repetition.top_ngram_frac = [0.0, 1.0, 1.0];
            },
            Some("top_3_gram"),
        );
    }
}
