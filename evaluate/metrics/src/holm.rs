//! Many comparisons at once.

use crate::MetricsError;

/// Adjusted p-values, in the order given: calling those below `a` significant keeps the chance of even one false call
/// below `a`, whatever the dependence.
///
/// Source: Holm 1979, "A simple sequentially rejective multiple test procedure"; values as `p.adjust(method = "holm")`
/// of R.
///
/// ```
/// assert_eq!(metrics::holm(&[0.25, 0.5, 0.125]).unwrap(), [0.5, 0.5, 0.375]);
/// ```
///
/// # Errors
/// If a p-value is not between 0 and 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, MetricsError> {
    if let Some(&found) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(MetricsError::OutOfRange { what: "p-value", found, expected: "from 0 to 1" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, at) in order.into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        largest = largest.max(p_values[at] * remaining).min(1.0);
        adjusted[at] = largest;
    }
    Ok(adjusted)
}
