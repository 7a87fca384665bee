//! The activation of BERT's feed-forward block, with constants as exact as `f32` holds them, which those of candle's own
//! backward pass are not.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use candle_core::{Result, Tensor};

pub(super) fn forward(x: &Tensor) -> Result<Tensor> {
    x * normal_cdf(x)?
}

pub(super) fn backward(x: &Tensor, dout: &Tensor) -> Result<Tensor> {
    dout * (normal_cdf(x)? + (x * normal_density(x)?)?)?
}

/// `Φ(x)`.
fn normal_cdf(x: &Tensor) -> Result<Tensor> {
    (x * FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)
}

/// `φ(x)`.
fn normal_density(x: &Tensor) -> Result<Tensor> {
    (x.sqr()? * -0.5)?.exp()? / TAU.sqrt()
}
