//! Learning from examples.

use super::cross_validate::{self, Folds};
use super::features::{Extractor, Features, Vector};
use super::{Classifier, Output, Platt, dual};
use crate::error::{Error, Result};
use pipelines::seed::Seed;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// The text.
    pub text: &'a str,
    /// Index of its label.
    pub label: usize,
}

/// How a classifier is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What is counted of a text.
    pub features: Features,
    /// How much being wrong on an example costs, against half the square of all weights; above 0, and at most
    /// 100. More: closer to the
    /// examples, and less sure on other texts.
    pub cost: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { features: Features::default(), cost: 10.0 }
    }
}

/// Values have length one, so that from here on weights are hardly held back, and the search takes long.
const MAX_COST: f64 = 100.0;

/// In how many parts examples are cut to learn how sums become probabilities.
const CALIBRATION_FOLDS: usize = 5;

/// Fewest examples of a label: one to learn from and one to calibrate with.
const MIN_EXAMPLES: usize = 2;

/// Learns to tell `labels` apart, of which the examples name the indices.
///
/// With two labels one regression tells the second from the first; with more there is one for each label against all others.
/// Probabilities are calibrated on sums of texts that were left out, a fifth at a time. The order of examples matters: give
/// them in one that does not depend on how they are stored.
///
/// # Errors
/// [`Error::ClassifierOption`] when an option is out of its bounds, [`Error::TooFewExamples`] when there are less than two
/// labels or less than two examples of one.
///
/// # Panics
/// If an example names a label that there is not.
pub fn train(
    examples: &[Example],
    labels: &[String],
    options: Options,
    seed: u64,
) -> Result<Classifier> {
    let prepared = Prepared::new(examples, labels, options)?;
    let folds = Folds::new(&prepared.labels, CALIBRATION_FOLDS, seed);
    let sums = cross_validate::sums(&prepared, &folds, seed);
    let everything = |_: usize| true;
    let learnt: Vec<Vec<f64>> = prepared.learn(everything, seed);
    let outputs: Vec<Output> = learnt
        .iter()
        .enumerate()
        .map(|(output, weights)| Output {
            bias: narrow(weights[weights.len() - 1]),
            platt: Platt::fit(&sums[output], &prepared.targets(output)),
        })
        .collect();
    let features = options.features;
    let is_used = |bucket: &usize| learnt.iter().any(|weights| weights[*bucket] != 0.0);
    let used: Vec<usize> = (0..features.num_buckets()).filter(is_used).collect();
    let weights_of =
        |bucket: &usize| learnt.iter().map(|weights| narrow(weights[*bucket])).collect::<Vec<_>>();
    Ok(Classifier {
        features,
        labels: labels.to_vec(),
        outputs,
        weights: used.iter().flat_map(weights_of).collect(),
        buckets: used
            .into_iter()
            .map(|bucket| u32::try_from(bucket).expect("at most 22 bits"))
            .collect(),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "weights are rounded to what a file holds")]
fn narrow(weight: f64) -> f32 {
    weight as f32
}

/// Examples as features.
pub(super) struct Prepared {
    pub(super) vectors: Vec<Vec<(u32, f64)>>,
    pub(super) labels: Vec<usize>,
    num_labels: usize,
    options: Options,
}

impl Prepared {
    pub(super) fn new(examples: &[Example], labels: &[String], options: Options) -> Result<Self> {
        validate(examples, labels, options)?;
        let extractor = || Extractor::new(options.features);
        let vectors = examples
            .par_iter()
            .map_init(extractor, |extractor, example| extractor.vector(example.text).to_vec())
            .collect();
        let indices = examples.iter().map(|example| example.label).collect();
        Ok(Self { vectors, labels: indices, num_labels: labels.len(), options })
    }

    /// The label that each output says yes to.
    fn outputs(&self) -> std::ops::Range<usize> {
        if self.num_labels == 2 { 1..2 } else { 0..self.num_labels }
    }

    pub(super) fn num_outputs(&self) -> usize {
        self.outputs().len()
    }

    /// Whether an output should say yes, for each example.
    pub(super) fn targets(&self, output: usize) -> Vec<bool> {
        let yes = self.outputs().start + output;
        self.labels.iter().map(|label| *label == yes).collect()
    }

    /// The weights of each output, learnt from the examples whose indices `is_in` takes.
    pub(super) fn learn(&self, is_in: impl Fn(usize) -> bool, seed: u64) -> Vec<Vec<f64>> {
        let chosen: Vec<usize> = (0..self.labels.len()).filter(|at| is_in(*at)).collect();
        let vectors: Vec<&Vector> = chosen.iter().map(|at| &*self.vectors[*at]).collect();
        let num_weights = self.options.features.num_buckets() + 1;
        let seed = Seed::new(seed, "classifier order");
        (0..self.num_outputs())
            .into_par_iter()
            .map(|output| {
                let targets = self.targets(output);
                let targets: Vec<bool> = chosen.iter().map(|at| targets[*at]).collect();
                let cost = self.options.cost;
                dual::minimize(&vectors, &targets, num_weights, cost, dual::TOLERANCE, seed)
            })
            .collect()
    }
}

fn validate(examples: &[Example], labels: &[String], options: Options) -> Result<()> {
    if !options.features.are_valid() {
        let found = format!("{:?}", options.features);
        let expected = "8 to 22 bucket bits, and n-grams of 1 to 8 characters if any";
        return Err(Error::ClassifierOption { option: "features", found, expected });
    }
    if !(options.cost > 0.0 && options.cost <= MAX_COST) {
        let found = options.cost.to_string();
        let expected = "a number above 0, at most 100";
        return Err(Error::ClassifierOption { option: "cost", found, expected });
    }
    if labels.len() < 2 {
        let found = labels.len().to_string();
        return Err(Error::ClassifierOption { option: "labels", found, expected: "at least 2" });
    }
    let mut nums = vec![0; labels.len()];
    examples.iter().for_each(|example| nums[example.label] += 1);
    match labels.iter().zip(nums).find(|(_, num)| *num < MIN_EXAMPLES) {
        None => Ok(()),
        Some((label, found)) => {
            Err(Error::TooFewExamples { label: label.clone(), found, expected: MIN_EXAMPLES })
        }
    }
}
