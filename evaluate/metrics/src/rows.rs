//! What is scored: labelled rows, and what models answered for them.

use std::{collections::HashMap, hash::Hash};

use serde::{Deserialize, Serialize};

use crate::{MetricsError, confusion::Tally};

/// The true label of every row, and which rows are independent of each other.
#[derive(Clone, Debug)]
pub struct Rows {
    truth: Vec<u32>,
    num_labels: u32,
    /// Rows of each independent unit.
    units: Vec<Vec<usize>>,
}

impl Rows {
    /// Independent rows with labels below `num_labels`.
    ///
    /// # Errors
    /// If there are no rows, or a label is out of range.
    pub fn new(truth: Vec<u32>, num_labels: u32) -> Result<Self, MetricsError> {
        if truth.is_empty() {
            return Err(MetricsError::Empty { what: "rows" });
        }
        check_labels(&truth, num_labels)?;
        let units = (0..truth.len()).map(|row| vec![row]).collect();
        Ok(Self { truth, num_labels, units })
    }

    /// The same rows, where those of one group (patient, document, customer) depend on each other. Units are ordered
    /// by their first row.
    ///
    /// # Errors
    /// If there is not one group for each row.
    pub fn grouped_by<G: Hash + Eq>(self, groups: &[G]) -> Result<Self, MetricsError> {
        MetricsError::check_length("groups", groups.len(), self.truth.len())?;
        Ok(Self { units: units_of(groups), ..self })
    }

    /// True labels by row.
    pub fn truth(&self) -> &[u32] {
        &self.truth
    }

    /// Number of labels in the label list.
    pub fn num_labels(&self) -> u32 {
        self.num_labels
    }

    /// Rows of each independent unit.
    pub fn units(&self) -> &[Vec<usize>] {
        &self.units
    }
}

/// The labels that one model predicts, once for each training seed.
///
/// A score is the mean over the seeds; the seeds do not add units, since they answer the same rows.
#[derive(Clone, Debug)]
pub struct Runs {
    predicted: Vec<Vec<u32>>,
}

impl Runs {
    /// Predictions for `rows`, one list for each training seed.
    ///
    /// # Errors
    /// If there is no run, a run does not answer every row, or a label is out of range.
    pub fn new(rows: &Rows, predicted: Vec<Vec<u32>>) -> Result<Self, MetricsError> {
        if predicted.is_empty() {
            return Err(MetricsError::Empty { what: "runs" });
        }
        for run in &predicted {
            MetricsError::check_length("predictions", run.len(), rows.truth.len())?;
            check_labels(run, rows.num_labels)?;
        }
        Ok(Self { predicted })
    }

    /// Number of runs.
    pub fn len(&self) -> usize {
        self.predicted.len()
    }

    /// Whether there is no run. There always is one.
    pub fn is_empty(&self) -> bool {
        self.predicted.is_empty()
    }

    /// Predicted labels by run, then row.
    pub fn predicted(&self) -> &[Vec<u32>] {
        &self.predicted
    }
}

/// A score of predicted labels; higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows whose label is right.
    Accuracy,
    /// Mean of the labels' F1, over the labels that occur in truth or prediction; 0 where a label is never right.
    ///
    /// Source: `f1_score(average="macro", zero_division=0)` of scikit-learn.
    MacroF1,
}

impl Metric {
    /// The score of a model on all rows, as the mean of its runs.
    pub fn score(self, rows: &Rows, model: &Runs) -> f64 {
        let every: Vec<usize> = (0..rows.units.len()).collect();
        self.score_units(rows, model, &every)
    }

    /// The score on the rows of `units`; a unit may come more than once.
    pub(crate) fn score_units(self, rows: &Rows, model: &Runs, units: &[usize]) -> f64 {
        let of_run = |run: &Vec<u32>| {
            let drawn = units.iter().flat_map(|&unit| &rows.units[unit]);
            self.score_pairs(rows.num_labels, drawn.map(|&row| (rows.truth[row], run[row])))
        };
        model.predicted.iter().map(of_run).sum::<f64>() / model.predicted.len() as f64
    }

    /// The score of (truth, prediction) pairs.
    pub(crate) fn score_pairs(
        self,
        num_labels: u32,
        pairs: impl Iterator<Item = (u32, u32)>,
    ) -> f64 {
        let mut tally = Tally::new(num_labels);
        pairs.for_each(|(truth, predicted)| tally.add(truth, predicted));
        match self {
            Self::Accuracy => tally.accuracy(),
            Self::MacroF1 => tally.macro_f1(),
        }
    }
}

/// Rows of each group, groups ordered by their first row.
pub(crate) fn units_of<G: Hash + Eq>(groups: &[G]) -> Vec<Vec<usize>> {
    let mut unit_of: HashMap<&G, usize> = HashMap::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (row, group) in groups.iter().enumerate() {
        let unit = *unit_of.entry(group).or_insert(units.len());
        if unit == units.len() {
            units.push(Vec::new());
        }
        units[unit].push(row);
    }
    units
}

fn check_labels(labels: &[u32], expected: u32) -> Result<(), MetricsError> {
    match labels.iter().enumerate().find(|(_, label)| **label >= expected) {
        Some((row, &found)) => Err(MetricsError::UnknownLabel { row, found, expected }),
        None => Ok(()),
    }
}
