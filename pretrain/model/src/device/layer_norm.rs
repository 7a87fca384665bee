//! Layer normalization.

use candle_core::{Result, Tensor};

use super::{cols, linear::column_sums};

pub(super) fn forward(x: &Tensor, [w, b]: [&Tensor; 2], eps: f64) -> Result<Tensor> {
    let widths = [w, b].map(cols);
    assert_eq!(widths, [cols(x); 2], "a norm has a weight and a bias for each channel");
    let (normed, _) = normalized(x, eps)?;
    normed.broadcast_mul(w)?.broadcast_add(b)
}

pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    dout: &Tensor,
    dx: Option<&mut Tensor>,
    [dw, db]: [Option<&mut Tensor>; 2],
) -> Result<()> {
    let (normed, scale) = normalized(x, eps)?;
    if let Some(dx) = dx {
        let weighted = dout.broadcast_mul(w)?;
        let (mean, along) = (row_means(&weighted)?, row_means(&(&weighted * &normed)?)?);
        let across = weighted.broadcast_sub(&mean)?.sub(&normed.broadcast_mul(&along)?)?;
        *dx = across.broadcast_mul(&scale)?;
    }
    if let Some(dw) = dw {
        *dw = (&*dw + column_sums(&(dout * normed)?)?)?;
    }
    if let Some(db) = db {
        *db = (&*db + column_sums(dout)?)?;
    }
    Ok(())
}

/// Rows with mean zero and variance one, but for `eps`, and what each was multiplied with.
fn normalized(x: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let centered = x.broadcast_sub(&row_means(x)?)?;
    let scale = row_means(&centered.sqr()?)?.affine(1.0, eps)?.sqrt()?.recip()?;
    Ok((centered.broadcast_mul(&scale)?, scale))
}

fn row_means(x: &Tensor) -> Result<Tensor> {
    x.sum_keepdim(1)? / cols(x) as f64
}
