//! Root-mean-square normalization.

use candle_core::{Result, Tensor};

use super::{cols, linear::column_sums};

pub(super) fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    assert_eq!(cols(w), cols(x), "a norm has a weight for each channel");
    x.broadcast_mul(&scale(x, eps)?)?.broadcast_mul(w)
}

pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    dout: &Tensor,
    dx: Option<&mut Tensor>,
    dw: Option<&mut Tensor>,
) -> Result<()> {
    let scale = scale(x, eps)?;
    let normed = x.broadcast_mul(&scale)?;
    if let Some(dx) = dx {
        let weighted = dout.broadcast_mul(w)?;
        let along = ((&weighted * &normed)?.sum_keepdim(1)? / cols(x) as f64)?;
        let across = (weighted - normed.broadcast_mul(&along)?)?;
        *dx = (&*dx + across.broadcast_mul(&scale)?)?;
    }
    if let Some(dw) = dw {
        *dw = (&*dw + column_sums(&(dout * normed)?)?)?;
    }
    Ok(())
}

/// `1 / sqrt(mean(x[t, ..]^2) + eps)` of each row.
fn scale(x: &Tensor, eps: f64) -> Result<Tensor> {
    x.sqr()?.sum_keepdim(1)?.affine(1.0 / cols(x) as f64, eps)?.sqrt()?.recip()
}
