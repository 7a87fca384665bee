//! How good the probabilities of a label are.

use pipelines::seed::Seed;
use rayon::prelude::*;
use serde::Serialize;

/// Resamples of an interval.
const RESAMPLES: u64 = 2000;

/// Bins of calibration, of equal width.
const BINS: u8 = 10;

/// How good the probabilities of a label are, on texts that were not learnt from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The chance that a text with the label has a higher probability of it than one without, ties counting half.
    pub roc_auc: Interval,
    /// Mean distance of probability and share over the bins, each weighing as much as it has texts.
    pub expected_calibration_error: f64,
    /// Texts by their probability.
    pub bins: Vec<Bin>,
    /// What keeping the texts from a probability on would do.
    pub thresholds: Vec<Threshold>,
}

/// A number, and the bounds between which it is with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// The 2.5th percentile of resamples of the texts.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Texts whose probability of the label is within a tenth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub num: usize,
    /// Their mean probability; 0 where there are none.
    pub mean_probability: f64,
    /// The share of them that has the label; 0 where there are none.
    pub share: f64,
}

/// What keeping the texts from a probability on would do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The least probability that is kept.
    pub threshold: f64,
    /// The share of what is kept that has the label; `None` where nothing is kept.
    pub precision: Option<f64>,
    /// The share of texts with the label that is kept.
    pub recall: f64,
    /// The share of all texts that is kept.
    pub kept: f64,
}

impl Report {
    /// Of texts with these probabilities of a label, where `is_in` says which have it. `None` unless some have it and some not.
    ///
    /// # Panics
    /// If there are not as many of both, or a probability is outside of 0 to 1.
    pub fn new(probabilities: &[f64], is_in: &[bool], seed: u64) -> Option<Self> {
        assert_eq!(probabilities.len(), is_in.len(), "one probability for each text");
        let is_probability = |value: &f64| (0.0..=1.0).contains(value);
        assert!(probabilities.iter().all(is_probability), "probabilities are within 0 to 1");
        let rows: Vec<Row> = probabilities.iter().copied().zip(is_in.iter().copied()).collect();
        let bins = bins(&rows);
        let error = |bin: &Bin| bin.num as f64 * (bin.mean_probability - bin.share).abs();
        Some(Self {
            roc_auc: Curve::new(&rows).interval(seed)?,
            expected_calibration_error: bins.iter().map(error).sum::<f64>() / rows.len() as f64,
            bins,
            thresholds: (1..20).map(|step| threshold(&rows, f64::from(step) / 20.0)).collect(),
        })
    }
}

/// A probability, and whether the text has the label.
type Row = (f64, bool);

fn bins(rows: &[Row]) -> Vec<Bin> {
    let bin_of = |probability: f64| {
        (1..BINS).take_while(|bin| probability >= f64::from(*bin) / f64::from(BINS)).count()
    };
    let mut bins = vec![Bin { num: 0, mean_probability: 0.0, share: 0.0 }; usize::from(BINS)];
    for (probability, is_in) in rows {
        let bin = &mut bins[bin_of(*probability)];
        bin.num += 1;
        bin.mean_probability += probability;
        bin.share += f64::from(u8::from(*is_in));
    }
    for bin in bins.iter_mut().filter(|bin| bin.num > 0) {
        bin.mean_probability /= bin.num as f64;
        bin.share /= bin.num as f64;
    }
    bins
}

fn threshold(rows: &[Row], threshold: f64) -> Threshold {
    let num = |takes: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| takes(row)).count() as f64;
    let kept = num(&|row| row.0 >= threshold);
    let hits = num(&|row| row.0 >= threshold && row.1);
    Threshold {
        threshold,
        precision: (kept > 0.0).then(|| hits / kept),
        recall: hits / num(&|row| row.1),
        kept: kept / rows.len() as f64,
    }
}

