//! Cross-entropy fused with the output projection, a block of tokens at a time.

use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

use super::{
    bias,
    gemm::Kernels,
    simd::{exp_sum, row_max, scale},
    tensor::{Tensor, rows_per_task},
};
use crate::ops::{Linear, Write};

/// Tokens whose logits exist at once. The weight's gradient is summed block by block, so this is part of the
/// arithmetic.
const BLOCK: usize = 512;

/// What becomes of a row of logits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Loss,
    LossAndGradient,
}

pub(super) fn forward(
    kernels: Kernels,
    x: &Tensor,
    projection: Linear<&Tensor>,
    targets: &[Option<u32>],
    nats: &mut Vec<f64>,
    logits: &mut Vec<f32>,
) {
    nats.clear();
    nats.resize(x.rows(), 0.0);
    for start in (0..x.rows()).step_by(BLOCK) {
        let rows = start..(start + BLOCK).min(x.rows());
        let logits = project(kernels, x.view().slice(s![rows.clone(), ..]), projection, logits);
        judge(
            logits,
            projection.weight.rows(),
            &targets[rows.clone()],
            &mut nats[rows],
            Keep::Loss,
        );
    }
}

/// What a backward pass fills: the losses, the gradient of `x`, and those of the projection's weight and bias.
type Results<'a> = (&'a mut Vec<f64>, Option<&'a mut Tensor>, [Option<&'a mut Tensor>; 2]);

pub(super) fn backward(
    kernels: Kernels,
    x: &Tensor,
    projection: Linear<&Tensor>,
    targets: &[Option<u32>],
    (nats, mut dx, [mut dw, mut dbias]): Results,
    logits: &mut Vec<f32>,
) {
    nats.clear();
    nats.resize(x.rows(), 0.0);
    if let Some(dx) = &mut dx {
        dx.resize(x.rows(), x.cols());
    }
    let w = projection.weight;
    for start in (0..x.rows()).step_by(BLOCK) {
        let rows = start..(start + BLOCK).min(x.rows());
        let x = x.view();
        let x = x.slice(s![rows.clone(), ..]);
        let logits = project(kernels, x, projection, logits);
        judge(
            logits,
            w.rows(),
            &targets[rows.clone()],
            &mut nats[rows.clone()],
            Keep::LossAndGradient,
        );
        let dlogits = ArrayView2::from_shape((rows.len(), w.rows()), &*logits)
            .expect("one row of logits for each token");
        if let Some(dx) = &mut dx {
            let dx = dx.view_mut();
            kernels.threaded(dx.slice_move(s![rows, ..]), dlogits, w.view(), Write::Replace);
        }
        if let Some(dw) = &mut dw {
            kernels.threaded(dw.view_mut(), dlogits.reversed_axes(), x, Write::Add);
        }
        if let Some(dbias) = &mut dbias {
            bias::backward(dlogits, dbias);
        }
    }
}

/// The logits of a block of tokens, row by row, in the memory of `logits`.
fn project<'a>(
    kernels: Kernels,
    x: ArrayView2<f32>,
    Linear { weight: w, bias }: Linear<&Tensor>,
    logits: &'a mut Vec<f32>,
) -> &'a mut [f32] {
    logits.resize(x.nrows() * w.rows(), 0.0);
    let out = ArrayViewMut2::from_shape((x.nrows(), w.rows()), &mut *logits)
        .expect("one row of logits for each token");
    kernels.threaded(out, x, w.view().reversed_axes(), Write::Replace);
    if let Some(bias) = bias {
        bias::forward(logits, bias);
    }
    logits
}

fn judge(logits: &mut [f32], vocab: usize, targets: &[Option<u32>], nats: &mut [f64], keep: Keep) {
    let rows = rows_per_task(vocab);
    logits
        .par_chunks_mut(rows * vocab)
        .zip(targets.par_chunks(rows))
        .zip(nats.par_chunks_mut(rows))
        .for_each(|((logits, targets), nats)| {
            let rows = logits.chunks_exact_mut(vocab).zip(targets).zip(nats);
            for ((row, target), nats) in rows {
                *nats = judge_row(row, *target, keep);
            }
        });
}

/// Negative log-likelihood of `target`; the row is used up, or becomes its gradient.
fn judge_row(row: &mut [f32], target: Option<u32>, keep: Keep) -> f64 {
    let Some(target) = target.map(|id| id as usize) else {
        row.fill(0.0);
        return 0.0;
    };
    let (max, logit) = (row_max(row), row[target]);
    let sum = exp_sum(row, max, 1.0);
    if keep == Keep::LossAndGradient {
        scale(row, 1.0 / sum);
        row[target] -= 1.0;
    }
    libm::log(f64::from(sum)) + (f64::from(max) - f64::from(logit))
}
