//! BERT: learned positions and token types, attention in both directions, norms after each sum, exact GELU, biases.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805; names and arithmetic as in `transformers`' `BertModel`. Without dropout:
//! nothing is dropped in training either.

mod block;
mod layout;

use self::{
    block::{Activations, Gradients},
    layout::{Layout, Neck},
};
pub(super) use layout::{name_of, settle, specification};

use super::{Family, Pass};
use crate::{
    config::BertConfig,
    ops::{Ops, Projection, Write},
    param::Parameters,
    sequences::Sequences,
};

/// A BERT and the memory of its steps.
#[derive(Debug)]
pub(super) struct Bert<T> {
    config: BertConfig,
    layout: Layout,
    positions: Vec<u32>,
    /// Sums of the three embeddings.
    embedded: T,
    /// Rows of one of them.
    embedding: T,
    /// The hidden states, after the last block.
    x: T,
    /// Of each block when its gradients will be wanted, else of the block at work.
    blocks: Vec<Activations<T>>,
    /// The dense layer of the neck, before and after its activation.
    dense: T,
    activated: T,
    dx: T,
    dembedded: T,
    ddense: T,
    gradients: Gradients<T>,
}

impl<T> Bert<T> {
    pub(super) fn new<O: Ops<Tensor = T>>(config: BertConfig, ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            layout: Layout::new(&config),
            config,
            positions: Vec::new(),
            embedded: empty(),
            embedding: empty(),
            x: empty(),
            blocks: Vec::new(),
            dense: empty(),
            activated: empty(),
            dx: empty(),
            dembedded: empty(),
            ddense: empty(),
            gradients: Gradients::new(ops),
        }
    }

    fn embed<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        weights: &Parameters<T>,
        sequences: &Sequences,
    ) {
        let Self { layout, positions, embedded, embedding, .. } = self;
        positions.clear();
        positions.extend(sequences.positions());
        ops.embedding(sequences.tokens(), weights.value(layout.words), embedded);
        for (ids, table) in
            [(sequences.types(), layout.types), (positions.as_slice(), layout.positions)]
        {
            ops.embedding(ids, weights.value(table), embedding);
            ops.add(embedded, embedding);
        }
        let norm = layout.norm.map(|at| weights.value(at));
        ops.layer_norm(embedded, norm, self.config.layer_norm_eps, &mut self.x);
    }
}

impl<O: Ops> Family<O> for Bert<O::Tensor> {
    fn forward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        pass: Pass,
    ) {
        self.embed(ops, weights, sequences);
        let Self { config, layout, x, blocks, .. } = self;
        let kept = if pass == Pass::Forward { 1 } else { layout.blocks.len() };
        while blocks.len() < kept {
            blocks.push(Activations::new(ops));
        }
        for (idx, block) in layout.blocks.iter().enumerate() {
            let kept = if pass == Pass::Forward { 0 } else { idx };
            let model = block::Model { config, weights, block, offsets: sequences.offsets() };
            model.forward(ops, x, &mut blocks[kept]);
        }
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
        gradients: &mut Parameters<O::Tensor>,
    ) {
        let Self { config, layout, blocks, dx, dembedded, gradients: work, .. } = self;
        for (block, kept) in layout.blocks.iter().zip(blocks).rev() {
            let model = block::Model { config, weights, block, offsets: sequences.offsets() };
            model.backward(ops, kept, dx, work, gradients);
        }
        ops.layer_norm_backward(
            &self.embedded,
            weights.value(layout.norm[0]),
            config.layer_norm_eps,
            dx,
            dembedded,
            gradients.pair_mut(layout.norm),
        );
        for (ids, table) in [
            (sequences.tokens(), layout.words),
            (sequences.types(), layout.types),
            (&self.positions, layout.positions),
        ] {
            ops.embedding_backward(ids, dembedded, gradients.value_mut(table));
        }
    }

    fn neck(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        picked: &O::Tensor,
        out: &mut O::Tensor,
    ) {
        let affine = |ops: &mut O, [weight, bias]: [usize; 2], out: &mut O::Tensor| {
            ops.linear(picked, weights.value(weight), out);
            ops.bias(out, weights.value(bias));
        };
        match self.layout.neck {
            Neck::Nothing => ops.copy(picked, out),
            Neck::Pooler { dense } => {
                affine(ops, dense, out);
                ops.tanh(out);
                ops.copy(out, &mut self.activated);
            }
            Neck::Transform { dense, norm } => {
                affine(ops, dense, &mut self.dense);
                ops.gelu(&self.dense, &mut self.activated);
                let norm = norm.map(|at| weights.value(at));
                ops.layer_norm(&self.activated, norm, self.config.layer_norm_eps, out);
            }
        }
    }

    fn neck_backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        (picked, dout): (&O::Tensor, &O::Tensor),
        dpicked: &mut O::Tensor,
        gradients: &mut Parameters<O::Tensor>,
    ) {
        let [weight, bias] = match self.layout.neck {
            Neck::Nothing => return ops.copy(dout, dpicked),
            Neck::Pooler { dense } => {
                ops.copy(dout, &mut self.ddense);
                ops.tanh_backward(&self.activated, &mut self.ddense);
                dense
            }
            Neck::Transform { dense, norm } => {
                ops.layer_norm_backward(
                    &self.activated,
                    weights.value(norm[0]),
                    self.config.layer_norm_eps,
                    dout,
                    dpicked,
                    gradients.pair_mut(norm),
                );
                ops.gelu_backward(&self.dense, dpicked, &mut self.ddense);
                dense
            }
        };
        ops.bias_backward(&self.ddense, gradients.value_mut(bias));
        let dx = (dpicked, Write::Replace);
        let (w, dw) = (weights.value(weight), gradients.value_mut(weight));
        ops.linear_backward(picked, w, &self.ddense, dx, dw);
    }

    fn last_hidden_states(&mut self, ops: &mut O, _: &Parameters<O::Tensor>, out: &mut O::Tensor) {
        ops.copy(&self.x, out);
    }

    fn projection(&self) -> Option<Projection<usize>> {
        self.layout.output
    }

    /// The first token, `[CLS]`.
    fn pooled_token(&self, [start, _]: [usize; 2]) -> usize {
        start
    }
}
