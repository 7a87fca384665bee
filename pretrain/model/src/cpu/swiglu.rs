//! The gated activation of Llama's feed-forward block.

use rayon::prelude::*;

use super::{
    simd::{sigmoid, simd},
    tensor::Tensor,
};

pub(super) fn forward(gate: &Tensor, up: &Tensor, out: &mut Tensor) {
    out.resize(gate.rows(), gate.cols());
    let len = gate.task_len();
    out.values_mut()
        .par_chunks_mut(len)
        .zip(gate.values().par_chunks(len))
        .zip(up.values().par_chunks(len))
        .for_each(|((out, gate), up)| forward_slice(gate, up, out));
}

pub(super) fn backward(
    gate: &Tensor,
    up: &Tensor,
    dout: &Tensor,
    dgate: &mut Tensor,
    dup: &mut Tensor,
) {
    dgate.resize(gate.rows(), gate.cols());
    dup.resize(gate.rows(), gate.cols());
    let len = gate.task_len();
    dgate
        .values_mut()
        .par_chunks_mut(len)
        .zip(dup.values_mut().par_chunks_mut(len))
        .zip(gate.values().par_chunks(len))
        .zip(up.values().par_chunks(len))
        .zip(dout.values().par_chunks(len))
        .for_each(|((((dgate, dup), gate), up), dout)| backward_slice(gate, up, dout, dgate, dup));
}

simd! {
    fn forward_slice(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate * sigmoid(*gate) * up;
        }
    }
}

simd! {
    fn backward_slice(gate: &[f32], up: &[f32], dout: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
        let gradients = dgate.iter_mut().zip(dup);
        for ((((dgate, dup), gate), up), dout) in gradients.zip(gate).zip(up).zip(dout) {
            let open = sigmoid(*gate);
            *dgate = dout * up * open * (1.0 + gate * (1.0 - open));
            *dup = dout * gate * open;
        }
    }
}
