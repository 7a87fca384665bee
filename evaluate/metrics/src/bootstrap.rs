//! Intervals by resampling independent units.

use std::num::NonZeroU32;

use pipelines::seed::Seed;

use crate::{
    EntityMetric, EntityRuns, Estimate, IntervalMethod, Metric, MetricsError, Rows, Runs, language,
};

/// Percentile bootstrap: units are drawn with replacement, as many as there are, and the statistic is taken anew; the
/// interval lies between the quantiles that leave out `1 - level`, half on each side, linearly interpolated.
///
/// Draws depend on `seed`, the resample and the place in it only. Two models compared on the same rows are drawn
/// together.
///
/// Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", section 13.3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Seed of the draws.
    pub seed: u64,
    /// Number of resamples.
    pub resamples: NonZeroU32,
    /// Level of confidence, above 0 and below 1.
    pub level: f64,
}

impl Bootstrap {
    /// 2,000 resamples at level 0.95.
    pub fn new(seed: u64) -> Self {
        let resamples = NonZeroU32::new(2000).expect("not zero");
        Self { seed, resamples, level: 0.95 }
    }

    /// The score of a model.
    ///
    /// # Errors
    /// If the level is out of range.
    pub fn score(
        &self,
        metric: Metric,
        rows: &Rows,
        model: &Runs,
    ) -> Result<Estimate, MetricsError> {
        let method = IntervalMethod::PercentileBootstrap;
        self.estimate("score", rows.units().len(), method, |units| {
            metric.score_units(rows, model, units)
        })
    }

    /// By how much the score of `model` is above that of `other`, on the same rows.
    ///
    /// # Errors
    /// If the level is out of range.
    pub fn difference(
        &self,
        metric: Metric,
        rows: &Rows,
        model: &Runs,
        other: &Runs,
    ) -> Result<Estimate, MetricsError> {
        let method = IntervalMethod::PairedBootstrap;
        self.estimate("difference", rows.units().len(), method, |units| {
            metric.score_units(rows, model, units) - metric.score_units(rows, other, units)
        })
    }

    /// The score of a model that finds entities.
    ///
    /// # Errors
    /// If the level is out of range.
    pub fn entity_score(
        &self,
        metric: EntityMetric,
        model: &EntityRuns,
    ) -> Result<Estimate, MetricsError> {
        let method = IntervalMethod::PercentileBootstrap;
        self.estimate("score", model.num_units(), method, |units| metric.score_units(model, units))
    }

    /// By how much the score of `model` is above that of `other`, on the same sentences.
    ///
    /// # Errors
    /// If the level is out of range, or the models were not given equally many units.
    pub fn entity_difference(
        &self,
        metric: EntityMetric,
        model: &EntityRuns,
        other: &EntityRuns,
    ) -> Result<Estimate, MetricsError> {
        MetricsError::check_length("units", other.num_units(), model.num_units())?;
        let method = IntervalMethod::PairedBootstrap;
        self.estimate("difference", model.num_units(), method, |units| {
            metric.score_units(model, units) - metric.score_units(other, units)
        })
    }

    /// Perplexity of a corpus from the negative log-likelihood in nats and the tokens of each document.
    ///
    /// # Errors
    /// If the lists differ in length or are empty, or a resample holds no token.
    pub fn perplexity(&self, nats: &[f64], tokens: &[u64]) -> Result<Estimate, MetricsError> {
        self.ratio("perplexity", nats, tokens, language::perplexity)
    }

    /// Negative log-likelihood per token of a corpus from the nats and the tokens of each document.
    ///
    /// # Errors
    /// If the lists differ in length or are empty, or a resample holds no token.
    pub fn nats_per_token(&self, nats: &[f64], tokens: &[u64]) -> Result<Estimate, MetricsError> {
        self.ratio("nats_per_token", nats, tokens, |nats, tokens| nats / tokens as f64)
    }

    /// Bits per byte of a corpus from the negative log-likelihood in nats and the UTF-8 bytes of each document.
    ///
    /// # Errors
    /// If the lists differ in length or are empty, or a resample holds no byte.
    pub fn bits_per_byte(&self, nats: &[f64], bytes: &[u64]) -> Result<Estimate, MetricsError> {
        self.ratio("bits_per_byte", nats, bytes, language::bits_per_byte)
    }

    /// A statistic of the corpus sums of nats and of `sizes`, resampled by document.
    fn ratio(
        &self,
        what: &'static str,
        nats: &[f64],
        sizes: &[u64],
        statistic: fn(f64, u64) -> f64,
    ) -> Result<Estimate, MetricsError> {
        MetricsError::check_length(what, sizes.len(), nats.len())?;
        self.estimate(what, nats.len(), IntervalMethod::PercentileBootstrap, |documents| {
            let nats = documents.iter().map(|&document| nats[document]).sum();
            statistic(nats, documents.iter().map(|&document| sizes[document]).sum())
        })
    }

    /// `statistic` of all units once, and its interval.
    fn estimate(
        &self,
        what: &'static str,
        num_units: usize,
        method: IntervalMethod,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Result<Estimate, MetricsError> {
        MetricsError::check_level(self.level)?;
        if num_units == 0 {
            return Err(MetricsError::Empty { what });
        }
        let mut units: Vec<usize> = (0..num_units).collect();
        let value = MetricsError::check_finite(what, statistic(&units))?;
        let seed = Seed::new(self.seed, "bootstrap");
        let mut resampled = (0..self.resamples.get())
            .map(|resample| {
                draw(&seed, resample, &mut units);
                MetricsError::check_finite(what, statistic(&units))
            })
            .collect::<Result<Vec<f64>, _>>()?;
        resampled.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Ok(Estimate {
            value,
            low: quantile(&resampled, tail),
            high: quantile(&resampled, 1.0 - tail),
            level: self.level,
            units: num_units as u64,
            method,
        })
    }
}

/// Fills `units` with as many units, drawn with replacement.
fn draw(seed: &Seed, resample: u32, units: &mut [usize]) {
    let num_units = units.len() as u64;
    for (place, unit) in (0..).zip(units) {
        let drawn = seed.below(num_units, resample.into(), place);
        *unit = usize::try_from(drawn).expect("below a number of units in memory");
    }
}

/// The `share` quantile of sorted values, linear between the two nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the place lies between the first and the last index"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        for (share, expected) in [(0.0, 1.0), (0.25, 2.0), (0.375, 2.5), (1.0, 5.0)] {
            assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], share), expected);
        }
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
    }
}
