//! A vector added to every row.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::tensor::{Tensor, add_slice, rows_per_task};

/// Columns that one task adds up: a cache line's worth of several rows.
const TASK_COLUMNS: usize = 64;

pub(super) fn forward(x: &mut [f32], bias: &Tensor) {
    let cols = bias.cols();
    x.par_chunks_mut(rows_per_task(cols) * cols).for_each(|rows| {
        for row in rows.chunks_exact_mut(cols) {
            add_slice(row, bias.values());
        }
    });
}

/// Tasks own columns and not rows, so that each adds its rows in order.
pub(super) fn backward(dout: ArrayView2<f32>, dbias: &mut Tensor) {
    let mut dbias: ArrayViewMut2<f32> = dbias.view_mut();
    let columns: Vec<_> = dbias.axis_chunks_iter_mut(Axis(1), TASK_COLUMNS).collect();
    let douts: Vec<_> = dout.axis_chunks_iter(Axis(1), TASK_COLUMNS).collect();
    let min_tasks = rows_per_task(dout.nrows() * TASK_COLUMNS);
    columns.into_par_iter().zip(douts).with_min_len(min_tasks).for_each(|(mut sum, dout)| {
        for row in dout.rows() {
            let mut sum = sum.row_mut(0);
            sum += &row;
        }
    });
}
