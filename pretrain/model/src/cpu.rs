//! The CPU implementation: threaded `f32` kernels on plain slices.
//!
//! Work is split by shape and never by the number of threads, every row is computed from its own inputs in a fixed
//! order, and sums over rows have a fixed shape, so results are the same bits on any number of threads. Kernels run
//! on the rayon pool of the caller; install one around a whole step, since entering a pool costs microseconds.

mod attention;
mod bias;
mod columns;
mod cross_entropy;
mod dropout;
mod embedding;
mod gelu;
mod gelu_tanh;
mod gemm;
mod layer_norm;
mod linear;
mod rms_norm;
pub(crate) mod rotary;
mod share;
pub(crate) mod simd;
mod swiglu;
mod tensor;

pub(crate) use gemm::Kernels;
pub use tensor::Tensor;
pub(crate) use tensor::add;

use rayon::prelude::*;

use crate::{
    dropout::Mask,
    error::Result,
    ops::{Heads, Linear, Ops, Write},
    profile::NumericProfile,
};

/// Threaded `f32` kernels and the scratch memory they reuse.
#[derive(Debug)]
pub struct Cpu {
    kernels: Kernels,
    rotary: rotary::Table,
    logits: Vec<f32>,
    partials: Vec<f32>,
    blocks: Vec<attention::Block>,
}

impl Cpu {
    /// The kernels of a profile, without scratch memory yet; the first step takes it.
    ///
    /// # Errors
    /// When this processor does not have the profile.
    pub fn new(profile: NumericProfile) -> Result<Self> {
        profile.require_of_processor()?;
        let kernels = Kernels::of(profile);
        Ok(Self {
            kernels,
            rotary: rotary::Table::default(),
            logits: Vec::new(),
            partials: Vec::new(),
            blocks: Vec::new(),
        })
    }
}

impl Ops for Cpu {
    type Tensor = Tensor;

    fn zeros(&self, rows: usize, cols: usize) -> Tensor {
        Tensor::zeros(rows, cols)
    }

    fn tensor(&self, rows: usize, cols: usize, values: &[f32]) -> Tensor {
        Tensor::new(rows, cols, values.to_vec())
    }

    fn values(&self, tensor: &Tensor) -> Vec<f64> {
        tensor.values().iter().copied().map(f64::from).collect()
    }

    fn clear(&self, tensor: &mut Tensor) {
        tensor.clear();
    }

    fn embedding(&mut self, ids: &[u32], table: &Tensor, out: &mut Tensor) {
        embedding::forward(ids, table, out);
    }

    fn embedding_backward(&mut self, ids: &[u32], dout: &Tensor, dtable: &mut Tensor) {
        embedding::backward(ids, dout, dtable);
    }

    fn linear(&mut self, x: &Tensor, layer: Linear<&Tensor>, out: &mut Tensor, write: Write) {
        linear::forward(self.kernels, x, [layer], [out], write);
    }

    fn linears<const N: usize>(
        &mut self,
        x: &Tensor,
        layers: [Linear<&Tensor>; N],
        outs: [&mut Tensor; N],
    ) {
        linear::forward(self.kernels, x, layers, outs, Write::Replace);
    }

