//! Rules at work on the values of a table of signals.

use super::{Kept, Rule};

/// Rules, and where in a row the signal of each stands.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Vec<(Rule, usize)>,
}

/// One rule and what it found in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// What was measured.
    pub value: f64,
}

impl Judge {
    /// Of these rules, in order, over rows with these columns.
    ///
    /// # Errors
    /// With the first signal that is no column: an unknown signal never counts as harmless.
    pub fn new(
        rules: impl IntoIterator<Item = Rule>,
        columns: &[&str],
    ) -> Result<Self, &'static str> {
        let place = |rule: Rule| {
            let place = columns.iter().position(|column| *column == rule.signal);
            place.map(|place| (rule, place)).ok_or(rule.signal)
        };
        Ok(Self { rules: rules.into_iter().map(place).collect::<Result<_, _>>()? })
    }

    /// What every rule finds in a row, in the order in which they are asked.
    pub fn checks(&self, values: &[f64]) -> impl Iterator<Item = Check> {
        self.rules.iter().map(|&(rule, at)| Check { rule, value: values[at] })
    }

    /// The first rule that fails.
    pub fn first_failed(&self, values: &[f64]) -> Option<Check> {
        self.checks(values).find(Check::fails)
    }
}

impl Check {
    /// The bound; `None` where the rule is off.
    pub fn threshold(&self) -> Option<f64> {
        match self.rule.kept {
            Kept::AtLeast(bound) | Kept::AtMost(bound) => bound,
        }
    }

    /// Whether the text breaks the rule.
    pub fn fails(&self) -> bool {
        match self.rule.kept {
            Kept::AtLeast(bound) => bound.is_some_and(|bound| self.value < bound),
            Kept::AtMost(bound) => bound.is_some_and(|bound| self.value > bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Rule; 3] = [
        Rule { name: "few", signal: "b", kept: Kept::AtLeast(Some(2.0)) },
        Rule { name: "off", signal: "a", kept: Kept::AtMost(None) },
        Rule { name: "many", signal: "a", kept: Kept::AtMost(Some(5.0)) },
    ];

    #[test]
    fn the_first_rule_that_fails_is_the_reason() {
        let judge = Judge::new(RULES, &["a", "b"]).unwrap();
        let failed = |values: &[f64]| judge.first_failed(values).map(|check| check.rule.name);
        assert_eq!(failed(&[5.0, 2.0]), None, "values at their bounds are kept");
        assert_eq!(failed(&[6.0, 1.0]), Some("few"));
        assert_eq!(failed(&[6.0, 2.0]), Some("many"));
        let thresholds: Vec<_> = judge.checks(&[0.0, 0.0]).map(|check| check.threshold()).collect();
        assert_eq!(thresholds, [Some(2.0), None, Some(5.0)]);
    }

    #[test]
    fn a_rule_over_an_unknown_signal_is_an_error() {
        assert_eq!(Judge::new(RULES, &["b"]).unwrap_err(), "a");
    }
}
