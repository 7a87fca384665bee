//! Rules: what a text must be like to be kept.
//!
//! One file a family. Rules judge signals, which are measured once; the first rule that fails is the reason for which a
//! text is dropped. A rule has one name: in the manifest, in `decisions` and in counts.

mod bound;
pub mod gopher_quality;
pub mod gopher_repetition;

pub use gopher_quality::GopherQuality;
pub use gopher_repetition::GopherRepetition;

use crate::signal::Signals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which families of rules are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filters {
    /// None: every text is kept unless it is a duplicate.
    None,
    /// Gopher quality, then Gopher repetition.
    #[default]
    Gopher,
}

/// The bounds of all families.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Is this running text?
    pub gopher_quality: GopherQuality,
    /// Does it say the same again and again?
    pub gopher_repetition: GopherRepetition,
}

/// One rule and what it found in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The rule.
    pub rule: &'static str,
    /// What was measured.
    pub value: f64,
    /// The bound; `None` where the rule is off.
    pub threshold: Option<f64>,
    side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    AtLeast,
    AtMost,
}

impl Check {
    /// A rule that `value` may not be less than `threshold`.
    pub fn at_least(rule: &'static str, value: f64, threshold: Option<f64>) -> Self {
        Self { rule, value, threshold, side: Side::AtLeast }
    }

    /// A rule that `value` may not be more than `threshold`.
    pub fn at_most(rule: &'static str, value: f64, threshold: Option<f64>) -> Self {
        Self { rule, value, threshold, side: Side::AtMost }
    }

    /// Whether the text breaks the rule.
    pub fn fails(&self) -> bool {
        self.threshold.is_some_and(|threshold| match self.side {
            Side::AtLeast => self.value < threshold,
            Side::AtMost => self.value > threshold,
        })
    }
}

impl Rules {
    /// All rules that `filters` asks, in order.
    pub fn checks(&self, filters: Filters, signals: &Signals) -> Vec<Check> {
        match filters {
            Filters::None => Vec::new(),
            Filters::Gopher => {
                let quality = self.gopher_quality.checks(signals);
                [&quality[..], &self.gopher_repetition.checks(signals)].concat()
            }
        }
    }
}

/// The first rule that fails.
pub fn first_failed(checks: &[Check]) -> Option<Check> {
    checks.iter().find(|check| check.fails()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rules_share_a_name_and_every_name_is_a_field() {
        let rules = Rules::default();
        let names: Vec<_> = rules
            .checks(Filters::Gopher, &Signals::default())
            .iter()
            .map(|check| check.rule)
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let quality = serde_json::to_value(&rules.gopher_quality).unwrap();
        let repetition = serde_json::to_value(&rules.gopher_repetition).unwrap();
        assert!(
            names.iter().all(|name| quality.get(name).is_some() != repetition.get(name).is_some())
        );
    }

    #[test]
    fn quality_is_asked_before_repetition() {
        let checks = Rules::default().checks(Filters::Gopher, &Signals::measure("again\n\nagain"));
        let failed: Vec<_> =
            checks.iter().filter(|check| check.fails()).map(|check| check.rule).collect();
        assert_eq!(failed[..3], ["short_doc", "enough_stop_words", "dup_para_frac"]);
        assert_eq!(first_failed(&checks).unwrap().rule, "short_doc");
        assert_eq!(Rules::default().checks(Filters::None, &Signals::default()), []);
    }
}