    fn linear_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        dout: &Tensor,
        dx: Option<(&mut Tensor, Write)>,
        dlayer: [Option<&mut Tensor>; 2],
    ) {
        linear::backward(self.kernels, x, [[w, dout]], dx, [dlayer]);
    }

    fn linears_backward<const N: usize>(
        &mut self,
        x: &Tensor,
        layers: [[&Tensor; 2]; N],
        dx: Option<(&mut Tensor, Write)>,
        dlayers: [[Option<&mut Tensor>; 2]; N],
    ) {
        linear::backward(self.kernels, x, layers, dx, dlayers);
    }

    fn rms_norm(&mut self, x: &Tensor, w: &Tensor, eps: f64, out: &mut Tensor) {
        rms_norm::forward(x, w, eps, out);
    }

    fn rms_norm_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dout: &Tensor,
        dx: Option<&mut Tensor>,
        dw: Option<&mut Tensor>,
    ) {
        rms_norm::backward(x, w, eps, dout, dx, dw, &mut self.partials);
    }

    fn layer_norm(&mut self, x: &Tensor, parameters: [&Tensor; 2], eps: f64, out: &mut Tensor) {
        layer_norm::forward(x, parameters, eps, out);
    }

    fn layer_norm_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dout: &Tensor,
        dx: Option<&mut Tensor>,
        dparameters: [Option<&mut Tensor>; 2],
    ) {
        layer_norm::backward(x, w, eps, dout, dx, dparameters, &mut self.partials);
    }

    fn rotary(&mut self, x: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.rotary.turn(x, rotary::positions(offsets), dim, theta, rotary::Direction::Forward);
    }

    fn rotary_from(&mut self, x: &mut Tensor, first: usize, dim: usize, theta: f64) {
        let positions = first..first + x.rows();
        self.rotary.turn(x, positions, dim, theta, rotary::Direction::Forward);
    }

    fn rotary_backward(&mut self, dx: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.rotary.turn(dx, rotary::positions(offsets), dim, theta, rotary::Direction::Back);
    }

    fn attention(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &mut Tensor,
        log_sums: &mut Tensor,
    ) {
        let sequences = (offsets, &mut self.blocks);
        attention::forward(self.kernels, qkv, sequences, heads, mask, [out, log_sums]);
    }

    fn attention_of_last(
        &mut self,
        qkv: [&Tensor; 3],
        heads: Heads,
        out: &mut Tensor,
        log_sums: &mut Tensor,
    ) {
        let blocks = &mut self.blocks;
        attention::forward_of_last(self.kernels, qkv, blocks, heads, [out, log_sums]);
    }

    fn attention_backward(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &Tensor,
        log_sums: &Tensor,
        dout: &Tensor,
        dqkv: [&mut Tensor; 3],
    ) {
        let (sequences, of_out) = ((offsets, &mut self.blocks), [out, log_sums, dout]);
        attention::backward(self.kernels, qkv, sequences, heads, mask, of_out, dqkv);
    }

    fn swiglu(&mut self, gate: &Tensor, up: &Tensor, out: &mut Tensor) {
        swiglu::forward(gate, up, out);
    }

    fn swiglu_backward(
        &mut self,
        gate: &Tensor,
        up: &Tensor,
        dout: &Tensor,
        dgate: &mut Tensor,
        dup: &mut Tensor,
    ) {
        swiglu::backward(gate, up, dout, dgate, dup);
    }

    fn gelu(&mut self, x: &Tensor, out: &mut Tensor) {
        gelu::forward(x, out);
    }

    fn gelu_backward(&mut self, x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
        gelu::backward(x, dout, dx);
    }

    fn gelu_tanh(&mut self, x: &Tensor, out: &mut Tensor) {
        gelu_tanh::forward(x, out);
    }

    fn gelu_tanh_backward(&mut self, x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
        gelu_tanh::backward(x, dout, dx);
    }

    fn tanh(&mut self, x: &mut Tensor) {
        // One token a sequence comes here, so `libm`, the same on every machine, is fast enough.
        x.values_mut().par_iter_mut().with_min_len(1024).for_each(|x| *x = libm::tanhf(*x));
    }

    fn tanh_backward(&mut self, out: &Tensor, dx: &mut Tensor) {
        for (dx, out) in dx.values_mut().iter_mut().zip(out.values()) {
            *dx *= 1.0 - out * out;
        }
    }

    fn dropout(&mut self, x: &mut Tensor, mask: Mask) {
        dropout::apply(x, &mask);
    }

    fn add(&mut self, x: &mut Tensor, branch: &Tensor) {
        tensor::add(x, branch);
    }

    fn copy(&mut self, x: &Tensor, out: &mut Tensor) {
        out.copy(x);
    }

    fn append(&mut self, x: &Tensor, out: &mut Tensor) {
        out.append(x);
    }

    fn split(&mut self, x: &Tensor, parts: [&mut Tensor; 3]) {
        columns::split(x, parts);
    }

    fn join(&mut self, parts: [&Tensor; 3], out: &mut Tensor) {
        columns::join(parts, out);
    }

    fn pick(&mut self, x: &Tensor, rows: &[usize], out: &mut Tensor) {
        embedding::pick(x, rows, out);
    }

    fn pick_backward(&mut self, dout: &Tensor, rows: &[usize], tokens: usize, dx: &mut Tensor) {
        embedding::pick_backward(dout, rows, tokens, dx);
    }

    fn cross_entropy(
        &mut self,
        x: &Tensor,
        projection: Linear<&Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
    ) {
        cross_entropy::forward(self.kernels, x, projection, targets, nats, &mut self.logits);
    }

    fn cross_entropy_backward(
        &mut self,
        x: &Tensor,
        projection: Linear<&Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
        dx: Option<&mut Tensor>,
        dprojection: [Option<&mut Tensor>; 2],
    ) {
        let logits = &mut self.logits;
        let into = (nats, dx, dprojection);
        cross_entropy::backward(self.kernels, x, projection, targets, into, logits);
    }
}
