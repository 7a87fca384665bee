//! One block: attention and feed-forward, each on a norm of the residual stream and added back to it.
//!
//! What is cheap to make again is not kept for the backward pass: the norms, and the activation of the feed-forward part.

use super::layout::{Block, Norm};
use crate::{
    config::{Activation, Gpt2Config},
    dropout::{Mask, Masks, Site},
    family::dropped,
    kv_cache::LayerCache,
    ops::{Heads, Linear, Ops, Reach, Write},
    param::{Gradients, Parameters},
};

/// What the backward pass of one block needs of its forward pass.
#[derive(Debug)]
pub(super) struct Activations<T> {
    /// The residual stream before attention, and before the feed-forward part.
    inputs: [T; 2],
    q: T,
    k: T,
    v: T,
    attended: T,
    log_sums: T,
    inner: T,
}

/// Buffers of one block, used again by every block.
#[derive(Debug)]
pub(super) struct Work<T> {
    normed: T,
    /// Queries, keys and values beside each other, or their gradients.
    fused: T,
    activated: T,
    /// What a part adds to the residual stream, or its gradient, where numbers of that are dropped.
    added: T,
    /// The gradient of what a part reads of the residual stream.
    branch: T,
    /// Gradients.
    dnormed: T,
    dq: T,
    dk: T,
    dv: T,
    dattended: T,
    dinner: T,
    dactivated: T,
}

/// One block at work.
pub(super) struct Model<'a, T> {
    pub(super) config: &'a Gpt2Config,
    pub(super) weights: &'a Parameters<T>,
    pub(super) block: &'a Block,
    pub(super) layer: usize,
    pub(super) offsets: &'a [usize],
    pub(super) masks: Masks<'a>,
}

