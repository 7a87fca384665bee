//! Layer normalization.

use rayon::prelude::*;

use super::{
    simd::{narrow, simd, sum_of},
    tensor::{Tensor, add_slice, rows_per_task},
};

pub(super) fn forward(x: &Tensor, [w, b]: [&Tensor; 2], eps: f64, out: &mut Tensor) {
    out.resize(x.rows(), x.cols());
    let (len, eps) = (x.task_len(), narrow(eps));
    out.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .for_each(|(out, x)| forward_rows(x, w.values(), b.values(), eps, out));
}

/// Overwrites `dx` and adds to `dw` and `db`; `partials` holds both gradients of each task, which are then added in order.
pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    dout: &Tensor,
    dx: Option<&mut Tensor>,
    dparameters: [Option<&mut Tensor>; 2],
    partials: &mut Vec<f32>,
) {
    let (cols, len, eps) = (x.cols(), x.task_len(), narrow(eps));
    partials.clear();
    partials.resize(x.rows().div_ceil(rows_per_task(cols)) * 2 * cols, 0.0);
    let are_wanted = dparameters.each_ref().map(Option::is_some);
    let tasks = x.values().par_chunks(len).zip(dout.values().par_chunks(len));
    let tasks = tasks.zip(partials.par_chunks_mut(2 * cols));
    let run = |x: &[f32], dout: &[f32], dx: &mut [f32], partial: &mut [f32]| {
        let (dw, db) = partial.split_at_mut(cols);
        let dw = if are_wanted[0] { dw } else { &mut [] };
        let db = if are_wanted[1] { db } else { &mut [] };
        backward_rows(x, w.values(), eps, dout, dx, dw, db);
    };
    match dx {
        Some(dx) => {
            dx.resize(x.rows(), cols);
            let dx = dx.values_mut().par_chunks_mut(len);
            tasks.zip(dx).for_each(|(((x, dout), partial), dx)| run(x, dout, dx, partial));
        }
        None => tasks.for_each(|((x, dout), partial)| run(x, dout, &mut [], partial)),
    }
    for (at, sum) in dparameters.into_iter().enumerate().filter_map(|(at, sum)| Some((at, sum?))) {
        for partial in partials.chunks_exact(2 * cols) {
            add_slice(sum.values_mut(), &partial[at * cols..][..cols]);
        }
    }
}

/// The mean of a row, and `1 / sqrt(variance + eps)`.
#[inline(always)]
fn statistics(x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum_of(x, x, |x, _| x) / n;
    let variance = sum_of(x, x, |x, _| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

simd! {
    fn forward_rows(x: &[f32], w: &[f32], b: &[f32], eps: f32, out: &mut [f32]) {
        for (x, out) in x.chunks_exact(w.len()).zip(out.chunks_exact_mut(w.len())) {
            let (mean, scale) = statistics(x, eps);
            for (((out, x), w), b) in out.iter_mut().zip(x).zip(w).zip(b) {
                *out = w * ((x - mean) * scale) + b;
            }
        }
    }
}

simd! {
    /// With `n = (x - mean) * scale` and `g = w * dout`: `dx = scale * (g - mean(g) - n * mean(g * n))`,
    /// `dw += dout * n`, `db += dout`. One that is empty is passed over.
    fn backward_rows(
        x: &[f32],
        w: &[f32],
        eps: f32,
        dout: &[f32],
        dx: &mut [f32],
        dw: &mut [f32],
        db: &mut [f32],
    ) {
        let cols = w.len();
        for (at, (x, dout)) in x.chunks_exact(cols).zip(dout.chunks_exact(cols)).enumerate() {
            let (mean, scale) = statistics(x, eps);
            for ((dw, x), dout) in dw.iter_mut().zip(x).zip(dout) {
                *dw += dout * ((x - mean) * scale);
            }
            for (db, dout) in db.iter_mut().zip(dout) {
                *db += dout;
            }
            if dx.is_empty() {
                continue;
            }
            let dx = &mut dx[at * cols..][..cols];
            for ((dx, dout), w) in dx.iter_mut().zip(dout).zip(w) {
                *dx = dout * w;
            }
            let level = sum_of(dx, dx, |g, _| g) / cols as f32;
            // Of `g * n`, that is, and not of `g * x`, which would cancel.
            let along = sum_of(dx, x, |g, x| g * (x - mean)) * scale / cols as f32;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = scale * (*dx - level - (x - mean) * scale * along);
            }
        }
    }
}
