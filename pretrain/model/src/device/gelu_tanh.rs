//! The activation of GPT-2's feed-forward block.

use std::f64::consts::FRAC_2_PI;

use candle_core::{Result, Tensor};

/// Where the gate is open or shut, so that larger numbers need not be cubed.
const FAR: f64 = 16.0;

/// The factor of `x^3` in the angle, beside that of `x`.
const CUBIC: f64 = 0.044_715;

pub(super) fn forward(x: &Tensor) -> Result<Tensor> {
    let (open, _, _) = gate(x)?;
    x * open
}

pub(super) fn backward(x: &Tensor, dout: &Tensor) -> Result<Tensor> {
    let (open, shut, slope) = gate(x)?;
    let bend = (&open * shut)? * slope;
    dout * (open + bend?)?
}

/// `g = (1 + tanh(u)) / 2`, `1 - g`, and `x * 2 du/dx`: with them `x * dg/dx` is `g (1 - g) x 2 du/dx`.
///
/// `g` is the sigmoid of `2u`, which loses nothing where `tanh` comes close to minus one or one.
fn gate(x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let x = x.clamp(-FAR, FAR)?;
    let scale = 2.0 * FRAC_2_PI.sqrt();
    let square = x.sqr()?;
    let angle = (&x * square.affine(scale * CUBIC, scale)?)?;
    let shutting = angle.neg()?.exp()?;
    let open = (&shutting + 1.0)?.recip()?;
    // As a sigmoid too: `shutting * open` is infinity times zero where the gate is shut.
    let shut = (angle.exp()? + 1.0)?.recip()?;
    let slope = (&x * square.affine(3.0 * scale * CUBIC, scale)?)?;
    Ok((open, shut, slope))
}
