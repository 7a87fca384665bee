//! Which token follows: from logits to one token of the vocabulary.

use std::{cmp::Ordering, num::NonZeroUsize};

use crate::error::{ModelError, Result};

/// How tokens are drawn: logits are divided by the temperature, then the `top_k` largest are kept, then those that make up
/// `top_p` of what is left.
///
/// Source: `TemperatureLogitsWarper`, `TopKLogitsWarper` and `TopPLogitsWarper` of `transformers` 5, in that order. Of equally
/// probable tokens where `top_p` ends, those with the lower ids are kept; there the order of `torch.sort` decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 1 draws from the model as it is, and 0 takes the most probable token always.
    pub temperature: f64,
    /// Most tokens that are drawn from; those whose logit equals the last of them come on top. `None` does not bound them.
    pub top_k: Option<NonZeroUsize>,
    /// The fewest tokens that together have at least this probability are drawn from, and at least one; above 0, and 1
    /// keeps all.
    pub top_p: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: 1.0 }
    }
}

/// A token that may follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: u32,
    /// Its probability among the candidates.
    pub probability: f64,
}

impl Sampling {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`ModelError::Sampling`] names the first bad field, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, found, expected| Err(ModelError::Sampling { field, found, expected });
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return refuse("temperature", self.temperature, "a number from 0 on");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse("top_p", self.top_p, "a number above 0 and up to 1");
        }
        Ok(())
    }

    /// The tokens that may follow, the most probable first; of equals the one with the lower id.
    ///
    /// # Errors
    /// [`ModelError::Logit`] names the first that is no finite number.
    pub fn candidates(&self, logits: &[f32]) -> Result<Vec<Candidate>> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(ModelError::Logit { token, found: logits[token] });
        }
        if self.temperature == 0.0 {
            let best = ranked(logits.iter().map(|&logit| logit.into())).min_by(before);
            return Ok(best
                .map(|(id, _)| Candidate { id, probability: 1.0 })
                .into_iter()
                .collect());
        }
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Differences are divided, not logits: over a tiny temperature those would all be infinite.
        let below_max = |&logit: &f32| (f64::from(logit) - f64::from(max)) / self.temperature;
        let mut tokens: Vec<(u32, f64)> = ranked(logits.iter().map(below_max)).collect();
        self.keep_top_k(&mut tokens);
        tokens.sort_unstable_by(before);
        for (_, score) in &mut tokens {
            *score = libm::exp(*score);
        }
        keep_top_p(&mut tokens, self.top_p);
        let sum = total(&tokens);
        let candidate = |(id, weight)| Candidate { id, probability: weight / sum };
        Ok(tokens.into_iter().map(candidate).collect())
    }

    /// The token that a uniform number in `[0, 1)` falls on, where candidates share the unit out by probability, the most
    /// probable first.
    ///
    /// # Errors
    /// As [`Self::candidates`].
    ///
    /// # Panics
    /// If there are no logits.
    pub fn choose(&self, logits: &[f32], unit: f64) -> Result<u32> {
        let candidates = self.candidates(logits)?;
        let mut sum = 0.0;
        let falls_on = |candidate: &&Candidate| {
            sum += candidate.probability;
            unit < sum
        };
        // Rounding may leave a gap below 1, which is the last one's.
        let chosen = candidates.iter().find(falls_on).or(candidates.last());
        Ok(chosen.expect("at least one token is kept of some").id)
    }

    fn keep_top_k(&self, tokens: &mut Vec<(u32, f64)>) {
        let Some(last) = self.top_k.map(|most| most.get() - 1) else { return };
        if last < tokens.len() {
            let (_, &mut (_, bound), _) = tokens.select_nth_unstable_by(last, before);
            tokens.retain(|&(_, score)| score >= bound);
        }
    }
}

/// Scores with the ids of their tokens.
fn ranked(scores: impl Iterator<Item = f64>) -> impl Iterator<Item = (u32, f64)> {
    (0..).zip(scores)
}

/// The larger score first; of equals the lower id.
fn before(a: &(u32, f64), b: &(u32, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps those before which there is less than `top_p` of the whole.
fn keep_top_p(tokens: &mut Vec<(u32, f64)>, top_p: f64) {
    if top_p >= 1.0 {
        return;
    }
    let enough = top_p * total(tokens);
    let mut sum = 0.0;
    let mut needed = |&(_, weight): &(u32, f64)| {
        let is_needed = sum < enough;
        sum += weight;
        is_needed
    };
    let count = tokens.iter().copied().take_while(|token| needed(token)).count();
    tokens.truncate(count.max(1));
}

fn total(tokens: &[(u32, f64)]) -> f64 {
    tokens.iter().map(|&(_, weight)| weight).sum()
}
