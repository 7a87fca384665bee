//! An interval for a proportion.

use crate::{Estimate, IntervalMethod, MetricsError, normal};

/// The share `successes / trials` with Wilson's score interval: right for few trials too, and inside 0 to 1.
///
/// Trials have to be independent: rows that share a group need a [`Bootstrap`](crate::Bootstrap) over groups.
///
/// Source: Wilson 1927; `binomtest(…).proportion_ci(method="wilson")` of SciPy.
///
/// # Errors
/// If there are no trials, more successes than trials, or the level is out of range.
pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Estimate, MetricsError> {
    MetricsError::check_level(level)?;
    if trials == 0 {
        return Err(MetricsError::Empty { what: "trials" });
    }
    if successes > trials {
        let (what, found) = ("successes", successes as f64);
        return Err(MetricsError::OutOfRange { what, found, expected: "at most the trials" });
    }
    let (share, n) = (successes as f64 / trials as f64, trials as f64);
    let z = normal::quantile(0.5 + level / 2.0);
    let shrink = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / shrink;
    let reach = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / shrink;
    Ok(Estimate {
        value: share,
        // Exactly 0 and 1 at the edges, where rounding could step outside.
        low: if successes == 0 { 0.0 } else { centre - reach },
        high: if successes == trials { 1.0 } else { centre + reach },
        level,
        units: trials,
        method: IntervalMethod::Wilson,
    })
}