/// Texts in the order of their probabilities, so that resamples need not be sorted.
struct Curve {
    /// For each text in the order of the examples, which place of the order it has.
    places: Vec<usize>,
    /// Sorted by probability.
    sorted: Vec<Row>,
}

impl Curve {
    fn new(rows: &[Row]) -> Self {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|left, right| rows[*left].0.total_cmp(&rows[*right].0));
        let mut places = vec![0; rows.len()];
        for (place, row) in order.iter().enumerate() {
            places[*row] = place;
        }
        Self { places, sorted: order.iter().map(|row| rows[*row]).collect() }
    }

    fn interval(&self, seed: u64) -> Option<Interval> {
        let value = self.area(&vec![1; self.sorted.len()])?;
        let seed = Seed::new(seed, "classifier interval");
        let resample = |resample| {
            let mut times = vec![0; self.sorted.len()];
            for draw in 0..times.len() as u64 {
                let row = seed.below(times.len() as u64, resample, draw);
                times[self.places[usize::try_from(row).expect("an index of a slice")]] += 1;
            }
            self.area(&times)
        };
        let mut areas: Vec<f64> = (0..RESAMPLES).into_par_iter().filter_map(resample).collect();
        areas.sort_by(f64::total_cmp);
        // A resample of one kind of texts alone has no area. The value itself stands in where there is no other.
        let at = |per_mille: usize| {
            areas.get(areas.len().saturating_sub(1) * per_mille / 1000).copied().unwrap_or(value)
        };
        Some(Interval { value, low: at(25), high: at(975) })
    }

    /// The area under the curve where each text is there so many times; `None` if there is one kind of texts alone.
    fn area(&self, times: &[u64]) -> Option<f64> {
        let (mut with, mut without, mut twice_won) = (0u64, 0u64, 0u128);
        let mut place = 0;
        for same in self.sorted.chunk_by(|left, right| left.0 == right.0) {
            let (mut with_here, mut without_here) = (0, 0);
            for (_, is_in) in same {
                *(if *is_in { &mut with_here } else { &mut without_here }) += times[place];
                place += 1;
            }
            twice_won += u128::from(with_here) * u128::from(2 * without + without_here);
            with += with_here;
            without += without_here;
        }
        let pairs = u128::from(with) * u128::from(without);
        (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[Row], expected: f64) {
        let (probabilities, is_in): (Vec<f64>, Vec<bool>) = rows.iter().copied().unzip();
        let report = Report::new(&probabilities, &is_in, 1).unwrap();
        assert_eq!(report.roc_auc.value, expected);
        assert!(report.roc_auc.low <= expected && expected <= report.roc_auc.high);
    }

    #[test]
    fn the_area_counts_pairs_in_order() {
        check(&[(0.1, false), (0.9, true)], 1.0);
        check(&[(0.9, false), (0.1, true)], 0.0);
        check(&[(0.5, false), (0.5, true)], 0.5);
        check(&[(0.1, false), (0.4, true), (0.35, true), (0.8, false)], 0.5);
        check(&[(0.2, false), (0.2, true), (0.3, true), (0.1, false)], 3.5 / 4.0);
        assert_eq!(Report::new(&[0.5], &[true], 1), None);
        assert_eq!(Report::new(&[], &[], 1), None);
    }

    #[test]
    fn bins_and_thresholds_are_counted_with_their_lower_bound() {
        let report = Report::new(&[0.0, 0.1, 0.5, 1.0], &[false, true, false, true], 1).unwrap();
        let nums: Vec<usize> = report.bins.iter().map(|bin| bin.num).collect();
        assert_eq!(nums, [1, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert!((report.expected_calibration_error - (0.9 + 0.5) / 4.0).abs() < 1e-12);
        let half = report.thresholds[9];
        let expected = Threshold { threshold: 0.5, precision: Some(0.5), recall: 0.5, kept: 0.5 };
        assert_eq!(half, expected);
    }
}
