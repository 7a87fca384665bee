//! What an epoch came to.

use codec::WordPlace;
use metrics::{
    Decoding, EntityMode, EntityRuns, Metric, MetricsError, Rows as Truth, Runs, Sentences, TagSet,
};
use serde::Serialize;

use crate::rows::{Sentence, Tags};

/// A line of `metrics.jsonl`: one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochLine {
    /// Epochs done.
    pub epoch: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss of the epoch's rows, each before the update of its step, in nats a row; of tagged rows in nats a token that
    /// carries a tag.
    pub train_loss: f64,
    /// How the validation rows are judged; absent where there are none.
    #[serde(flatten)]
    pub validation: Option<Validation>,
}

/// How rows are judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Validation {
    /// Labelled ones.
    Labels(LabelValidation),
    /// Tagged ones.
    Entities(EntityValidation),
}

/// How labelled rows are judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelValidation {
    /// Mean loss, in nats a row.
    pub validation_loss: f64,
    /// Share of rows with the right label.
    pub validation_accuracy: f64,
    /// Mean F1 of the labels.
    pub validation_macro_f1: f64,
    /// Rows judged.
    pub validation_rows: u64,
}

/// How tagged rows are judged: by the entities of the best legal tags, as seqeval's default mode sees them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityValidation {
    /// Mean loss, in nats a token that carries a tag.
    pub validation_loss: f64,
    /// Share of the predicted entities that is true.
    pub validation_precision: f64,
    /// Share of the true entities that is predicted.
    pub validation_recall: f64,
    /// Harmonic mean of the two.
    pub validation_f1: f64,
    /// Rows judged.
    pub validation_rows: u64,
}

impl LabelValidation {
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

impl EntityValidation {
    /// Judges the logits of every tag for each token of each sequence, `[sequences][tokens, tags]`.
    ///
    /// # Errors
    /// When a logit is not finite, or there are no rows.
    pub fn of(logits: &[Vec<f32>], tags: &Tags, labels: &[String]) -> Result<Self, MetricsError> {
        let (tag_set, num_tags) = (TagSet::new(labels, EntityMode::Lenient)?, labels.len());
        let row = |place: WordPlace| &logits[place.window][place.token * num_tags..][..num_tags];
        let decode = |sentence: &Sentence| {
            let words: Vec<_> = sentence.places.iter().map(|place| place.map(row)).collect();
            tag_set.tag_words(&words, Decoding::Legal)
        };
        let predicted = tags.sentences.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        let truth: Vec<Vec<u32>> = tags.sentences.iter().map(|one| one.tags.clone()).collect();
        let truth = Sentences::new(tag_set.clone(), &truth)?;
        let found = EntityRuns::new(&truth, &[predicted])?.report(0).micro;
        Ok(Self {
            validation_loss: mean_nats(logits, tags, num_tags),
            validation_precision: found.precision,
            validation_recall: found.recall,
            validation_f1: found.f1,
            validation_rows: tags.sentences.len() as u64,
        })
    }
}

/// Mean negative log-likelihood of the tags of all tokens that carry one; 0 where none does.
fn mean_nats(logits: &[Vec<f32>], tags: &Tags, num_tags: usize) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for (logits, targets) in logits.iter().zip(&tags.tokens) {
        for (row, target) in logits.chunks_exact(num_tags).zip(targets) {
            if let Some(tag) = target {
                sum += nats(row, *tag);
                count += 1;
            }
        }
    }
    if count == 0 { 0.0 } else { sum / count as f64 }
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
        let judged = LabelValidation::of(&logits, &[1, 0, 0], 2).unwrap();
        assert_eq!(judged.validation_accuracy, 2.0 / 3.0);
        let expected = ((1.0f64 + (-2.0f64).exp()).ln() + 2.0f64.ln() + 100.0) / 3.0;
        assert!((judged.validation_loss - expected).abs() < 1e-12, "{judged:?}");
        assert_eq!(judged.validation_macro_f1, 2.0 / 3.0);
    }
    #[test]
    fn tags_are_judged_by_the_entities_of_a_legal_sequence() {
        let place = |token| Some(WordPlace { window: 0, token });
        let tags = Tags {
            tokens: vec![vec![Some(1), None, Some(2), Some(0)]],
            // The last word has no token, so that it is outside, whatever stands before.
            sentences: vec![Sentence {
                tags: vec![1, 2, 0, 0],
                places: vec![place(0), place(2), place(3), None],
            }],
        };
        let labels = ["O", "B-PER", "I-PER"].map(String::from);
        // Alone, the first word would be an `I-PER`, which nothing opens.
        let logits = vec![0.0, 2.0, 3.0, 9.0, 9.0, 9.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0];
        let judged = EntityValidation::of(&[logits], &tags, &labels).unwrap();
        assert_eq!((judged.validation_f1, judged.validation_rows), (1.0, 1));
        let nats = |logits: [f64; 3], tag: usize| {
            logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[tag]
        };
        let expected =
            (nats([0.0, 2.0, 3.0], 1) + nats([0.0, 0.0, 5.0], 2) + nats([5.0, 0.0, 0.0], 0)) / 3.0;
        assert!((judged.validation_loss - expected).abs() < 1e-12, "{judged:?}");
    }
}
