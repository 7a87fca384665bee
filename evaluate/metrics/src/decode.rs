//! From the scores of every token's tags to a sequence of tags.
//!
//! Here, and not with the model: fine-tuning validates with it, evaluation measures with it, prediction answers with
//! it, all from plain numbers; and what a legal sequence is, [`TagSet`] knows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MetricsError, TagSet, tags::Tag};

/// How the scores of words become tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    /// The best legal sequence of a sentence.
    #[default]
    Legal,
    /// The best tag of every word alone, legal or not.
    Argmax,
}

/// The best tag of every token alone; of equally good ones the first.
///
/// # Shapes
/// - `scores`: `[tokens, tags]`, row by row: logits, log-probabilities or probabilities
/// - returns `[tokens]`
///
/// # Errors
/// If the scores are no whole number of rows, or one is not a number or infinitely large.
pub fn argmax<S: Copy + Into<f64>>(
    scores: &[S],
    num_tags: usize,
) -> Result<Vec<u32>, MetricsError> {
    Ok(rows(scores, num_tags)?.iter().map(|row| best(row.iter().copied())).collect())
}

impl TagSet {
    /// The tags of the words of a sentence, from the scores of each; a word without scores is outside of entities.
    ///
    /// # Shapes
    /// - `words`: `[words][tags]`
    /// - returns `[words]`
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and if a word has no scores and no tag is an `O`.
    pub fn tag_words<S: Copy + Into<f64>>(
        &self,
        words: &[Option<&[S]>],
        decoding: Decoding,
    ) -> Result<Vec<u32>, MetricsError> {
        let outside = self.tags.iter().position(|tag| tag.prefix == 'O');
        let mut scores: Vec<f64> = Vec::with_capacity(words.len() * self.tags.len());
        for word in words {
            if let Some(row) = word {
                MetricsError::check_length("scores of tags", row.len(), self.tags.len())?;
                scores.extend(row.iter().map(|&score| score.into()));
            } else {
                let outside = outside.ok_or(MetricsError::Empty { what: "tags O" })?;
                let only = |tag| if tag == outside { 0.0 } else { f64::NEG_INFINITY };
                scores.extend((0..self.tags.len()).map(only));
            }
        }
        match decoding {
            Decoding::Legal => self.decode(&scores),
            Decoding::Argmax => argmax(&scores, self.tags.len()),
        }
    }

    /// The legal IOB2 sequence with the largest sum of scores: an `I` comes only behind a `B` or an `I` of its type.
    ///
    /// Of equally good sequences it takes the one whose last tag has the lowest index, of those the one whose last but
    /// one has, and so on. Where the tags that are best alone are legal and best without a tie, it takes them. Prefixes
    /// other than `B`, `I` and `O` are never taken.
    ///
    /// Dynamic programming over the last tag; sums are in `f64`, in the order of the tokens.
    ///
    /// # Shapes
    /// - `scores`: `[tokens, tags]`, row by row: log-probabilities, or logits, which differ from them by the same
    ///   amount for all tags of a token; negative infinity forbids a tag as far as that is possible
    /// - returns `[tokens]`
    ///
    /// # Errors
    /// If the scores are no whole number of rows, one is not a number or infinitely large, or there is neither an `O`
    /// nor a `B`.
    ///
    /// Source: Viterbi 1967, "Error bounds for convolutional codes".
    pub fn decode<S: Copy + Into<f64>>(&self, scores: &[S]) -> Result<Vec<u32>, MetricsError> {
        let rows = rows(scores, self.tags.len())?;
        let mut backs: Vec<Vec<u32>> = Vec::with_capacity(rows.len());
        let mut sums: Vec<Option<f64>> = Vec::new();
        for row in &rows {
            let step = |(&now, &score): (&Tag, &f64)| {
                let from = if backs.is_empty() {
                    (is_opener(now).then_some(0.0), 0)
                } else {
                    self.best_before(now, &sums)
                };
                (from.0.map(|sum| sum + score), from.1)
            };
            let (next, back) = self.tags.iter().zip(row).map(step).unzip();
            sums = next;
            backs.push(back);
        }
        let mut tag = match best_sum(sums.iter().copied().zip(0..)) {
            (Some(_), tag) => tag,
            (None, _) if rows.is_empty() => return Ok(Vec::new()),
            (None, _) => return Err(MetricsError::Empty { what: "tags O or B" }),
        };
        let mut sequence = Vec::with_capacity(rows.len());
        for back in backs.iter().rev() {
            sequence.push(tag);
            tag = back[tag as usize];
        }
        sequence.reverse();
        Ok(sequence)
    }

    /// The best sum of a sequence that `now` may follow, and the last tag of that sequence.
    fn best_before(&self, now: Tag, sums: &[Option<f64>]) -> (Option<f64>, u32) {
        let legal = self.tags.iter().zip(sums).zip(0..);
        let legal = legal.filter(|((prev, _), _)| is_legal(**prev, now));
        best_sum(legal.map(|((_, sum), tag)| (*sum, tag)))
    }
}

/// Whether a sequence may begin with `tag`.
fn is_opener(tag: Tag) -> bool {
    matches!(tag.prefix, 'O' | 'B')
}

/// Whether `now` may follow `prev`.
fn is_legal(prev: Tag, now: Tag) -> bool {
    let goes_on =
        now.prefix == 'I' && matches!(prev.prefix, 'B' | 'I') && prev.type_idx == now.type_idx;
    is_opener(now) || goes_on
}

/// The largest of the sums that there are, and its tag; the first of equals.
fn best_sum(sums: impl Iterator<Item = (Option<f64>, u32)>) -> (Option<f64>, u32) {
    sums.fold((None, 0), |best, next| match (best.0, next.0) {
        (Some(most), Some(sum)) if sum > most => next,
        (None, Some(_)) => next,
        _ => best,
    })
}

/// The index of the largest score, the first of equals.
fn best(row: impl Iterator<Item = f64>) -> u32 {
    best_sum(row.map(Some).zip(0..)).1
}

/// The scores by token, in `f64`.
fn rows<S: Copy + Into<f64>>(scores: &[S], num_tags: usize) -> Result<Vec<Vec<f64>>, MetricsError> {
    if num_tags == 0 {
        return Err(MetricsError::Empty { what: "tags" });
    }
    let expected = scores.len() / num_tags * num_tags;
    MetricsError::check_length("scores of tags", scores.len(), expected)?;
    let rows: Vec<Vec<f64>> = scores
        .chunks_exact(num_tags)
        .map(|row| row.iter().map(|&score| score.into()).collect())
        .collect();
    match rows.iter().flatten().find(|score| score.is_nan() || **score == f64::INFINITY) {
        Some(&found) => {
            let expected = "a number below infinity";
            Err(MetricsError::OutOfRange { what: "score of a tag", found, expected })
        }
        None => Ok(rows),
    }
}
