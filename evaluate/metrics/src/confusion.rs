//! Which label was taken for which.

use serde::{Deserialize, Serialize};

use crate::{MetricsError, Rows};

/// Rows by true and predicted label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// `counts[truth][predicted]`, `[labels, labels]`.
    pub counts: Vec<Vec<u64>>,
}

/// How well one label is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The label.
    pub label: u32,
    /// Of the rows predicted to have the label, the share that has it; 0 if none is predicted.
    pub precision: f64,
    /// Of the rows that have the label, the share predicted to have it; 0 if none has it.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 if both are.
    pub f1: f64,
    /// Rows that have the label.
    pub support: u64,
}

impl Confusion {
    /// Counts the predictions of one run.
    ///
    /// # Errors
    /// If `predicted` does not answer every row, or a label is out of range.
    pub fn of(rows: &Rows, predicted: &[u32]) -> Result<Self, MetricsError> {
        MetricsError::check_length("predictions", predicted.len(), rows.truth().len())?;
        let labels = rows.num_labels() as usize;
        let mut counts = vec![vec![0; labels]; labels];
        for (row, (&truth, &found)) in rows.truth().iter().zip(predicted).enumerate() {
            *counts[truth as usize]
                .get_mut(found as usize)
                .ok_or(MetricsError::UnknownLabel { row, found, expected: rows.num_labels() })? +=
                1;
        }
        Ok(Self { counts })
    }

    /// Scores of every label in the label list.
    pub fn classes(&self) -> Vec<ClassScores> {
        (0..).zip(&self.counts).map(|(label, row)| self.class(label, row)).collect()
    }

    fn class(&self, label: u32, row: &[u64]) -> ClassScores {
        let at = label as usize;
        let support: u64 = row.iter().sum();
        let predicted: u64 = self.counts.iter().map(|row| row[at]).sum();
        ClassScores {
            label,
            precision: ratio(row[at], predicted),
            recall: ratio(row[at], support),
            f1: f1(row[at], predicted, support),
            support,
        }
    }
}

/// What accuracy and F1 need, without the matrix.
pub(crate) struct Tally {
    /// Rows of each label that were right.
    right: Vec<u64>,
    /// Rows predicted to have each label.
    predicted: Vec<u64>,
    /// Rows that have each label.
    truth: Vec<u64>,
}

impl Tally {
    pub(crate) fn new(num_labels: u32) -> Self {
        let zeros = vec![0; num_labels as usize];
        Self { right: zeros.clone(), predicted: zeros.clone(), truth: zeros }
    }

    pub(crate) fn add(&mut self, truth: u32, predicted: u32) {
        self.truth[truth as usize] += 1;
        self.predicted[predicted as usize] += 1;
        self.right[truth as usize] += u64::from(truth == predicted);
    }

    pub(crate) fn accuracy(&self) -> f64 {
        ratio(self.right.iter().sum(), self.truth.iter().sum())
    }

    pub(crate) fn macro_f1(&self) -> f64 {
        let labels = || (0..self.right.len()).filter(|&at| self.predicted[at] + self.truth[at] > 0);
        let sum: f64 =
            labels().map(|at| f1(self.right[at], self.predicted[at], self.truth[at])).sum();
        sum / labels().count() as f64
    }
}

/// Zero over zero is zero.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Harmonic mean of precision and recall; 0 if nothing is right.
pub(crate) fn f1(right: u64, predicted: u64, truth: u64) -> f64 {
    ratio(2 * right, predicted + truth)
}
