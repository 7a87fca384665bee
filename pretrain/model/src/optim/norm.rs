//! Sums of squares, in a shape that depends on the size of a tensor only.

use rayon::prelude::*;

use super::TASK_VALUES;
use crate::cpu::{Tensor, simd::simd};

/// The sum of all squares of a tensor in `f64`; `partials` holds that of each task, which are then added in order.
pub(super) fn sum_of_squares(tensor: &Tensor, partials: &mut Vec<f64>) -> f64 {
    let values = tensor.values();
    partials.clear();
    partials.resize(values.len().div_ceil(TASK_VALUES), 0.0);
    values
        .par_chunks(TASK_VALUES)
        .zip(partials.par_iter_mut())
        .for_each(|(values, sum)| *sum = squares(values));
    partials.iter().sum()
}

simd! {
    fn squares(values: &[f32]) -> f64 {
        let mut lanes = [0.0f64; 8];
        let mut whole = values.chunks_exact(8);
        for chunk in whole.by_ref() {
            for lane in 0..8 {
                lanes[lane] += f64::from(chunk[lane]) * f64::from(chunk[lane]);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(whole.remainder()) {
            *lane += f64::from(value) * f64::from(value);
        }
        lanes.iter().sum()
    }
}
