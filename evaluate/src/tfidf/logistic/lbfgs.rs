//! L-BFGS for a convex objective.
//!
//! Source: Nocedal and Wright 2006, "Numerical optimization", algorithms 7.4 and 7.5. The line search finds where the
//! slope along the direction is nearly zero, which convexity lets it bracket; that implies the strong Wolfe condition.

use std::collections::VecDeque;

use super::span::Vector;
use crate::error::{EvaluateError, Result};

/// Steps whose curvature is remembered.
const HISTORY: usize = 10;
/// Most iterations; tasks of some ten thousand rows take some hundred.
const MAX_ITERATIONS: usize = 10_000;
/// A line search ends where the slope is this share of the one at its start.
const SLOPE: f64 = 0.1;
/// Most evaluations of one line search.
const MAX_TRIALS: usize = 60;

/// What is minimised.
pub(super) trait Objective {
    /// Where the search starts.
    fn zero(&self) -> Vector;

    /// Its gradient.
    fn gradient(&self, at: &Vector) -> Vector;

    /// Its derivative at `at + step * direction`, along `direction`.
    fn slope(&self, at: &Vector, direction: &Vector, step: f64) -> f64;
}

/// The point whose gradient is at most `tolerance` long.
///
/// # Errors
/// When it is not reached, or `check`, called before every iteration, fails.
pub(super) fn minimize(
    objective: &impl Objective,
    tolerance: f64,
    mut check: impl FnMut() -> pipelines::error::Result<()>,
) -> Result<Vector> {
    let mut at = objective.zero();
    let mut gradient = objective.gradient(&at);
    let mut history = VecDeque::new();
    for _ in 0..MAX_ITERATIONS {
        check()?;
        if gradient.dot(&gradient).max(0.0).sqrt() <= tolerance {
            return Ok(at);
        }
        let direction = direction(&gradient, &history);
        let step = search(objective, &at, &direction);
        at.add(step, &direction);
        let next = objective.gradient(&at);
        let mut change = next.clone();
        change.add(-1.0, &gradient);
        remember(&mut history, direction, step, change);
        gradient = next;
    }
    let found = gradient.dot(&gradient).max(0.0).sqrt();
    Err(EvaluateError::NotConverged { found, expected: tolerance, iterations: MAX_ITERATIONS })
}

/// A step and how the gradient changed over it.
struct Curvature {
    step: Vector,
    change: Vector,
    /// Their inner product.
    rho: f64,
}

fn remember(history: &mut VecDeque<Curvature>, mut step: Vector, length: f64, change: Vector) {
    step.scale(length);
    let rho = step.dot(&change);
    if rho > 0.0 {
        history.push_back(Curvature { step, change, rho });
    }
    if history.len() > HISTORY {
        history.pop_front();
    }
}

/// Minus the gradient, times the remembered inverse of the curvature.
fn direction(gradient: &Vector, history: &VecDeque<Curvature>) -> Vector {
    let mut direction = gradient.clone();
    let mut shares = Vec::with_capacity(history.len());
    for past in history.iter().rev() {
        let share = past.step.dot(&direction) / past.rho;
        direction.add(-share, &past.change);
        shares.push(share);
    }
    if let Some(last) = history.back() {
        direction.scale(last.rho / last.change.dot(&last.change));
    }
    for (past, share) in history.iter().zip(shares.into_iter().rev()) {
        let correction = past.change.dot(&direction) / past.rho;
        direction.add(share - correction, &past.step);
    }
    direction.scale(-1.0);
    direction
}

/// How far to go: doubles the step until the slope is no longer down, then closes in on where it is flat.
fn search(objective: &impl Objective, at: &Vector, direction: &Vector) -> f64 {
    let start = objective.slope(at, direction, 0.0);
    let is_flat = |slope: f64| slope.abs() <= SLOPE * start.abs();
    let (mut low, mut low_slope) = (0.0, start);
    let (mut high, mut high_slope) = (None, 0.0);
    let mut step = 1.0;
    for _ in 0..MAX_TRIALS {
        let slope = objective.slope(at, direction, step);
        if is_flat(slope) {
            break;
        }
        if slope < 0.0 {
            (low, low_slope) = (step, slope);
        } else {
            (high, high_slope) = (Some(step), slope);
        }
        step = match high {
            None => 2.0 * step,
            Some(high) => {
                // The secant, kept off the ends so that the bracket always shrinks.
                let share = low_slope / (low_slope - high_slope);
                low + (high - low) * share.clamp(0.1, 0.9)
            }
        };
    }
    step
}
