//! Could a difference between two models be chance?

use std::num::NonZeroU64;

use pipelines::seed::Seed;

use crate::{EntityMetric, EntityRuns, Metric, MetricsError, Rows, Runs, Test, TestMethod};

/// Differences this close to the observed one, relative to it, count as equal to it: sums of the same numbers in
/// another order must not fall below.
const TIE: f64 = 1e-12;

/// Paired randomisation: if the models were exchangeable, swapping their answers in any unit would change nothing. The
/// p-value is the share of swaps whose difference is at least as far from zero as the one observed.
///
/// Where there are no more ways to swap than `swaps`, each is tried once and the value is exact; otherwise random ones
/// are, and the observed one is counted among them.
///
/// Source: Noreen 1989, "Computer-intensive methods for testing hypotheses"; Yeh 2000, arXiv:cs/0008005.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomisation {
    /// Seed of the swaps.
    pub seed: u64,
    /// Most swaps tried.
    pub swaps: NonZeroU64,
}

impl Randomisation {
    /// At most 10,000 swaps.
    pub fn new(seed: u64) -> Self {
        Self { seed, swaps: NonZeroU64::new(10_000).expect("not zero") }
    }

    /// Tests the difference in `metric` of two models with equally many runs on the same rows. A model that draws no
    /// seed is given as often as the other has runs.
    ///
    /// # Errors
    /// If the models differ in their number of runs.
    pub fn compare(
        &self,
        metric: Metric,
        rows: &Rows,
        model: &Runs,
        other: &Runs,
    ) -> Result<Test, MetricsError> {
        MetricsError::check_length("runs", other.len(), model.len())?;
        self.test(rows.units().len(), |swapped| {
            let sum: f64 = model
                .predicted()
                .iter()
                .zip(other.predicted())
                .map(|(model, other)| difference(metric, rows, model, other, swapped))
                .sum();
            sum / model.len() as f64
        })
    }

    /// Tests the difference in `metric` of two models that find entities, with equally many runs on the same sentences.
    ///
    /// # Errors
    /// If the models differ in their number of runs or units.
    pub fn compare_entities(
        &self,
        metric: EntityMetric,
        model: &EntityRuns,
        other: &EntityRuns,
    ) -> Result<Test, MetricsError> {
        MetricsError::check_length("runs", other.len(), model.len())?;
        MetricsError::check_length("units", other.num_units(), model.num_units())?;
        self.test(model.num_units(), |swapped| {
            let pairs = model.counts().iter().zip(other.counts());
            let sum: f64 =
                pairs.map(|(model, other)| metric.difference(model, other, swapped)).sum();
            sum / model.len() as f64
        })
    }

    /// Tests whether the mean of paired differences is zero, one difference for each independent unit: each may change
    /// its sign.
    ///
    /// # Errors
    /// If there is no difference, or one is not finite.
    pub fn sign_flip(&self, differences: &[f64]) -> Result<Test, MetricsError> {
        self.test(differences.len(), |flipped| {
            differences.iter().zip(flipped).map(|(&d, &flip)| if flip { -d } else { d }).sum()
        })
    }

    fn test(
        &self,
        num_units: usize,
        statistic: impl Fn(&[bool]) -> f64,
    ) -> Result<Test, MetricsError> {
        if num_units == 0 {
            return Err(MetricsError::Empty { what: "units" });
        }
        let what = "difference";
        let observed = MetricsError::check_finite(what, statistic(&vec![false; num_units]))?;
        let is_as_far = |swapped: &[bool]| statistic(swapped).abs() >= observed.abs() * (1.0 - TIE);
        let ways = u32::try_from(num_units).ok().and_then(|units| 1u64.checked_shl(units));
        let (p, method) = match ways {
            Some(ways) if ways <= self.swaps.get() => {
                (share_of_all(ways, num_units, is_as_far), TestMethod::ExactRandomisation)
            }
            _ => (self.share_of_random(num_units, is_as_far), TestMethod::ApproximateRandomisation),
        };
        Ok(Test { p, units: num_units as u64, method })
    }

    fn share_of_random(&self, num_units: usize, is_as_far: impl Fn(&[bool]) -> bool) -> f64 {
        let seed = Seed::new(self.seed, "randomisation");
        let mut swapped = vec![false; num_units];
        let as_far = (0..self.swaps.get())
            .filter(|&swap| {
                toss(&seed, swap, &mut swapped);
                is_as_far(&swapped)
            })
            .count();
        (as_far + 1) as f64 / (self.swaps.get() + 1) as f64
    }
}

/// The difference of two runs, with the answers of the `swapped` units exchanged.
fn difference(metric: Metric, rows: &Rows, model: &[u32], other: &[u32], swapped: &[bool]) -> f64 {
    let score = |own: &[u32], foreign: &[u32]| {
        let pairs = rows.units().iter().zip(swapped).flat_map(|(unit, &is_swapped)| {
            let answers = if is_swapped { foreign } else { own };
            unit.iter().map(move |&row| (rows.truth()[row], answers[row]))
        });
        metric.score_pairs(rows.num_labels(), pairs)
    };
    score(model, other) - score(other, model)
}

/// Of all `ways` to swap, the share that `is_as_far`.
fn share_of_all(ways: u64, num_units: usize, is_as_far: impl Fn(&[bool]) -> bool) -> f64 {
    let mut swapped = vec![false; num_units];
    let as_far = (0..ways)
        .filter(|way| {
            for (unit, swap) in swapped.iter_mut().enumerate() {
                *swap = way >> unit & 1 == 1;
            }
            is_as_far(&swapped)
        })
        .count();
    as_far as f64 / ways as f64
}

/// Tosses one coin for each unit.
fn toss(seed: &Seed, swap: u64, swapped: &mut [bool]) {
    for (word, coins) in (0..).zip(swapped.chunks_mut(64)) {
        let bits = seed.u64(swap, word);
        for (coin, swap) in coins.iter_mut().enumerate() {
            *swap = bits >> coin & 1 == 1;
        }
    }
}
