//! How good predicted probabilities are.

use crate::{MetricsError, Rows};

/// Mean over rows of the squared distance between the probabilities and the truth, `Σ_c (p_c - [c = truth])^2`; 0 is
/// perfect, 2 is the worst.
///
/// # Shapes
/// - `probabilities`: `[rows, labels]`, row by row
///
/// # Errors
/// If the shape is another, or a number is no probability.
///
/// Source: Brier 1950, equation 2; `brier_score_loss(scale_by_half=False)` of scikit-learn.
pub fn brier(rows: &Rows, probabilities: &[f64]) -> Result<f64, MetricsError> {
    mean_over_rows(rows, probabilities, |truth, row| {
        let distance = |(label, &p): (usize, &f64)| {
            let gap = p - f64::from(u8::from(label == truth));
            gap * gap
        };
        row.iter().enumerate().map(distance).sum()
    })
}

/// Mean over rows of `-ln p` of the true label, in nats. Probabilities below `f64::EPSILON` count as that, so that one
/// row cannot make it infinite.
///
/// # Shapes
/// - `probabilities`: `[rows, labels]`, row by row
///
/// # Errors
/// If the shape is another, or a number is no probability.
///
/// Source: `log_loss` of scikit-learn.
pub fn log_loss(rows: &Rows, probabilities: &[f64]) -> Result<f64, MetricsError> {
    mean_over_rows(rows, probabilities, |truth, row| {
        -libm::log(row[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON))
    })
}

fn mean_over_rows(
    rows: &Rows,
    probabilities: &[f64],
    loss: impl Fn(usize, &[f64]) -> f64,
) -> Result<f64, MetricsError> {
    let labels = rows.num_labels() as usize;
    let expected = rows.truth().len() * labels;
    MetricsError::check_length("probabilities", probabilities.len(), expected)?;
    if let Some(&found) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        let what = "probability";
        return Err(MetricsError::OutOfRange { what, found, expected: "from 0 to 1" });
    }
    let by_row = rows.truth().iter().zip(probabilities.chunks_exact(labels));
    let sum: f64 = by_row.map(|(&truth, row)| loss(truth as usize, row)).sum();
    Ok(sum / rows.truth().len() as f64)
}
