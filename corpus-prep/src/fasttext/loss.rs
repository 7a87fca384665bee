//! What the scores of labels mean, by the loss that a model was trained with.

use super::args::LossName;
use super::tree::Tree;

const SIGMOID_STEPS: u16 = 512;
const MAX_SIGMOID: f32 = 8.0;

/// How scores become probabilities.
#[derive(Clone)]
pub(super) enum Loss {
    /// They sum to one.
    Softmax,
    /// Each is one of its own: one-versus-all, and negative sampling.
    Sigmoid(SigmoidTable),
    /// That of the way through a tree.
    Hierarchical(Tree),
}

impl Loss {
    pub(super) fn new(name: LossName, label_counts: &[i64]) -> Self {
        match name {
            LossName::Softmax => Self::Softmax,
            LossName::NegativeSampling | LossName::OneVsAll => Self::Sigmoid(SigmoidTable::new()),
            LossName::HierarchicalSoftmax => Self::Hierarchical(Tree::new(label_counts)),
        }
    }

    /// Turns scores into probabilities; a hierarchical softmax has its own way.
    pub(super) fn apply(&self, scores: &mut [f32]) {
        match self {
            Self::Softmax => softmax(scores),
            Self::Sigmoid(table) => {
                scores.iter_mut().for_each(|score| *score = table.value(*score));
            }
            Self::Hierarchical(_) => {}
        }
    }
}

/// The logistic function at so many places, as fastText has it.
#[derive(Clone)]
pub(super) struct SigmoidTable(Vec<f32>);

impl SigmoidTable {
    fn new() -> Self {
        let steps = f32::from(SIGMOID_STEPS);
        let at = |step: u16| f32::from(step) * 2.0 * MAX_SIGMOID / steps - MAX_SIGMOID;
        Self((0..=SIGMOID_STEPS).map(|step| sigmoid(at(step))).collect())
    }

    /// The value at the place below `score`; 0 and 1 outside of the table.
    fn value(&self, score: f32) -> f32 {
        if score.is_nan() {
            return score;
        }
        if score < -MAX_SIGMOID {
            return 0.0;
        }
        if score > MAX_SIGMOID {
            return 1.0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of 0 to 512 is cut to a whole one, as the reference does"
        )]
        let step = ((score + MAX_SIGMOID) * f32::from(SIGMOID_STEPS) / MAX_SIGMOID / 2.0) as usize;
        self.0[step]
    }
}

/// The logistic function, divided in `f64` as fastText does.
pub(super) fn sigmoid(score: f32) -> f32 {
    narrow(1.0 / f64::from(1.0 + libm::expf(-score)))
}

/// The scores' exponentials, divided by their sum.
fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = narrow(libm::exp(f64::from(*score - max)));
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The logarithm of a probability that may be zero: of `probability + 0.00001`, so that the exponential of it may be
/// more than one.
pub(super) fn log(probability: f32) -> f32 {
    narrow(libm::log(f64::from(probability) + 1e-5))
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to the nearest, as C++ does")]
pub(super) fn narrow(wide: f64) -> f32 {
    wide as f32
}
