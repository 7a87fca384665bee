//! A vector added to every row.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::{
    share::share_columns,
    tensor::{Tensor, add_slice, rows_per_task},
};

pub(super) fn forward(x: &mut [f32], bias: &Tensor) {
    let cols = bias.cols();
    x.par_chunks_mut(rows_per_task(cols) * cols).for_each(|rows| {
        for row in rows.chunks_exact_mut(cols) {
            add_slice(row, bias.values());
        }
    });
}

pub(super) fn backward(dout: ArrayView2<f32>, dbias: &mut Tensor) {
    share_columns(dbias.view_mut(), dout, |mut sums, dout| {
        for row in dout.rows() {
            let mut sum = sums.row_mut(0);
            sum += &row;
        }
    });
}
