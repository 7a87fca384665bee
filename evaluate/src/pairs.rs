//! Comparisons of every pair of models by every score.

use metrics::holm;
use rayon::prelude::*;

use crate::{
    error::{EvaluateError, Result},
    results::Comparison,
    scores::of,
};

/// Compares every pair by every metric: all pairs by the first, then all by the second. The p-values of one metric are adjusted
/// for how many pairs there are.
///
/// # Errors
/// When a comparison fails, or its p-value is none.
pub(crate) fn compare_pairs<M: Copy + Send + Sync>(
    metrics: &[M],
    pairs: &[[String; 2]],
    compare: impl Fn(M, &str, &str) -> Result<Comparison<M>> + Sync,
) -> Result<Vec<Comparison<M>>> {
    let asked: Vec<_> =
        metrics.iter().flat_map(|metric| pairs.iter().map(move |pair| (*metric, pair))).collect();
    // Each draws from its own counters, and `collect` keeps the order.
    let mut comparisons = asked
        .par_iter()
        .map(|(metric, [model, other])| compare(*metric, model, other))
        .collect::<Result<Vec<_>>>()?;
    for of_metric in comparisons.chunks_mut(pairs.len().max(1)) {
        let p: Vec<f64> = of_metric.iter().map(|comparison| comparison.test.p).collect();
        let adjusted = holm(&p).map_err(of("comparisons"))?;
        of_metric.iter_mut().zip(adjusted).for_each(|(comparison, p)| comparison.p_adjusted = p);
    }
    Ok(comparisons)
}

/// A pair names a model of which `table` has no row.
pub(crate) fn no_answers(table: &str, model: &str) -> EvaluateError {
    EvaluateError::Unexpected {
        name: table.to_owned(),
        found: format!("none of {model}"),
        expected: "some of every model that is compared".to_owned(),
    }
}
