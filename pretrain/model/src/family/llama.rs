//! Llama: root-mean-square norms, rotary positions, grouped-query attention, SwiGLU, no biases.
//!
//! Source: Touvron et al. 2023, arXiv:2302.13971; names and arithmetic as in `transformers`' `LlamaModel`.

mod block;
mod layout;

pub(super) use self::block::activations_per_token;
use self::{
    block::{Activations, Work},
    layout::Layout,
};
pub(super) use layout::{is_tied, specification};

use super::{Causal, Family, Pass, Training, kept::Kept};
use crate::{
    config::LlamaConfig,
    dropout::Masks,
    kv_cache::KvCache,
    ops::{Linear, Ops},
    param::{Gradients, Parameters, Part},
    sequences::Sequences,
};

/// A Llama and the memory of its steps.
#[derive(Debug)]
pub(super) struct Llama<T> {
    config: LlamaConfig,
    layout: Layout,
    /// The residual stream, after the last block.
    x: T,
    blocks: Kept<T, Activations<T>>,
    dx: T,
    work: Work<T>,
}

impl<T> Llama<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(config: LlamaConfig, ops: &O) -> Self {
        Self {
            layout: Layout::new(&config),
            config,
            x: ops.zeros(0, 0),
            blocks: Kept::new(),
            dx: ops.zeros(0, 0),
            work: Work::new(ops),
        }
    }
}

impl<O: Ops> Causal<O> for Llama<O::Tensor> {
    fn go_on(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        tokens: &[u32],
        cache: &mut KvCache<O::Tensor>,
    ) {
        let Self { config, layout, x, blocks, .. } = self;
        blocks.begin(ops, (layout.blocks.len(), Pass::Forward), Activations::new);
        ops.embedding(tokens, weights.value(layout.embedding), x);
        for (layer, (block, read)) in layout.blocks.iter().zip(&mut cache.layers).enumerate() {
            let (offsets, masks) = (&[0, tokens.len()], Masks::default());
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let kept = blocks.forward(ops, layer, x);
            model.forward(ops, x, kept, Some((read, cache.num_tokens)));
        }
        cache.num_tokens += tokens.len();
    }
}

impl<O: Ops> Family<O> for Llama<O::Tensor> {
    fn forward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        pass: Pass,
    ) {
        let Self { config, layout, x, blocks, .. } = self;
        blocks.begin(ops, (layout.blocks.len(), pass), Activations::new);
        let (offsets, masks) = (sequences.offsets(), pass.masks());
        ops.embedding(sequences.tokens(), weights.value(layout.embedding), x);
        for (layer, block) in layout.blocks.iter().enumerate() {
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let kept = blocks.forward(ops, layer, x);
            model.forward(ops, x, kept, None);
        }
    }

    fn causal(&mut self) -> Option<&mut dyn Causal<O>> {
        Some(self)
    }

    fn hidden(&self) -> &O::Tensor {
        &self.x
    }

    fn dhidden(&mut self) -> &mut O::Tensor {
        &mut self.dx
    }

    fn backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        training: Training,
        gradients: &mut Gradients<O::Tensor>,
    ) {
        let Self { config, layout, x, blocks, dx, work, .. } = self;
        let Training { lowest, masks, .. } = training;
        let offsets = sequences.offsets();
        for (layer, block) in layout.blocks.iter().enumerate().rev() {
            let below = lowest < Part::Layer(layer);
            if lowest > Part::Layer(layer) {
                return;
            }
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let (kept, is_gone) = blocks.backward(ops, layer, x);
            if is_gone {
                model.forward(ops, x, kept, None);
            }
            model.backward(ops, kept, (&mut *dx, below), work, gradients);
        }
        if let Some(dembedding) = gradients.wanted(layout.embedding) {
            ops.embedding_backward(sequences.tokens(), dx, dembedding);
        }
    }

    /// The last norm.
    fn neck(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        picked: &O::Tensor,
        out: &mut O::Tensor,
    ) {
        ops.rms_norm(picked, weights.value(self.layout.norm), self.config.rms_norm_eps, out);
    }

    fn neck_backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        (picked, dout): (&O::Tensor, &O::Tensor),
        mut dpicked: Option<&mut O::Tensor>,
        gradients: &mut Gradients<O::Tensor>,
    ) {
        if let Some(dpicked) = &mut dpicked {
            ops.copy(picked, dpicked);
            ops.clear(dpicked);
        }
        let (norm, eps) = (self.layout.norm, self.config.rms_norm_eps);
        let dnorm = gradients.wanted(norm);
        ops.rms_norm_backward(picked, weights.value(norm), eps, dout, dpicked, dnorm);
    }

    fn last_hidden_states(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        out: &mut O::Tensor,
    ) {
        ops.rms_norm(&self.x, weights.value(self.layout.norm), self.config.rms_norm_eps, out);
    }

    fn projection(&self) -> Option<Linear<usize>> {
        Some(self.layout.output)
    }

    /// The last token, which alone has seen all others.
    fn pooled_token(&self, [_, end]: [usize; 2]) -> usize {
        end - 1
    }
}
