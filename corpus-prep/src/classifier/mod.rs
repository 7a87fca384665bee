//! A linear classifier of texts, learnt from examples: what is good text, and what is not.
//!
//! A text is counted as hashed n-grams ([`features`]), weighed by logistic regression ([`mod@train`]), and what comes out is turned
//! into probabilities that mean what they say ([`platt`]). How good they are is found out on texts that were not learnt from
//! ([`mod@cross_validate`]), and told as an area under the curve with an interval, as calibration and as a list of thresholds
//! ([`report`]). A classifier is a small file ([`format`](mod@format)).
//!
//! The same examples, options and seed give the same bytes, at any number of threads.

pub mod cross_validate;
pub mod features;
pub mod format;
pub mod platt;
pub mod report;
pub mod train;

mod dual;

pub use cross_validate::cross_validate;
pub use features::Features;
pub use platt::Platt;
pub use report::Report;
pub use train::{Example, Options, train};

use features::{Extractor, Vector};

/// A linear classifier of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    features: Features,
    labels: Vec<String>,
    /// One for two labels, which says how much a text is of the second; otherwise one for each label.
    outputs: Vec<Output>,
    /// Sorted buckets that have weights.
    buckets: Vec<u32>,
    /// Weights of the first bucket for all outputs, then those of the second.
    weights: Vec<f32>,
}

/// What one output has beside its weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// What is added to every sum.
    pub bias: f32,
    /// How sums become probabilities.
    pub platt: Platt,
}

impl Classifier {
    /// The labels, in the order of probabilities.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What is counted of a text.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Something that judges texts.
    pub fn judge(&self) -> Judge<'_> {
        let mut places = vec![NO_WEIGHTS; self.features.num_buckets()];
        for (place, bucket) in (0u32..).zip(&self.buckets) {
            places[*bucket as usize] = place;
        }
        Judge {
            classifier: self,
            places,
            extractor: Extractor::new(self.features),
            probabilities: Vec::new(),
        }
    }
}

const NO_WEIGHTS: u32 = u32::MAX;

/// Judges texts, and keeps its memory from one to the next.
#[derive(Clone, Debug)]
pub struct Judge<'a> {
    classifier: &'a Classifier,
    /// Where the weights of each bucket are.
    places: Vec<u32>,
    extractor: Extractor,
    probabilities: Vec<f64>,
}

impl Judge<'_> {
    /// The probabilities of all labels, which sum to one.
    pub fn probabilities(&mut self, text: &str) -> &[f64] {
        let vector = self.extractor.vector(text);
        let outputs = &self.classifier.outputs;
        let of = |(at, output): (usize, &Output)| {
            let sum = sum(self.classifier, &self.places, vector, at);
            output.platt.probability(f64::from(output.bias) + sum)
        };
        let each = outputs.iter().enumerate().map(of);
        to_labels(each, &mut self.probabilities);
        &self.probabilities
    }
}

/// A text's features times the weights of an output.
fn sum(classifier: &Classifier, places: &[u32], vector: &Vector, output: usize) -> f64 {
    let num = classifier.outputs.len();
    vector
        .iter()
        .filter_map(|(bucket, value)| match places[*bucket as usize] {
            NO_WEIGHTS => None,
            place => Some(value * f64::from(classifier.weights[place as usize * num + output])),
        })
        .sum()
}

/// From the probabilities of outputs, each judged alone, to those of labels.
fn to_labels(each: impl Iterator<Item = f64>, labels: &mut Vec<f64>) {
    labels.clear();
    labels.extend(each);
    if let [second] = labels[..] {
        labels.insert(0, 1.0 - second);
        return;
    }
    let sum: f64 = labels.iter().sum();
    let num = labels.len() as f64;
    // Where every output says no without any doubt, none is preferred.
    labels.iter_mut().for_each(|label| *label = if sum > 0.0 { *label / sum } else { 1.0 / num });
}

#[cfg(test)]
mod tests;
