//! Linear layers: all products of a pass at once, see [`Kernels::sums`].

use std::array::from_fn;

use super::{
    bias,
    gemm::{Kernels, Sum},
    tensor::Tensor,
};
use crate::ops::{Linear, Write};

/// Layers that read the same input.
pub(super) fn forward<const N: usize>(
    kernels: Kernels,
    x: &Tensor,
    layers: [Linear<&Tensor>; N],
    mut outs: [&mut Tensor; N],
    write: Write,
) {
    if write == Write::Replace {
        for (out, layer) in outs.iter_mut().zip(&layers) {
            out.resize(x.rows(), layer.weight.rows());
        }
    }
    let terms = layers.map(|layer| [[x.view(), layer.weight.view().reversed_axes()]]);
    kernels.sums(outs.into_iter().zip(&layers).zip(&terms).map(|((out, layer), terms)| Sum {
        out: out.view_mut(),
        terms,
        bias: layer.bias.map(Tensor::values),
        write,
    }));
}

/// Their gradients, of pairs of `w` and `dout`.
pub(super) fn backward<const N: usize>(
    kernels: Kernels,
    x: &Tensor,
    layers: [[&Tensor; 2]; N],
    dx: Option<(&mut Tensor, Write)>,
    mut dlayers: [[Option<&mut Tensor>; 2]; N],
) {
    let to_x = layers.map(|[w, dout]| [dout.view(), w.view()]);
    let to_w = layers.map(|[_, dout]| [[dout.view().reversed_axes(), x.view()]]);
    let dws: [_; N] = from_fn(|at| dlayers[at][0].take());
    let dx = dx.map(|(dx, write)| {
        if write == Write::Replace {
            dx.resize(x.rows(), x.cols());
        }
        Sum { out: dx.view_mut(), terms: &to_x[..], bias: None, write }
    });
    let dws = dws.into_iter().zip(&to_w).filter_map(|(dw, terms)| {
        Some(Sum { out: dw?.view_mut(), terms, bias: None, write: Write::Add })
    });
    kernels.sums(dx.into_iter().chain(dws));
    for ([_, dout], [_, db]) in layers.into_iter().zip(dlayers) {
        if let Some(db) = db {
            bias::backward(dout.view(), db);
        }
    }
}
