//! Products with weights, and sums over rows.

use candle_core::{DType, Result, Tensor};

use super::{cols, rows};
use crate::ops::Linear;

/// `x · wᵀ + b`, added to what `out` is.
pub(super) fn forward(
    x: &Tensor,
    Linear { weight, bias }: Linear<&Tensor>,
    out: Option<&Tensor>,
) -> Result<Tensor> {
    let product = added(x.matmul(&weight.t()?)?, out)?;
    match bias {
        Some(bias) => {
            assert_eq!(cols(&product), cols(bias), "a bias has a number for each channel");
            product.broadcast_add(bias)
        }
        None => Ok(product),
    }
}

/// `dout · w`, added to what `dx` is.
pub(super) fn input_gradient(w: &Tensor, dout: &Tensor, dx: Option<&Tensor>) -> Result<Tensor> {
    added(dout.matmul(w)?, dx)
}

/// Adds to the gradients of weight and bias.
pub(super) fn backward(
    x: &Tensor,
    dout: &Tensor,
    [dw, db]: [Option<&mut Tensor>; 2],
) -> Result<()> {
    if let Some(dw) = dw {
        *dw = (&*dw + dout.t()?.matmul(x)?)?;
    }
    if let Some(db) = db {
        *db = (&*db + column_sums(dout)?)?;
    }
    Ok(())
}

/// `Σ x[t]`, as a product with ones: where the dimension summed over is not the last, candle's sums on a CPU work out the
/// place of every number, and on a device read memory across its grain.
pub(super) fn column_sums(x: &Tensor) -> Result<Tensor> {
    Tensor::ones((1, rows(x)), DType::F32, x.device())?.matmul(x)
}

fn added(result: Tensor, onto: Option<&Tensor>) -> Result<Tensor> {
    match onto {
        Some(there) => there + result,
        None => Ok(result),
    }
}
