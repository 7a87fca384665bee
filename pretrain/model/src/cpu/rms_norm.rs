//! Root-mean-square normalization.

use rayon::prelude::*;

use super::{
    simd::{dot, narrow, simd},
    tensor::{Tensor, add_slice, rows_per_task},
};

pub(super) fn forward(x: &Tensor, w: &Tensor, eps: f64, out: &mut Tensor) {
    out.resize(x.rows(), x.cols());
    let (len, eps) = (x.task_len(), narrow(eps));
    out.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .for_each(|(out, x)| forward_rows(x, w.values(), eps, out));
}

/// Adds to `dx` and `dw`; `partials` holds the weight's gradient of each task, which are then added in order.
pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    dout: &Tensor,
    dx: &mut Tensor,
    dw: &mut Tensor,
    partials: &mut Vec<f32>,
) {
    let (cols, len, eps) = (x.cols(), x.task_len(), narrow(eps));
    partials.clear();
    partials.resize(x.rows().div_ceil(rows_per_task(cols)) * cols, 0.0);
    dx.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .zip(dout.values().par_chunks(len))
        .zip(partials.par_chunks_mut(cols))
        .for_each(|(((dx, x), dout), dw)| backward_rows(x, w.values(), eps, dout, dx, dw));
    for partial in partials.chunks_exact(cols) {
        add_slice(dw.values_mut(), partial);
    }
}

/// `1 / sqrt(mean(x^2) + eps)`.
#[inline(always)]
fn row_scale(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt()
}

simd! {
    fn forward_rows(x: &[f32], w: &[f32], eps: f32, out: &mut [f32]) {
        for (x, out) in x.chunks_exact(w.len()).zip(out.chunks_exact_mut(w.len())) {
            let scale = row_scale(x, eps);
            for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                *out = w * (x * scale);
            }
        }
    }
}

simd! {
    /// With `s = row_scale(x)`: `dx += s * (w * dout) - x * s^3 * mean(w * dout * x)`, `dw += dout * x * s`.
    fn backward_rows(x: &[f32], w: &[f32], eps: f32, dout: &[f32], dx: &mut [f32], dw: &mut [f32]) {
        let cols = w.len();
        let rows = x.chunks_exact(cols).zip(dout.chunks_exact(cols)).zip(dx.chunks_exact_mut(cols));
        for ((x, dout), dx) in rows {
            let scale = row_scale(x, eps);
            // `dw` for this row, of which the weighted sum is also the projection on `x`.
            let mut lanes = [0.0; super::simd::LANES];
            for (at, ((x, dout), w)) in x.iter().zip(dout).zip(w).enumerate() {
                lanes[at % super::simd::LANES] += x * dout * w;
            }
            let along = super::simd::sum_lanes(lanes) * scale * scale * scale / cols as f32;
            for ((((dx, dw), x), dout), w) in dx.iter_mut().zip(dw.iter_mut()).zip(x).zip(dout).zip(w) {
                *dx += dout * w * scale - x * along;
                *dw += dout * x * scale;
            }
        }
    }
}
