//! Numbers with what is needed to judge them.

use serde::{Deserialize, Serialize};

/// A number and an interval around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number on all the data, in the metric's unit.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Share of repetitions whose interval would hold the true number, such as 0.95.
    pub level: f64,
    /// Independent units behind it: rows, or groups of rows.
    pub units: u64,
    /// How the interval was found.
    pub method: IntervalMethod,
}

/// How an interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Wilson's score interval.
    Wilson,
    /// Percentile bootstrap over units.
    PercentileBootstrap,
    /// Percentile bootstrap of a difference, both models resampled together.
    PairedBootstrap,
}

/// What a test of significance says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// Two-sided p-value: how often chance alone gives a difference at least as large.
    pub p: f64,
    /// Independent units behind it: rows, or groups of rows.
    pub units: u64,
    /// How it was found.
    pub method: TestMethod,
}

/// How a p-value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestMethod {
    /// Exact binomial test on the rows that only one model has right.
    Mcnemar,
    /// Randomisation over every way to swap the two models, unit by unit.
    ExactRandomisation,
    /// Randomisation over random ways to swap the two models, unit by unit.
    ApproximateRandomisation,
}
