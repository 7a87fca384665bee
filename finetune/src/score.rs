//! What an epoch came to.

use metrics::{Metric, MetricsError, Rows as Truth, Runs};
use serde::Serialize;

/// A line of `metrics.jsonl`: one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochLine {
    /// Epochs done.
    pub epoch: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss of the epoch's rows, each before the update of its step, in nats a row.
    pub train_loss: f64,
    /// How the validation rows are judged; absent where there are none.
    #[serde(flatten)]
    pub validation: Option<Validation>,
}

/// How rows are judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Validation {
    /// Mean loss, in nats a row.
    pub validation_loss: f64,
    /// Share of rows with the right label.
    pub validation_accuracy: f64,
    /// Mean F1 of the labels.
    pub validation_macro_f1: f64,
    /// Rows judged.
    pub validation_rows: u64,
}

impl Validation {
    /// Judges the logits of every class for each row.
    ///
    /// # Errors
    /// When there are other than `num_labels` logits a row, or no rows.
    pub fn of(logits: &[Vec<f32>], labels: &[u32], num_labels: u32) -> Result<Self, MetricsError> {
        let truth = Truth::new(labels.to_vec(), num_labels)?;
        let predicted = Runs::new(&truth, vec![logits.iter().map(|row| largest(row)).collect()])?;
        let nats: f64 = logits.iter().zip(labels).map(|(row, label)| nats(row, *label)).sum();
        Ok(Self {
            validation_loss: nats / labels.len() as f64,
            validation_accuracy: Metric::Accuracy.score(&truth, &predicted),
            validation_macro_f1: Metric::MacroF1.score(&truth, &predicted),
            validation_rows: labels.len() as u64,
        })
    }
}

/// The place of the largest logit, the first of equal ones.
fn largest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, logit) in (0..).zip(logits) {
        if *logit > best.1 {
            best = (place, *logit);
        }
    }
    best.0
}

/// Negative log-likelihood of a label.
fn nats(logits: &[f32], label: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| libm::exp(f64::from(*logit) - f64::from(most))).sum();
    libm::log(sum) + f64::from(most) - f64::from(logits[label as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_judged_by_their_largest_logit() {
        let logits = [vec![1.0, 3.0], vec![2.0, 2.0], vec![0.0, 100.0]];
        let judged = Validation::of(&logits, &[1, 0, 0], 2).unwrap();
        assert_eq!(judged.validation_accuracy, 2.0 / 3.0);
        let expected = ((1.0f64 + (-2.0f64).exp()).ln() + 2.0f64.ln() + 100.0) / 3.0;
        assert!((judged.validation_loss - expected).abs() < 1e-12, "{judged:?}");
        assert_eq!(judged.validation_macro_f1, 2.0 / 3.0);
    }
}
