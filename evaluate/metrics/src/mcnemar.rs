//! The exact test for two classifiers on the same rows.

use crate::{MetricsError, Rows, Test, TestMethod};

/// Tests whether two runs are right equally often, by the rows that only one of them has right: under chance these are
/// tosses of a fair coin. `p = min(1, 2 P[X ≤ fewer])`, `X ~ Binomial(rows that differ, 1/2)`; 1 if none differs.
///
/// Rows have to be independent: with groups, use [`Randomisation`](crate::Randomisation).
///
/// Source: McNemar 1947; exact form as in Dietterich 1998, "Approximate statistical tests", section 3.1.
///
/// # Errors
/// If a run does not answer every row.
pub fn mcnemar(rows: &Rows, model: &[u32], other: &[u32]) -> Result<Test, MetricsError> {
    for run in [model, other] {
        MetricsError::check_length("predictions", run.len(), rows.truth().len())?;
    }
    let (mut only_model, mut only_other) = (0u64, 0u64);
    for ((truth, ours), theirs) in rows.truth().iter().zip(model).zip(other) {
        only_model += u64::from(ours == truth && theirs != truth);
        only_other += u64::from(theirs == truth && ours != truth);
    }
    let p = 2.0 * fair_coin_tail(only_model.min(only_other), only_model + only_other);
    let units = rows.truth().len() as u64;
    Ok(Test { p: p.min(1.0), units, method: TestMethod::Mcnemar })
}

/// `P[X ≤ most]` for `X ~ Binomial(tosses, 1/2)`.
fn fair_coin_tail(most: u64, tosses: u64) -> f64 {
    let log_factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
    let log_largest = log_factorial(tosses)
        - log_factorial(most)
        - log_factorial(tosses - most)
        - tosses as f64 * std::f64::consts::LN_2;
    // Terms relative to the largest: C(n, k - 1) = C(n, k) k / (n - k + 1).
    let (mut term, mut sum) = (1.0, 1.0);
    for heads in (1..=most).rev() {
        term *= heads as f64 / (tosses - heads + 1) as f64;
        sum += term;
        if term < f64::EPSILON * sum / tosses as f64 {
            break;
        }
    }
    libm::exp(log_largest) * sum
}
