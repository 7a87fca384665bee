//! One block: attention and feed-forward, each added to its input and then normed.

use super::layout::Block;
use crate::{
    config::BertConfig,
    ops::{Heads, Ops, Reach, Write},
    param::Parameters,
};

/// What the backward pass of one block needs of its forward pass.
#[derive(Debug)]
pub(super) struct Activations<T> {
    input: T,
    q: T,
    k: T,
    v: T,
    attended: T,
    log_sums: T,
    /// Input plus branch, of attention and of the feed-forward part: what the norms read.
    sums: [T; 2],
    /// The norm of the first: the input of the feed-forward part.
    normed: T,
    inner: T,
    activated: T,
}

/// Gradients of one block's activations, used again by every block.
#[derive(Debug)]
pub(super) struct Gradients<T> {
    sum: T,
    q: T,
    k: T,
    v: T,
    attended: T,
    inner: T,
    activated: T,
}

/// One block at work.
pub(super) struct Model<'a, T> {
    pub(super) config: &'a BertConfig,
    pub(super) weights: &'a Parameters<T>,
    pub(super) block: &'a Block,
    pub(super) offsets: &'a [usize],
}

impl<T> Model<'_, T> {
    /// Takes the hidden states `x` through the block.
    pub(super) fn forward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &mut T,
        kept: &mut Activations<T>,
    ) {
        let (block, eps) = (self.block, self.config.layer_norm_eps);
        ops.copy(x, &mut kept.input);
        self.affine(ops, x, block.query, &mut kept.q);
        self.affine(ops, x, block.key, &mut kept.k);
        self.affine(ops, x, block.value, &mut kept.v);
        let qkv = [&kept.q, &kept.k, &kept.v];
        let heads = self.heads();
        ops.attention(qkv, self.offsets, heads, &mut kept.attended, &mut kept.log_sums);
        let [after_attention, after_feed_forward] = &mut kept.sums;
        self.affine(ops, &kept.attended, block.output, after_attention);
        ops.add(after_attention, x);
        let norm = self.pair(block.attention_norm);
        ops.layer_norm(after_attention, norm, eps, &mut kept.normed);
        self.affine(ops, &kept.normed, block.inner, &mut kept.inner);
        ops.gelu(&kept.inner, &mut kept.activated);
        self.affine(ops, &kept.activated, block.outer, after_feed_forward);
        ops.add(after_feed_forward, &kept.normed);
        ops.layer_norm(after_feed_forward, self.pair(block.feed_forward_norm), eps, x);
    }

    /// Takes the gradient of the hidden states, `dx`, back through the block, and adds up those of its weights.
    pub(super) fn backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        dx: &mut T,
        work: &mut Gradients<T>,
        gradients: &mut Parameters<T>,
    ) {
        let block = self.block;
        let Gradients { sum, q, k, v, attended, inner, activated } = work;
        // The gradient of a sum is that of both its sides: one goes on as it is, the other through the branch.
        self.norm_backward(ops, (&kept.sums[1], dx), block.feed_forward_norm, sum, gradients);
        let outer = (&kept.activated, &*sum);
        self.affine_backward(ops, outer, block.outer, (activated, Write::Replace), gradients);
        ops.gelu_backward(&kept.inner, activated, inner);
        self.affine_backward(ops, (&kept.normed, inner), block.inner, (sum, Write::Add), gradients);
        self.norm_backward(ops, (&kept.sums[0], sum), block.attention_norm, dx, gradients);
        let output = (&kept.attended, &*dx);
        self.affine_backward(ops, output, block.output, (attended, Write::Replace), gradients);
        ops.attention_backward(
            [&kept.q, &kept.k, &kept.v],
            self.offsets,
            self.heads(),
            &kept.attended,
            &kept.log_sums,
            attended,
            [&mut *q, &mut *k, &mut *v],
        );
        for (dout, at) in [(&*q, block.query), (&*k, block.key), (&*v, block.value)] {
            let input = (&kept.input, dout);
            self.affine_backward(ops, input, at, (&mut *dx, Write::Add), gradients);
        }
    }

    /// `out = x · wᵀ + b`.
    fn affine<O: Ops<Tensor = T>>(&self, ops: &mut O, x: &T, at: [usize; 2], out: &mut T) {
        let [w, b] = self.pair(at);
        ops.linear(x, w, out);
        ops.bias(out, b);
    }

    fn affine_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        [w, b]: [usize; 2],
        dx: (&mut T, Write),
        gradients: &mut Parameters<T>,
    ) {
        ops.bias_backward(dout, gradients.value_mut(b));
        ops.linear_backward(x, self.weights.value(w), dout, dx, gradients.value_mut(w));
    }

    fn norm_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        at: [usize; 2],
        dx: &mut T,
        gradients: &mut Parameters<T>,
    ) {
        let (w, eps) = (self.weights.value(at[0]), self.config.layer_norm_eps);
        ops.layer_norm_backward(x, w, eps, dout, dx, gradients.pair_mut(at));
    }

    fn pair(&self, at: [usize; 2]) -> [&T; 2] {
        at.map(|at| self.weights.value(at))
    }

    fn heads(&self) -> Heads {
        let heads = self.config.num_attention_heads;
        Heads {
            query: heads,
            key_value: heads,
            dim: self.config.head_dim(),
            reach: Reach::Bidirectional,
        }
    }
}

impl<T> Activations<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            input: empty(),
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            log_sums: empty(),
            sums: [empty(), empty()],
            normed: empty(),
            inner: empty(),
            activated: empty(),
        }
    }
}

impl<T> Gradients<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            sum: empty(),
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            inner: empty(),
            activated: empty(),
        }
    }
}
