//! The CPU implementation: threaded `f32` kernels on plain slices.
//!
//! Work is split by shape and never by the number of threads, every row is computed from its own inputs in a fixed
//! order, and sums over rows have a fixed shape, so results are the same bits on any number of threads. Kernels run
//! on the rayon pool of the caller; install one around a whole step, since entering a pool costs microseconds.

mod attention;
mod cross_entropy;
mod embedding;
mod gemm;
mod norm;
mod rotary;
pub(crate) mod simd;
mod swiglu;
mod tensor;

pub use tensor::Tensor;

use crate::ops::{Heads, Ops, Write};

/// Threaded `f32` kernels and the scratch memory they reuse.
#[derive(Debug, Default)]
pub struct Cpu {
    rotary: rotary::Table,
    logits: Vec<f32>,
    partials: Vec<f32>,
}

impl Cpu {
    /// Kernels without scratch memory yet; the first step takes it.
    pub fn new() -> Self {
        Self::default()
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
        tensor.values_mut().fill(0.0);
    }

    fn embedding(&mut self, ids: &[u32], table: &Tensor, out: &mut Tensor) {
        embedding::forward(ids, table, out);
    }

    fn embedding_backward(&mut self, ids: &[u32], dout: &Tensor, dtable: &mut Tensor) {
        embedding::backward(ids, dout, dtable);
    }

    fn linear(&mut self, x: &Tensor, w: &Tensor, out: &mut Tensor) {
        out.resize(x.rows(), w.rows());
        gemm::threaded(out.view_mut(), x.view(), w.view().reversed_axes(), Write::Replace);
    }

    fn linear_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        dout: &Tensor,
        (dx, write): (&mut Tensor, Write),
        dw: &mut Tensor,
    ) {
        if write == Write::Replace {
            dx.resize(x.rows(), x.cols());
        }
        gemm::threaded(dx.view_mut(), dout.view(), w.view(), write);
        gemm::threaded(dw.view_mut(), dout.view().reversed_axes(), x.view(), Write::Add);
    }

    fn rms_norm(&mut self, x: &Tensor, w: &Tensor, eps: f64, out: &mut Tensor) {
        norm::forward(x, w, eps, out);
    }

    fn rms_norm_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dout: &Tensor,
        dx: &mut Tensor,
        dw: &mut Tensor,
    ) {
        norm::backward(x, w, eps, dout, dx, dw, &mut self.partials);
    }

    fn rotary(&mut self, x: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.rotary.turn(x, offsets, dim, theta, rotary::Direction::Forward);
    }

    fn rotary_backward(&mut self, dx: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.rotary.turn(dx, offsets, dim, theta, rotary::Direction::Back);
    }

    fn attention(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        out: &mut Tensor,
        log_sums: &mut Tensor,
    ) {
        attention::forward(qkv, offsets, heads, out, log_sums);
    }

    fn attention_backward(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        out: &Tensor,
        log_sums: &Tensor,
        dout: &Tensor,
        dqkv: [&mut Tensor; 3],
    ) {
        attention::backward(qkv, offsets, heads, [out, log_sums, dout], dqkv);
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

    fn add(&mut self, x: &mut Tensor, branch: &Tensor) {
        tensor::add(x, branch);
    }

    fn copy(&mut self, x: &Tensor, out: &mut Tensor) {
        out.resize(x.rows(), x.cols());
        out.values_mut().copy_from_slice(x.values());
    }

    fn last_token(&mut self, x: &Tensor, offsets: &[usize], out: &mut Tensor) {
        embedding::last_token(x, offsets, out);
    }

    fn last_token_backward(&mut self, dout: &Tensor, offsets: &[usize], dx: &mut Tensor) {
        embedding::last_token_backward(dout, offsets, dx);
    }

    fn cross_entropy(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
    ) {
        cross_entropy::forward(x, w, targets, nats, &mut self.logits);
    }

    fn cross_entropy_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
        dx: &mut Tensor,
        dw: &mut Tensor,
    ) {
        cross_entropy::backward(x, w, targets, nats, [dx, dw], &mut self.logits);
    }
}
