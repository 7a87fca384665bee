//! BERT: learned positions and token types, attention in both directions, norms after each sum, exact GELU, biases.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805; names and arithmetic as in `transformers`' `BertModel`.

mod block;
mod layout;

pub(super) use self::block::activations_per_token;
use self::{
    block::{Activations, Work},
    layout::{Layout, Neck},
};
pub(super) use layout::{name_of, settle, specification};

use super::{Family, Pass, Training, kept::Kept};
use crate::{
    config::BertConfig,
    dropout::Site,
    ops::{Linear, Ops, Write},
    param::{Gradients, Parameters, Part},
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
    blocks: Kept<T, Activations<T>>,
    /// The dense layer of the neck, before and after its activation.
    dense: T,
    activated: T,
    dx: T,
    dembedded: T,
    dactivated: T,
    ddense: T,
    work: Work<T>,
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
            blocks: Kept::new(),
            dense: empty(),
            activated: empty(),
            dx: empty(),
            dembedded: empty(),
            dactivated: empty(),
            ddense: empty(),
            work: Work::new(ops),
        }
    }

    fn embed<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        weights: &Parameters<T>,
        (sequences, pass): (&Sequences, Pass),
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
        if let Some(mask) = pass.masks().at(Site::Embeddings, self.config.hidden_dropout_prob) {
            ops.dropout(&mut self.x, mask);
        }
    }

    fn embed_backward<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        weights: &Parameters<T>,
        (sequences, training): (&Sequences, Training),
        gradients: &mut Gradients<T>,
    ) {
        let Self { config, layout, embedded, dx, dembedded, .. } = self;
        if let Some(mask) = training.masks.at(Site::Embeddings, config.hidden_dropout_prob) {
            ops.dropout(dx, mask);
        }
        ops.layer_norm_backward(
            embedded,
            weights.value(layout.norm[0]),
            config.layer_norm_eps,
            dx,
            Some(&mut *dembedded),
            gradients.wanted_pair(layout.norm),
        );
        for (ids, table) in [
            (sequences.tokens(), layout.words),
            (sequences.types(), layout.types),
            (&self.positions, layout.positions),
        ] {
            if let Some(dtable) = gradients.wanted(table) {
                ops.embedding_backward(ids, dembedded, dtable);
            }
        }
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
        self.embed(ops, weights, (sequences, pass));
        let Self { config, layout, x, blocks, .. } = self;
        blocks.begin(ops, (layout.blocks.len(), pass), Activations::new);
        let (offsets, masks) = (sequences.offsets(), pass.masks());
        for (layer, block) in layout.blocks.iter().enumerate() {
            let model = block::Model { config, weights, block, layer, offsets, masks };
            let kept = blocks.forward(ops, layer, x);
            model.forward(ops, x, kept);
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
                model.forward(ops, x, kept);
            }
            model.backward(ops, kept, (&mut *dx, below), work, gradients);
        }
        if lowest == Part::Embeddings {
            self.embed_backward(ops, weights, (sequences, training), gradients);
        }
    }

    fn neck(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        picked: &O::Tensor,
        out: &mut O::Tensor,
    ) {
        let linear = |ops: &mut O, layer: Linear<usize>, out: &mut O::Tensor| {
            ops.linear(picked, weights.linear(layer), out, Write::Replace);
        };
        match self.layout.neck {
            Neck::Nothing => ops.copy(picked, out),
            Neck::Pooler { dense } => {
                linear(ops, dense, out);
                ops.tanh(out);
                ops.copy(out, &mut self.activated);
            }
            Neck::Transform { dense, norm } => {
                linear(ops, dense, &mut self.dense);
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
        dpicked: Option<&mut O::Tensor>,
        gradients: &mut Gradients<O::Tensor>,
    ) {
        let dense = match self.layout.neck {
            Neck::Nothing => {
                if let Some(dpicked) = dpicked {
                    ops.copy(dout, dpicked);
                }
                return;
            }
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
                    Some(&mut self.dactivated),
                    gradients.wanted_pair(norm),
                );
                ops.gelu_backward(&self.dense, &self.dactivated, &mut self.ddense);
                dense
            }
        };
        let dx = dpicked.map(|dpicked| (dpicked, Write::Replace));
        let (w, dlayer) = (weights.value(dense.weight), gradients.wanted_linear(dense));
        ops.linear_backward(picked, w, &self.ddense, dx, dlayer);
    }

    fn last_hidden_states(&mut self, ops: &mut O, _: &Parameters<O::Tensor>, out: &mut O::Tensor) {
        ops.copy(&self.x, out);
    }

    fn projection(&self) -> Option<Linear<usize>> {
        self.layout.output
    }

    /// The first token, `[CLS]`.
    fn pooled_token(&self, [start, _]: [usize; 2]) -> usize {
        start
    }
}
