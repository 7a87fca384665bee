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
    dx: Option<&mut Tensor>,
    dw: Option<&mut Tensor>,
    partials: &mut Vec<f32>,
) {
    let (cols, len, eps) = (x.cols(), x.task_len(), narrow(eps));
    partials.clear();
    partials.resize(x.rows().div_ceil(rows_per_task(cols)) * cols, 0.0);
    let is_wanted = dw.is_some();
    let tasks = x.values().par_chunks(len).zip(dout.values().par_chunks(len));
    let tasks = tasks.zip(partials.par_chunks_mut(cols));
    let run = |x: &[f32], dout: &[f32], dx: &mut [f32], partial: &mut [f32]| {
        let dw = if is_wanted { partial } else { &mut [] };
        backward_rows(x, w.values(), eps, dout, dx, dw);
    };
    match dx {
        Some(dx) => tasks
            .zip(dx.values_mut().par_chunks_mut(len))
            .for_each(|(((x, dout), partial), dx)| run(x, dout, dx, partial)),
        None => tasks.for_each(|((x, dout), partial)| run(x, dout, &mut [], partial)),
    }
    if let Some(dw) = dw {
        for partial in partials.chunks_exact(cols) {
            add_slice(dw.values_mut(), partial);
        }
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
    /// With `s = row_scale(x)`: `dx += s * (w * dout) - x * s^3 * mean(w * dout * x)`, `dw += dout * x * s`. One that is empty
    /// is passed over.
    fn backward_rows(x: &[f32], w: &[f32], eps: f32, dout: &[f32], dx: &mut [f32], dw: &mut [f32]) {
        let cols = w.len();
        for (at, (x, dout)) in x.chunks_exact(cols).zip(dout.chunks_exact(cols)).enumerate() {
            let scale = row_scale(x, eps);
            if !dx.is_empty() {
                let mut lanes = [0.0; super::simd::LANES];
                for (at, ((x, dout), w)) in x.iter().zip(dout).zip(w).enumerate() {
                    lanes[at % super::simd::LANES] += x * dout * w;
                }
                let along = super::simd::sum_lanes(lanes) * scale * scale * scale / cols as f32;
                for (((dx, x), dout), w) in dx[at * cols..][..cols].iter_mut().zip(x).zip(dout).zip(w) {
                    *dx += dout * w * scale - x * along;
                }
            }
            for ((dw, x), dout) in dw.iter_mut().zip(x).zip(dout) {
                *dw += dout * x * scale;
            }
        }
    }
}
