//! The activation of BERT's feed-forward block.

use rayon::prelude::*;

use super::{
    simd::{erf, exp, simd},
    tensor::Tensor,
};

pub(super) fn forward(x: &Tensor, out: &mut Tensor) {
    out.resize(x.rows(), x.cols());
    let len = x.task_len();
    out.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .for_each(|(out, x)| forward_slice(x, out));
}

pub(super) fn backward(x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
    dx.resize(x.rows(), x.cols());
    let len = x.task_len();
    dx.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .zip(dout.values().par_chunks(len))
        .for_each(|((dx, x), dout)| backward_slice(x, dout, dx));
}

/// `Φ(x)`.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `φ(x)`.
#[inline(always)]
fn normal_density(x: f32) -> f32 {
    /// `1 / √(2π)`.
    const PEAK: f32 = 0.398_942_3;
    PEAK * exp(-0.5 * x * x)
}

simd! {
    fn forward_slice(x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x * normal_cdf(*x);
        }
    }
}

simd! {
    fn backward_slice(x: &[f32], dout: &[f32], dx: &mut [f32]) {
        for ((dx, x), dout) in dx.iter_mut().zip(x).zip(dout) {
            *dx = dout * (normal_cdf(*x) + x * normal_density(*x));
        }
    }
}
