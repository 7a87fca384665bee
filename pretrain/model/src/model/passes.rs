//! Passes through the whole of a model: body, neck and head.

use super::slice::Slice;
use crate::{
    cpu::simd::narrow,
    dropout::{Dropout, Masks, Site},
    family::{Family, Pass, Training},
    kv_cache::KvCache,
    ops::{Linear, Ops, Write},
    param::{Gradients, Parameters, Part},
    sequences::{LossSum, Sequences},
};

/// The weights of a model, what computes with them, and the memory that every step uses again.
#[derive(Debug)]
pub(super) struct Passes<O: Ops> {
    pub(super) weights: Parameters<O::Tensor>,
    pub(super) ops: O,
    pub(super) family: Box<dyn Family<O>>,
    pub(super) recompute: bool,
    pub(super) dropout: Option<Dropout>,
    /// Probability with which a number of what the head reads is dropped.
    head_dropout: f64,
    /// The hidden states of the tokens that the head reads, before and after the neck.
    picked: O::Tensor,
    read: O::Tensor,
    dpicked: O::Tensor,
    dread: O::Tensor,
    /// Of each of them.
    nats: Vec<f64>,
}

impl<O: Ops> Passes<O> {
    pub(super) fn new(
        weights: Parameters<O::Tensor>,
        ops: O,
        family: Box<dyn Family<O>>,
        head_dropout: f64,
    ) -> Self {
        let [picked, read, dpicked, dread] = [0; 4].map(|_| ops.zeros(0, 0));
        Self {
            weights,
            ops,
            family,
            recompute: false,
            dropout: None,
            head_dropout,
            picked,
            read,
            dpicked,
            dread,
            nats: Vec::new(),
        }
    }

    /// The token by which each sequence is classified.
    pub(super) fn pooled(&self, sequences: &Sequences) -> impl Iterator<Item = usize> {
        let bounds = sequences.offsets().windows(2);
        bounds.map(|bounds| self.family.pooled_token([bounds[0], bounds[1]]))
    }

    /// What the output projection reads for some tokens, into `read`.
    fn read(&mut self, (sequences, rows): (&Sequences, &[usize]), pass: Pass) {
        let Self { weights, ops, family, picked, read, .. } = self;
        family.forward(ops, weights, sequences, pass);
        ops.pick(family.hidden(), rows, picked);
        family.neck(ops, weights, picked, read);
    }

    /// The logits of the targeted tokens of a slice.
    pub(super) fn project(&mut self, projection: Linear<usize>, slice: &Slice) -> Vec<f32> {
        self.read((&slice.sequences, &slice.targeted.rows), Pass::Forward);
        self.project_read(projection)
    }

    /// The logits of what stands in `read`.
    fn project_read(&mut self, projection: Linear<usize>) -> Vec<f32> {
        let Self { weights, ops, read, .. } = self;
        let mut logits = ops.zeros(0, 0);
        ops.linear(read, weights.linear(projection), &mut logits, Write::Replace);
        ops.values(&logits).into_iter().map(narrow).collect()
    }

    /// The logits of the token behind those in `cache` and `tokens`; `None` if the family is not causal.
    pub(super) fn project_next(
        &mut self,
        projection: Linear<usize>,
        tokens: &[u32],
        cache: &mut KvCache<O::Tensor>,
    ) -> Option<Vec<f32>> {
        let Self { weights, ops, family, picked, read, .. } = self;
        family.causal()?.go_on(ops, weights, tokens, cache);
        ops.pick(family.hidden(), &[tokens.len() - 1], picked);
        family.neck(ops, weights, picked, read);
        Some(self.project_read(projection))
    }

    /// The last hidden states of every token.
    pub(super) fn hidden_states(&mut self, sequences: &Sequences) -> Vec<f32> {
        let Self { weights, ops, family, read, .. } = self;
        family.forward(ops, weights, sequences, Pass::Forward);
        family.last_hidden_states(ops, weights, read);
        ops.values(read).into_iter().map(narrow).collect()
    }

    /// The loss of each targeted token of a slice.
    pub(super) fn losses(&mut self, projection: Linear<usize>, slice: &Slice) -> &[f64] {
        self.read((&slice.sequences, &slice.targeted.rows), Pass::Forward);
        let Self { weights, ops, read, nats, .. } = self;
        ops.cross_entropy(read, weights.linear(projection), &slice.targeted.targets, nats);
        nats
    }

    /// Adds the gradients of the sum of the losses of a slice to `gradients`; returns that sum.
    pub(super) fn accumulate(
        &mut self,
        projection: Linear<usize>,
        Slice { sequences, targeted, places }: &Slice,
        gradients: &mut Gradients<O::Tensor>,
    ) -> LossSum {
        let lowest = gradients.lowest();
        let masks = Masks::new(self.dropout, sequences.places());
        let training = Training { lowest, recompute: self.recompute, masks };
        self.read((sequences, &targeted.rows), Pass::Training(training));
        let mask = Masks::new(self.dropout, places).at(Site::Classifier, self.head_dropout);
        let Self { weights, ops, family, picked, read, dpicked, dread, nats, .. } = self;
        if let Some(mask) = mask {
            ops.dropout(read, mask);
        }
        ops.cross_entropy_backward(
            read,
            weights.linear(projection),
            &targeted.targets,
            nats,
            (lowest < Part::Head).then_some(&mut *dread),
            gradients.wanted_linear(projection),
        );
        if lowest < Part::Head {
            if let Some(mask) = mask {
                ops.dropout(dread, mask);
            }
            let below = (lowest < Part::Neck).then_some(&mut *dpicked);
            family.neck_backward(ops, weights, (picked, dread), below, gradients);
        }
        if lowest < Part::Neck {
            let tokens = sequences.tokens().len();
            ops.pick_backward(dpicked, &targeted.rows, tokens, family.dhidden());
            family.backward(ops, weights, sequences, training, gradients);
        }
        LossSum { nats: nats.iter().sum(), counted: targeted.targets.len() }
    }
}
