//! Logistic regression on sparse rows, fitted to its optimum.
//!
//! Minimises `mean(-ln p(label)) + |w|^2 / (2 C n)` over weights and intercepts, `C = 1`, intercepts free: one column of
//! weights for two labels, one for each label otherwise, as scikit-learn does.
//!
//! There are far more terms than rows, but the optimum, and every step of L-BFGS from zero, is a combination of rows. So
//! vectors are held as one number a row and column, with their products with every row beside them: a step of the line
//! search costs no pass over the terms, and memory does not grow with them.
//!
//! Source: objective of `LogisticRegression` of scikit-learn 1.x; Nocedal and Wright 2006, "Numerical optimization",
//! algorithm 7.4; Kimeldorf and Wahba 1971 for the span of the rows.

mod lbfgs;
mod span;

use self::{
    lbfgs::{Objective, minimize},
    span::{Rows, Vector},
};
use super::vectorizer::SparseRow;
use crate::error::Result;

/// Strength of the penalty is `1 / (C n)`.
const C: f64 = 1.0;
/// How far margins may be from those of the optimum: the objective is strongly convex, so the length of the gradient
/// over the strength of the penalty bounds the distance of the weights, and rows have length one.
const MARGIN: f64 = 1e-5;

/// Fitted weights.
pub(super) struct Logistic {
    /// `[columns][terms]`.
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
    num_labels: usize,
}

impl Logistic {
    /// Fits `rows` over `num_terms` terms.
    ///
    /// # Errors
    /// When the fit does not converge, or `check` fails.
    pub(super) fn fit(
        rows: &[SparseRow],
        num_terms: usize,
        labels: &[u32],
        num_labels: usize,
        check: impl FnMut() -> pipelines::error::Result<()>,
    ) -> Result<Self> {
        let columns = if num_labels == 2 { 1 } else { num_labels };
        let rows = Rows { rows, num_terms, columns };
        let penalty = 1.0 / (C * labels.len() as f64);
        let loss = Regression { rows: &rows, labels, num_labels, penalty };
        let optimum = minimize(&loss, MARGIN * penalty, check)?;
        let weights =
            (0..columns).map(|column| rows.combine(&optimum.coefficients, column)).collect();
        Ok(Self { weights, intercepts: optimum.intercepts, num_labels })
    }

    /// Probability of each label.
    pub(super) fn probabilities(&self, row: &SparseRow) -> Vec<f64> {
        let margin =
            |(weights, intercept): (&Vec<f64>, &f64)| span::dot_row(row, weights) + intercept;
        let margins: Vec<f64> = self.weights.iter().zip(&self.intercepts).map(margin).collect();
        probabilities(&margins, self.num_labels).0
    }
}

/// The objective.
struct Regression<'a> {
    rows: &'a Rows<'a>,
    labels: &'a [u32],
    num_labels: usize,
    penalty: f64,
}

impl Objective for Regression<'_> {
    fn zero(&self) -> Vector {
        self.rows.zero()
    }

    /// In the span of the rows, the gradient's coefficients are `(p - y) / n + penalty * coefficients`.
    fn gradient(&self, at: &Vector) -> Vector {
        let residuals = self.residuals(&at.margins());
        let mut intercepts = vec![0.0; self.rows.columns];
        for row in residuals.chunks_exact(self.rows.columns) {
            intercepts.iter_mut().zip(row).for_each(|(sum, residual)| *sum += residual);
        }
        let shrunk = residuals.iter().zip(&at.coefficients).map(|(r, a)| r + self.penalty * a);
        self.rows.vector(shrunk.collect(), intercepts)
    }

    fn slope(&self, at: &Vector, direction: &Vector, step: f64) -> f64 {
        let along = direction.margins();
        let margins: Vec<f64> =
            at.margins().iter().zip(&along).map(|(z, d)| z + step * d).collect();
        let loss: f64 = self.residuals(&margins).iter().zip(&along).map(|(r, d)| r * d).sum();
        let weights = at.dot_weights(direction) + step * direction.dot_weights(direction);
        loss + self.penalty * weights
    }
}

impl Regression<'_> {
    /// Derivative of the mean loss by each margin, `[rows, columns]`.
    fn residuals(&self, margins: &[f64]) -> Vec<f64> {
        let n = self.labels.len() as f64;
        let mut residuals = Vec::with_capacity(margins.len());
        for (margins, &label) in margins.chunks_exact(self.rows.columns).zip(self.labels) {
            let (p, first) = probabilities(margins, self.num_labels);
            let residual =
                |(at, p): (usize, &f64)| (p - f64::from(u8::from(at == label as usize))) / n;
            residuals.extend(p.iter().enumerate().skip(first).map(residual));
        }
        residuals
    }
}

/// Probabilities of all labels from the margins of the columns, and the label of the first column.
fn probabilities(margins: &[f64], num_labels: usize) -> (Vec<f64>, usize) {
    let fixed = num_labels - margins.len();
    let margins = || std::iter::repeat_n(0.0, fixed).chain(margins.iter().copied());
    let largest = margins().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = margins().map(|margin| libm::exp(margin - largest)).collect();
    let sum: f64 = powers.iter().sum();
    (powers.iter().map(|power| power / sum).collect(), fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labels_have_one_column_and_a_single_label_is_certain() {
        let rows: Vec<SparseRow> = vec![vec![(0, 1.0)], vec![(1, 1.0)]];
        let fit = |labels: &[u32], num| Logistic::fit(&rows, 2, labels, num, || Ok(())).unwrap();
        let two = fit(&[0, 1], 2);
        assert_eq!(two.weights.len(), 1);
        let p = two.probabilities(&vec![(0, 1.0)]);
        assert!(p[0] > 0.55 && (p[0] + p[1] - 1.0).abs() < 1e-12, "{p:?}");
        assert_eq!(two.probabilities(&vec![]), [0.5, 0.5]);
        assert_eq!(fit(&[0, 0], 1).probabilities(&vec![]), [1.0]);
    }

    #[test]
    fn at_the_optimum_predicted_and_true_labels_are_equally_many() {
        let rows: Vec<SparseRow> =
            (0..9).map(|at| vec![(at % 4, 0.8), (4 + at % 2, 0.6)]).collect();
        let labels: Vec<u32> = (0..9).map(|at| at % 3).collect();
        let fitted = Logistic::fit(&rows, 6, &labels, 3, || Ok(())).unwrap();
        let sums =
            rows.iter().map(|row| fitted.probabilities(row)).fold([0.0; 3], |mut sums, p| {
                sums.iter_mut().zip(p).for_each(|(sum, p)| *sum += p);
                sums
            });
        assert!(sums.iter().all(|sum| (sum - 3.0).abs() < 1e-3), "{sums:?}");
    }

    #[test]
    fn a_fit_can_be_stopped() {
        let rows: Vec<SparseRow> = vec![vec![(0, 1.0)], vec![(1, 1.0)]];
        let stop = || Err(pipelines::error::Error::Cancelled);
        assert!(Logistic::fit(&rows, 2, &[0, 1], 2, stop).is_err());
    }
}
