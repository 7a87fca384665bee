//! Logistic regression with two classes.

use super::features::Vector;
use pipelines::seed::{Permutation, Seed};

/// Passes over the examples at most. It takes tens; a solution that is not quite there is a good one too.
const MAX_PASSES: u64 = 300;

/// The largest gradient of one example's part that ends the search: what liblinear takes too.
pub(super) const TOLERANCE: f64 = 0.1;

const MAX_INNER_STEPS: usize = 100;

/// Weights that minimize `|w|²/2 + cost · Σ ln(1 + exp(-y (w·x)))` over `examples`, where `y` is 1 for those that `is_second`
/// names and -1 for others. There are `num_weights` of them, the last one the bias: weight of a feature that is 1 everywhere.
///
/// The search ends when no example's part has a gradient of `tolerance`.
///
/// Coordinate descent in the dual, one example after the other in an order drawn for each pass. It has no rate to be chosen,
/// and touches only the weights that an example has.
///
/// Source: Yu, Huang and Lin 2011, "Dual coordinate descent methods for logistic regression and maximum entropy models",
/// algorithm 5, with stopping as in liblinear 2.4.
pub(super) fn minimize(
    examples: &[&Vector],
    is_second: &[bool],
    num_weights: usize,
    cost: f64,
    tolerance: f64,
    seed: Seed,
) -> Vec<f64> {
    let mut search = Search::new(examples, is_second, num_weights, cost);
    for pass in 0..MAX_PASSES {
        let order = Permutation::new(seed, pass, examples.len() as u64);
        let (mut largest, mut num_steps) = (0.0f64, 0);
        for place in 0..examples.len() as u64 {
            let example = usize::try_from(order.at(place)).expect("an index of a slice");
            let (gradient, steps) = search.step(example);
            largest = largest.max(gradient);
            num_steps += steps;
        }
        if largest < tolerance {
            break;
        }
        if num_steps <= examples.len() / 10 {
            search.inner_tolerance = (search.inner_tolerance * 0.1).max(1e-8);
        }
    }
    search.weights
}

struct Search<'a> {
    examples: &'a [&'a Vector],
    is_second: &'a [bool],
    cost: f64,
    inner_tolerance: f64,
    /// The dual variable of each example, and `cost` minus it.
    duals: Vec<[f64; 2]>,
    weights: Vec<f64>,
}

impl<'a> Search<'a> {
    fn new(
        examples: &'a [&'a Vector],
        is_second: &'a [bool],
        num_weights: usize,
        cost: f64,
    ) -> Self {
        let start = (0.001 * cost).min(1e-8);
        let duals = vec![[start, cost - start]; examples.len()];
        let weights = vec![0.0; num_weights];
        let mut search = Self { examples, is_second, cost, inner_tolerance: 1e-2, duals, weights };
        for (example, is_second) in examples.iter().zip(is_second) {
            add(&mut search.weights, example, sign(*is_second) * start);
        }
        search
    }

    /// Minimizes over the dual variable of one example; gives the gradient before, and how many steps it took.
    fn step(&mut self, at: usize) -> (f64, usize) {
        let example = self.examples[at];
        let label = sign(self.is_second[at]);
        let square = 1.0 + example.iter().map(|(_, value)| value * value).sum::<f64>();
        let margin = label * dot(&self.weights, example);
        let [low, high] = self.duals[at];
        // Whichever of the two is the smaller one at the solution is searched: logarithms of it are exact.
        let which = usize::from(0.5 * square * (high - low) + margin < 0.0);
        let direction = if which == 0 { 1.0 } else { -1.0 };
        let old = self.duals[at][which];
        let slope =
            |z: f64| square * (z - old) + direction * margin + libm::log(z / (self.cost - z));
        let mut new = if self.cost - old < 0.5 * self.cost { 0.1 * old } else { old };
        let mut gradient = slope(new);
        let before = gradient.abs();
        let mut num_steps = 0;
        while gradient.abs() >= self.inner_tolerance && num_steps < MAX_INNER_STEPS {
            let newton = new - gradient / (square + self.cost / (self.cost - new) / new);
            new = if newton <= 0.0 { 0.1 * new } else { newton };
            gradient = slope(new);
            num_steps += 1;
        }
        if num_steps > 0 {
            self.duals[at][which] = new;
            self.duals[at][1 - which] = self.cost - new;
            add(&mut self.weights, example, direction * (new - old) * label);
        }
        (before, num_steps)
    }
}

fn sign(is_second: bool) -> f64 {
    if is_second { 1.0 } else { -1.0 }
}

/// The weights times an example, bias included.
pub(super) fn dot(weights: &[f64], example: &Vector) -> f64 {
    let bias = weights[weights.len() - 1];
    bias + example.iter().map(|(at, value)| weights[*at as usize] * value).sum::<f64>()
}

fn add(weights: &mut [f64], example: &Vector, factor: f64) {
    if let Some(bias) = weights.last_mut() {
        *bias += factor;
    }
    example.iter().for_each(|(at, value)| weights[*at as usize] += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_and_empty_examples_give_numbers() {
        let same: &Vector = &[(0, 1.0), (1, 1e-9)];
        let examples = [same, same, &[], &[]];
        for cost in [1e-6, 1.0, 100.0] {
            let seed = Seed::new(1, "test");
            let weights =
                minimize(&examples, &[false, true, false, true], 3, cost, TOLERANCE, seed);
            assert!(weights.iter().all(|weight| weight.abs() < 0.1), "{cost}: {weights:?}");
            let weights = minimize(&examples, &[true; 4], 3, cost, TOLERANCE, seed);
            assert!(weights[2] > 0.0 && weights[2] < 20.0, "{cost}: {weights:?}");
        }
    }

    #[test]
    fn the_gradient_is_zero_where_the_search_ends() {
        let seed = Seed::new(1, "test");
        for cost in [0.1, 1.0, 30.0] {
            let examples: Vec<Vec<(u32, f64)>> = (0..40)
                .map(|row| (0..6).map(|at| (at, seed.unit(row, u64::from(at)) - 0.4)).collect())
                .collect();
            let is_second: Vec<bool> =
                (0..40).map(|row| examples[row][0].1 + seed.unit(99, row as u64) > 0.6).collect();
            let examples: Vec<&Vector> = examples.iter().map(|example| &**example).collect();
            let weights = minimize(&examples, &is_second, 7, cost, 1e-4, seed);
            let mut gradient = weights.clone();
            for (example, is_second) in examples.iter().zip(&is_second) {
                let label = sign(*is_second);
                let pull = cost / (1.0 + libm::exp(label * dot(&weights, example)));
                add(&mut gradient, example, -label * pull);
            }
            assert!(
                gradient.iter().all(|slope| slope.abs() < 1e-3 * cost.max(1.0)),
                "{cost}: {gradient:?}"
            );
        }
    }
}