impl<T> Model<'_, T> {
    /// Takes the residual stream `x` through the block. With a cache, it is that of the tokens behind those in the cache,
    /// which takes them in.
    pub(super) fn forward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &mut T,
        kept: &mut Activations<T>,
        work: &mut Work<T>,
        cache: Option<&mut LayerCache<T>>,
    ) {
        ops.copy(x, &mut kept.inputs[0]);
        self.attend(ops, x, kept, work, cache);
        ops.copy(x, &mut kept.inputs[1]);
        self.norm(ops, x, self.block.feed_forward_norm, &mut work.normed);
        self.linear(ops, &work.normed, self.block.inner, (&mut kept.inner, Write::Replace));
        self.activate(ops, &kept.inner, &mut work.activated);
        let Work { activated, added, .. } = work;
        self.add(ops, (activated, self.block.outer), self.feed_forward_mask(), x, added);
    }

    /// Takes the gradient of the residual stream, `dx`, back through the block, and adds up those of its weights that are
    /// wanted. Where no gradient below the block is, `dx` is used up.
    pub(super) fn backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        (dx, below): (&mut T, bool),
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        self.feed_forward_backward(ops, kept, dx, work, gradients);
        ops.add(dx, &work.branch);
        self.attend_backward(ops, kept, dx, work, gradients);
        if below {
            ops.add(dx, &work.branch);
        }
    }

    fn attend<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &mut T,
        kept: &mut Activations<T>,
        work: &mut Work<T>,
        cache: Option<&mut LayerCache<T>>,
    ) {
        let (block, heads) = (self.block, self.heads());
        let Activations { inputs, q, k, v, attended, log_sums, .. } = kept;
        self.norm(ops, &inputs[0], block.attention_norm, &mut work.normed);
        self.linear(ops, &work.normed, block.query_key_value, (&mut work.fused, Write::Replace));
        ops.split(&work.fused, [&mut *q, &mut *k, &mut *v]);
        match cache {
            None => {
                let mask = self.attention_mask();
                ops.attention([q, k, v], self.offsets, heads, mask, attended, log_sums);
            }
            Some(cache) => {
                ops.append(k, &mut cache.keys);
                ops.append(v, &mut cache.values);
                let qkv = [&*q, &cache.keys, &cache.values];
                ops.attention_of_last(qkv, heads, attended, log_sums);
            }
        }
        self.add(ops, (attended, block.output), self.output_mask(), x, &mut work.added);
    }

    /// Adds what a linear layer makes of `input` to the residual stream, but for the numbers that are dropped.
    fn add<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (input, layer): (&T, Linear<usize>),
        mask: Option<Mask>,
        x: &mut T,
        added: &mut T,
    ) {
        let Some(mask) = mask else {
            return self.linear(ops, input, layer, (x, Write::Add));
        };
        self.linear(ops, input, layer, (&mut *added, Write::Replace));
        ops.dropout(added, mask);
        ops.add(x, added);
    }

    /// The gradient of what is read of the residual stream comes into `work.branch`.
    fn feed_forward_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        dx: &T,
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        let Block { feed_forward_norm, inner, outer, .. } = *self.block;
        let Work { normed, activated, added, branch, dnormed, dinner, dactivated, .. } = work;
        self.activate(ops, &kept.inner, activated);
        let dout = dropped(ops, dx, self.feed_forward_mask(), added);
        self.linear_backward(ops, (activated, dout), outer, dactivated, gradients);
        match self.config.activation_function {
            Activation::GeluNew => ops.gelu_tanh_backward(&kept.inner, dactivated, dinner),
            Activation::Gelu => ops.gelu_backward(&kept.inner, dactivated, dinner),
        }
        self.norm(ops, &kept.inputs[1], feed_forward_norm, normed);
        self.linear_backward(ops, (normed, dinner), inner, dnormed, gradients);
        let input = (&kept.inputs[1], &*dnormed);
        self.norm_backward(ops, input, feed_forward_norm, branch, gradients);
    }

    /// The gradient of what is read of the residual stream comes into `work.branch`.
    fn attend_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        dx: &T,
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        let Block { attention_norm, query_key_value, output, .. } = *self.block;
        let Work { normed, fused, added, branch, dnormed, dq, dk, dv, dattended, .. } = work;
        let dout = dropped(ops, dx, self.output_mask(), added);
        self.linear_backward(ops, (&kept.attended, dout), output, dattended, gradients);
        ops.attention_backward(
            [&kept.q, &kept.k, &kept.v],
            self.offsets,
            self.heads(),
            self.attention_mask(),
            &kept.attended,
            &kept.log_sums,
            dattended,
            [&mut *dq, &mut *dk, &mut *dv],
        );
        ops.join([&*dq, &*dk, &*dv], fused);
        self.norm(ops, &kept.inputs[0], attention_norm, normed);
        self.linear_backward(ops, (normed, fused), query_key_value, dnormed, gradients);
        let input = (&kept.inputs[0], &*dnormed);
        self.norm_backward(ops, input, attention_norm, branch, gradients);
    }

    fn attention_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::Attention(self.layer), self.config.attn_pdrop)
    }

    fn output_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::AttentionOutput(self.layer), self.config.resid_pdrop)
    }

    fn feed_forward_mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::FeedForward(self.layer), self.config.resid_pdrop)
    }

    fn activate<O: Ops<Tensor = T>>(&self, ops: &mut O, x: &T, out: &mut T) {
        match self.config.activation_function {
            Activation::GeluNew => ops.gelu_tanh(x, out),
            Activation::Gelu => ops.gelu(x, out),
        }
    }

    fn linear<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &T,
        layer: Linear<usize>,
        (out, write): (&mut T, Write),
    ) {
        ops.linear(x, self.weights.linear(layer), out, write);
    }

    fn linear_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        layer: Linear<usize>,
        dx: &mut T,
        gradients: &mut Gradients<T>,
    ) {
        let (w, dx) = (self.weights.value(layer.weight), Some((dx, Write::Replace)));
        ops.linear_backward(x, w, dout, dx, gradients.wanted_linear(layer));
    }

    fn norm<O: Ops<Tensor = T>>(&self, ops: &mut O, x: &T, at: Norm, out: &mut T) {
        ops.layer_norm(x, self.pair(at), self.config.layer_norm_epsilon, out);
    }

    fn norm_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        (x, dout): (&T, &T),
        at: Norm,
        dx: &mut T,
        gradients: &mut Gradients<T>,
    ) {
        let (w, eps) = (self.weights.value(at[0]), self.config.layer_norm_epsilon);
        ops.layer_norm_backward(x, w, eps, dout, Some(dx), gradients.wanted_pair(at));
    }

    fn pair(&self, at: Norm) -> [&T; 2] {
        at.map(|at| self.weights.value(at))
    }

    fn heads(&self) -> Heads {
        let (heads, dim) = (self.config.n_head, self.config.head_dim());
        Heads { query: heads, key_value: heads, dim, reach: Reach::Causal }
    }
}

/// Numbers that [`Activations`] hold of each token.
pub(in super::super) fn activations_per_token(config: &Gpt2Config) -> u128 {
    let [hidden, heads, inner] =
        [config.n_embd, config.n_head, config.inner_size()].map(|size| size as u128);
    6 * hidden + heads + inner
}

impl<T> Activations<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            inputs: [empty(), empty()],
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            log_sums: empty(),
            inner: empty(),
        }
    }
}

impl<T> Work<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            normed: empty(),
            fused: empty(),
            activated: empty(),
            added: empty(),
            branch: empty(),
            dnormed: empty(),
            dq: empty(),
            dk: empty(),
            dv: empty(),
            dattended: empty(),
            dinner: empty(),
            dactivated: empty(),
        }
    }
}
