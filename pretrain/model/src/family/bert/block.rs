//! One block: attention and feed-forward, each added to its input and then normed.

use super::layout::{Block, Norm};
use crate::{
    config::BertConfig,
    dropout::{Mask, Masks, Site},
    family::dropped,
    ops::{Heads, Linear, Ops, Reach, Write},
    param::{Gradients, Parameters},
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
pub(super) struct Work<T> {
    sum: T,
    /// What goes of a sum into its branch, where numbers of that are dropped.
    branch: T,
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
    pub(super) layer: usize,
    pub(super) offsets: &'a [usize],
    pub(super) masks: Masks<'a>,
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
        let qkv = [block.query, block.key, block.value].map(|layer| self.weights.linear(layer));
        ops.linears(x, qkv, [&mut kept.q, &mut kept.k, &mut kept.v]);
        let qkv = [&kept.q, &kept.k, &kept.v];
        let (heads, mask) = (self.heads(), self.attention_mask());
        ops.attention(qkv, self.offsets, heads, mask, &mut kept.attended, &mut kept.log_sums);
        let [after_attention, after_feed_forward] = &mut kept.sums;
        self.branch(ops, &kept.attended, block.output, self.output_mask(), after_attention);
        ops.add(after_attention, x);
        let norm = self.norm(block.attention_norm);
        ops.layer_norm(after_attention, norm, eps, &mut kept.normed);
        self.linear(ops, &kept.normed, block.inner, &mut kept.inner);
        ops.gelu(&kept.inner, &mut kept.activated);
        let mask = self.feed_forward_mask();
        self.branch(ops, &kept.activated, block.outer, mask, after_feed_forward);
        ops.add(after_feed_forward, &kept.normed);
        ops.layer_norm(after_feed_forward, self.norm(block.feed_forward_norm), eps, x);
    }

    /// Takes the gradient of the hidden states, `dx`, back through the block, and adds up those of its weights that are wanted.
    /// Where no gradient below the block is, `dx` is used up.
    pub(super) fn backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        (dx, below): (&mut T, bool),
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        let block = self.block;
        let Work { sum, branch, q, k, v, attended, inner, activated } = work;
        // The gradient of a sum is that of both its sides: one goes on as it is, the other through the branch.
        self.norm_backward(ops, (&kept.sums[1], dx), block.feed_forward_norm, sum, gradients);
        let dout = dropped(ops, sum, self.feed_forward_mask(), branch);
        let (outer, out) = ((&kept.activated, dout), (&mut *activated, Write::Replace));
        self.linear_backward(ops, outer, block.outer, Some(out), gradients);
        ops.gelu_backward(&kept.inner, activated, inner);
        let (input, out) = ((&kept.normed, &*inner), (&mut *sum, Write::Add));
        self.linear_backward(ops, input, block.inner, Some(out), gradients);
        self.norm_backward(ops, (&kept.sums[0], sum), block.attention_norm, dx, gradients);
        let dout = dropped(ops, dx, self.output_mask(), branch);
        let (output, out) = ((&kept.attended, dout), (&mut *attended, Write::Replace));
        self.linear_backward(ops, output, block.output, Some(out), gradients);
        ops.attention_backward(
            [&kept.q, &kept.k, &kept.v],
            self.offsets,
            self.heads(),
            self.attention_mask(),
            &kept.attended,
            &kept.log_sums,
            attended,
            [&mut *q, &mut *k, &mut *v],
        );
        let qkv = [block.query, block.key, block.value];
        let dlayers = gradients.wanted_linears(qkv);
        let [dq, dk, dv] = [&*q, &*k, &*v];
        let [q, k, v] = qkv.map(|layer| self.weights.value(layer.weight));
        let dx = below.then_some((dx, Write::Add));
        ops.linears_backward(&kept.input, [[q, dq], [k, dk], [v, dv]], dx, dlayers);
    }

    /// A linear layer at the end of a branch, of which numbers are dropped before the sum.
    fn branch<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &T,
        layer: Linear<usize>,
        mask: Option<Mask>,
        out: &mut T,
    ) {
        self.linear(ops, x, layer, out);
        if let Some(mask) = mask {
            ops.dropout(out, mask);
        }
    }

    fn attention_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::Attention(self.layer), self.config.attention_probs_dropout_prob)
    }

    fn output_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::AttentionOutput(self.layer), self.config.hidden_dropout_prob)
    }

    fn feed_forward_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::FeedForward(self.layer), self.config.hidden_dropout_prob)
    }

    fn linear<O: Ops<Tensor = T>>(&self, ops: &mut O, x: &T, layer: Linear<usize>, out: &mut T) {
        ops.linear(x, self.weights.linear(layer), out, Write::Replace);
    }

    fn linear_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        layer: Linear<usize>,
        dx: Option<(&mut T, Write)>,
        gradients: &mut Gradients<T>,
    ) {
        let w = self.weights.value(layer.weight);
        ops.linear_backward(x, w, dout, dx, gradients.wanted_linear(layer));
    }

    fn norm_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        norm: Norm,
        dx: &mut T,
        gradients: &mut Gradients<T>,
    ) {
        let (w, eps) = (self.weights.value(norm[0]), self.config.layer_norm_eps);
        ops.layer_norm_backward(x, w, eps, dout, Some(dx), gradients.wanted_pair(norm));
    }

    fn norm(&self, norm: Norm) -> [&T; 2] {
        norm.map(|at| self.weights.value(at))
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

/// Numbers that [`Activations`] hold of each token.
pub(in super::super) fn activations_per_token(config: &BertConfig) -> u128 {
    let [hidden, heads, inner] =
        [config.hidden_size, config.num_attention_heads, config.intermediate_size]
            .map(|size| size as u128);
    8 * hidden + heads + 2 * inner
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

impl<T> Work<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            sum: empty(),
            branch: empty(),
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            inner: empty(),
            activated: empty(),
        }
    }
}
