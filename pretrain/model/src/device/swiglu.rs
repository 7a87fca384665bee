//! The gated activation of Llama's feed-forward block.

use candle_core::{Result, Tensor};

pub(super) fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

pub(super) fn gate_gradient(gate: &Tensor, up: &Tensor, dout: &Tensor) -> Result<Tensor> {
    let open = sigmoid(gate)?;
    let slope = (&open * ((gate * (1.0 - &open)?)? + 1.0)?)?;
    (dout * up)? * slope
}

pub(super) fn up_gradient(gate: &Tensor, dout: &Tensor) -> Result<Tensor> {
    dout * gate.silu()?
}

/// `1 / (1 + e^-x)`. Where `e^-x` is infinite, it is zero.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}
