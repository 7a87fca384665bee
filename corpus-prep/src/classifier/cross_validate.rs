//! What a classifier would say of examples that it was not learnt from.

use super::train::{Example, Options, Prepared};
use super::{Platt, dual, to_labels};
use crate::error::{Error, Result};
use pipelines::seed::{Permutation, Seed};
use rayon::prelude::*;

/// Which part each example is in.
///
/// Each label's examples are dealt out in turn, in an order that is drawn, so that parts have the same share of it.
pub(super) struct Folds {
    num: usize,
    of: Vec<usize>,
}

impl Folds {
    pub(super) fn new(labels: &[usize], num: usize, seed: u64) -> Self {
        let seed = Seed::new(seed, "classifier folds");
        let mut of = vec![0; labels.len()];
        for label in 0..labels.iter().max().map_or(0, |max| max + 1) {
            let rows: Vec<usize> = (0..labels.len()).filter(|at| labels[*at] == label).collect();
            let order = Permutation::new(seed, label as u64, rows.len() as u64);
            for (place, row) in (0..).zip(rows) {
                of[row] = usize::try_from(order.at(place) % num as u64).expect("less than `num`");
            }
        }
        Self { num, of }
    }
}

/// The sums of each output for all examples, each by weights that were learnt without its fold.
pub(super) fn sums(prepared: &Prepared, folds: &Folds, seed: u64) -> Vec<Vec<f64>> {
    let learnt: Vec<Vec<Vec<f64>>> = (0..folds.num)
        .into_par_iter()
        .map(|fold| prepared.learn(|at| folds.of[at] != fold, seed))
        .collect();
    (0..prepared.num_outputs())
        .map(|output| {
            let sum = |(vector, fold): (&Vec<_>, &usize)| dual::dot(&learnt[*fold][output], vector);
            prepared.vectors.iter().zip(&folds.of).map(sum).collect()
        })
        .collect()
}

/// The probabilities of all labels for each example, by a classifier that learnt nothing from the fold it is in: neither its
/// weights nor how sums become probabilities.
///
/// # Errors
/// As [`train`](super::train()), and [`Error::ClassifierOption`] when there are less than two folds.
///
/// # Panics
/// If an example names a label that there is not.
pub fn cross_validate(
    examples: &[Example],
    labels: &[String],
    options: Options,
    num_folds: usize,
    seed: u64,
) -> Result<Vec<Vec<f64>>> {
    if num_folds < 2 {
        let found = num_folds.to_string();
        return Err(Error::ClassifierOption { option: "folds", found, expected: "at least 2" });
    }
    let prepared = Prepared::new(examples, labels, options)?;
    let folds = Folds::new(&prepared.labels, num_folds, seed);
    let sums = sums(&prepared, &folds, seed);
    let platts: Vec<Vec<Platt>> = (0..sums.len())
        .map(|output| {
            (0..num_folds).map(|fold| fit_others(&prepared, &folds, &sums, output, fold)).collect()
        })
        .collect();
    let probabilities = |at: usize| {
        let each = (0..sums.len())
            .map(|output| platts[output][folds.of[at]].probability(sums[output][at]));
        let mut labels = Vec::new();
        to_labels(each, &mut labels);
        labels
    };
    Ok((0..examples.len()).map(probabilities).collect())
}

/// How sums become probabilities, learnt from all folds but one.
fn fit_others(
    prepared: &Prepared,
    folds: &Folds,
    sums: &[Vec<f64>],
    output: usize,
    fold: usize,
) -> Platt {
    let targets = prepared.targets(output);
    let others = (0..targets.len()).filter(|at| folds.of[*at] != fold);
    let (sums, targets): (Vec<f64>, Vec<bool>) =
        others.map(|at| (sums[output][at], targets[at])).unzip();
    Platt::fit(&sums, &targets)
}
