//! One block: attention and feed-forward, each on a norm of the residual stream and added back to it.

use super::layout::Block;
use crate::{
    config::LlamaConfig,
    dropout::{Mask, Masks, Site},
    kv_cache::LayerCache,
    ops::{Heads, Linear, Ops, Reach, Write},
    param::{Gradients, Parameters},
};

/// What the backward pass of one block needs of its forward pass.
#[derive(Debug)]
pub(super) struct Activations<T> {
    /// The residual stream before attention, and before the feed-forward part.
    inputs: [T; 2],
    normed: [T; 2],
    q: T,
    k: T,
    v: T,
    attended: T,
    log_sums: T,
    gate: T,
    up: T,
    gated: T,
}

/// Gradients of one block's activations, used again by every block.
#[derive(Debug)]
pub(super) struct Work<T> {
    normed: T,
    q: T,
    k: T,
    v: T,
    attended: T,
    gate: T,
    up: T,
    gated: T,
}

/// One block at work.
pub(super) struct Model<'a, T> {
    pub(super) config: &'a LlamaConfig,
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
        cache: Option<(&mut LayerCache<T>, usize)>,
    ) {
        ops.copy(x, &mut kept.inputs[0]);
        self.attend(ops, x, kept, cache);
        ops.copy(x, &mut kept.inputs[1]);
        self.feed_forward(ops, x, kept);
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
        self.attend_backward(ops, kept, (dx, below), work, gradients);
    }

    fn attend<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        x: &mut T,
        kept: &mut Activations<T>,
        cache: Option<(&mut LayerCache<T>, usize)>,
    ) {
        let (block, theta) = (self.block, self.config.rope_theta);
        let heads = self.heads();
        ops.rms_norm(
            &kept.inputs[0],
            self.weights.value(block.attention_norm),
            self.config.rms_norm_eps,
            &mut kept.normed[0],
        );
        let qkv = [block.query, block.key, block.value].map(|layer| self.weights.linear(layer));
        ops.linears(&kept.normed[0], qkv, [&mut kept.q, &mut kept.k, &mut kept.v]);
        let out = (&mut kept.attended, &mut kept.log_sums);
        match cache {
            None => {
                ops.rotary(&mut kept.q, self.offsets, heads.dim, theta);
                ops.rotary(&mut kept.k, self.offsets, heads.dim, theta);
                let (qkv, mask) = ([&kept.q, &kept.k, &kept.v], self.mask());
                ops.attention(qkv, self.offsets, heads, mask, out.0, out.1);
            }
            Some((cache, first)) => {
                ops.rotary_from(&mut kept.q, first, heads.dim, theta);
                ops.rotary_from(&mut kept.k, first, heads.dim, theta);
                ops.append(&kept.k, &mut cache.keys);
                ops.append(&kept.v, &mut cache.values);
                let qkv = [&kept.q, &cache.keys, &cache.values];
                ops.attention_of_last(qkv, heads, out.0, out.1);
            }
        }
        ops.linear(&kept.attended, self.weights.linear(block.output), x, Write::Add);
    }

    fn feed_forward<O: Ops<Tensor = T>>(&self, ops: &mut O, x: &mut T, kept: &mut Activations<T>) {
        let block = self.block;
        ops.rms_norm(
            &kept.inputs[1],
            self.weights.value(block.feed_forward_norm),
            self.config.rms_norm_eps,
            &mut kept.normed[1],
        );
        let sides = [block.gate, block.up].map(|layer| self.weights.linear(layer));
        ops.linears(&kept.normed[1], sides, [&mut kept.gate, &mut kept.up]);
        ops.swiglu(&kept.gate, &kept.up, &mut kept.gated);
        ops.linear(&kept.gated, self.weights.linear(block.down), x, Write::Add);
    }

    fn feed_forward_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        dx: &mut T,
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        let block = self.block;
        let Work { normed, gate, up, gated, .. } = work;
        self.linears_backward(ops, &kept.gated, [(block.down, dx)], gated, gradients);
        ops.swiglu_backward(&kept.gate, &kept.up, gated, gate, up);
        let sides = [(block.gate, &*gate), (block.up, &*up)];
        self.linears_backward(ops, &kept.normed[1], sides, normed, gradients);
        ops.rms_norm_backward(
            &kept.inputs[1],
            self.weights.value(block.feed_forward_norm),
            self.config.rms_norm_eps,
            normed,
            Some(dx),
            gradients.wanted(block.feed_forward_norm),
        );
    }

    fn attend_backward<O: Ops<Tensor = T>>(
        &self,
        ops: &mut O,
        kept: &Activations<T>,
        (dx, below): (&mut T, bool),
        work: &mut Work<T>,
        gradients: &mut Gradients<T>,
    ) {
        let (block, theta) = (self.block, self.config.rope_theta);
        let heads = self.heads();
        let Work { normed, q, k, v, attended, .. } = work;
        self.linears_backward(ops, &kept.attended, [(block.output, &*dx)], attended, gradients);
        ops.attention_backward(
            [&kept.q, &kept.k, &kept.v],
            self.offsets,
            heads,
            self.mask(),
            &kept.attended,
            &kept.log_sums,
            attended,
            [&mut *q, &mut *k, &mut *v],
        );
        ops.rotary_backward(q, self.offsets, heads.dim, theta);
        ops.rotary_backward(k, self.offsets, heads.dim, theta);
        let qkv = [(block.query, &*q), (block.key, &*k), (block.value, &*v)];
        self.linears_backward(ops, &kept.normed[0], qkv, normed, gradients);
        ops.rms_norm_backward(
            &kept.inputs[0],
            self.weights.value(block.attention_norm),
            self.config.rms_norm_eps,
            normed,
            below.then_some(dx),
            gradients.wanted(block.attention_norm),
        );
    }

    /// Layers that read the same input, each with the gradient of what it made.
    fn linears_backward<O: Ops<Tensor = T>, const N: usize>(
        &self,
        ops: &mut O,
        x: &T,
        layers: [(Linear<usize>, &T); N],
        dx: &mut T,
        gradients: &mut Gradients<T>,
    ) {
        let dlayers = gradients.wanted_linears(layers.map(|(layer, _)| layer));
        let layers = layers.map(|(layer, dout)| [self.weights.value(layer.weight), dout]);
        ops.linears_backward(x, layers, Some((dx, Write::Replace)), dlayers);
    }

    /// What is dropped of the probabilities of attention.
    fn mask(&self) -> Option<Mask<'_>> {
        self.masks.at(Site::Attention(self.layer), self.config.attention_dropout)
    }

    fn heads(&self) -> Heads {
        Heads {
            query: self.config.num_attention_heads,
            key_value: self.config.num_key_value_heads,
            dim: self.config.head_dim,
            reach: Reach::Causal,
        }
    }
}

/// Numbers that [`Activations`] hold of each token.
pub(in super::super) fn activations_per_token(config: &LlamaConfig) -> u128 {
    let [hidden, heads, query, key_value, inner] = [
        config.hidden_size,
        config.num_attention_heads,
        config.query_size(),
        config.key_value_size(),
        config.intermediate_size,
    ]
    .map(|size| size as u128);
    4 * hidden + 2 * (query + key_value) + heads + 3 * inner
}

impl<T> Activations<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            inputs: [empty(), empty()],
            normed: [empty(), empty()],
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            log_sums: empty(),
            gate: empty(),
            up: empty(),
            gated: empty(),
        }
    }
}

impl<T> Work<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            normed: empty(),
            q: empty(),
            k: empty(),
            v: empty(),
            attended: empty(),
            gate: empty(),
            up: empty(),
            gated: empty(),
        }
    }
}
