//! GPT-2: learned positions, norms before each part, one matrix for queries, keys and values, GELU, biases.
//!
//! Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3; names and arithmetic as
//! in `transformers`' `GPT2Model`.

mod block;
mod layout;

pub(super) use self::block::activations_per_token;
use self::{
    block::{Activations, Work},
    layout::Layout,
};
pub(super) use layout::{is_transposed, name_of, specification};

use super::{Causal, Family, Pass, Training, kept::Kept};
use crate::{
    config::Gpt2Config,
    dropout::{Masks, Site},
    kv_cache::KvCache,
    ops::{Linear, Ops},
    param::{Gradients, Parameters, Part},
    sequences::Sequences,
};

/// A GPT-2 and the memory of its steps.
#[derive(Debug)]
pub(super) struct Gpt2<T> {
    config: Gpt2Config,
    layout: Layout,
    positions: Vec<u32>,
    /// Rows of the embedding of positions.
    embedding: T,
    /// The residual stream, after the last block.
    x: T,
    blocks: Kept<T, Activations<T>>,
    work: Work<T>,
    dx: T,
}

impl<T> Gpt2<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(config: Gpt2Config, ops: &O) -> Self {
        Self {
            layout: Layout::new(&config),
            config,
            positions: Vec::new(),
            embedding: ops.zeros(0, 0),
            x: ops.zeros(0, 0),
            blocks: Kept::new(),
            work: Work::new(ops),
            dx: ops.zeros(0, 0),
        }
    }

    /// Makes room for the activations of a pass, and embeds tokens at their positions.
    fn begin<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        weights: &Parameters<T>,
        tokens: &[u32],
        positions: impl Iterator<Item = u32>,
        pass: Pass,
    ) {
        self.blocks.begin(ops, (self.layout.blocks.len(), pass), Activations::new);
        self.positions.clear();
        self.positions.extend(positions);
        ops.embedding(tokens, weights.value(self.layout.tokens), &mut self.x);
        let table = weights.value(self.layout.positions);
        ops.embedding(&self.positions, table, &mut self.embedding);
        ops.add(&mut self.x, &self.embedding);
        if let Some(mask) = pass.masks().at(Site::Embeddings, self.config.embd_pdrop) {
            ops.dropout(&mut self.x, mask);
        }
    }

    /// The last norm.
    fn norm<O: Ops<Tensor = T>>(&self, ops: &mut O, weights: &Parameters<T>, x: &T, out: &mut T) {
        let norm = self.layout.norm.map(|at| weights.value(at));
        ops.layer_norm(x, norm, self.config.layer_norm_epsilon, out);
    }
}

impl<O: Ops> Causal<O> for Gpt2<O::Tensor> {
    fn go_on(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        tokens: &[u32],
        cache: &mut KvCache<O::Tensor>,
    ) {
        let read = u32::try_from(cache.num_tokens).expect("no context holds more tokens");
        self.begin(ops, weights, tokens, (read..).take(tokens.len()), Pass::Forward);
        let Self { config, layout, x, blocks, work, .. } = self;
        for (layer, (block, read)) in layout.blocks.iter().zip(&mut cache.layers).enumerate() {
            let (offsets, masks) = (&[0, tokens.len()], Masks::default());
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let kept = blocks.forward(ops, layer, x);
            model.forward(ops, x, kept, work, Some(read));
        }
        cache.num_tokens += tokens.len();
    }
}

impl<O: Ops> Family<O> for Gpt2<O::Tensor> {
    fn forward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        pass: Pass,
    ) {
        self.begin(ops, weights, sequences.tokens(), sequences.positions(), pass);
        let Self { config, layout, x, blocks, work, .. } = self;
        let (offsets, masks) = (sequences.offsets(), pass.masks());
        for (layer, block) in layout.blocks.iter().enumerate() {
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let kept = blocks.forward(ops, layer, x);
            model.forward(ops, x, kept, work, None);
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
                model.forward(ops, x, kept, work, None);
            }
            model.backward(ops, kept, (&mut *dx, below), work, gradients);
        }
        if let Some(mask) = masks.at(Site::Embeddings, config.embd_pdrop) {
            ops.dropout(dx, mask);
        }
        for (ids, table) in
            [(sequences.tokens(), layout.tokens), (&self.positions, layout.positions)]
        {
            if let Some(dtable) = gradients.wanted(table) {
                ops.embedding_backward(ids, dx, dtable);
            }
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
        self.norm(ops, weights, picked, out);
    }

    fn neck_backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        (picked, dout): (&O::Tensor, &O::Tensor),
        dpicked: Option<&mut O::Tensor>,
        gradients: &mut Gradients<O::Tensor>,
    ) {
        let (norm, eps) = (self.layout.norm, self.config.layer_norm_epsilon);
        let dnorm = gradients.wanted_pair(norm);
        ops.layer_norm_backward(picked, weights.value(norm[0]), eps, dout, dpicked, dnorm);
    }

    fn last_hidden_states(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        out: &mut O::Tensor,
    ) {
        self.norm(ops, weights, &self.x, out);
    }

    fn projection(&self) -> Option<Linear<usize>> {
        self.layout.output
    }

    /// The last token, which alone has seen all others.
    fn pooled_token(&self, [_, end]: [usize; 2]) -> usize {
        end - 1
    }
}
