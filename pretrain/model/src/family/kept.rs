//! What blocks keep of a forward pass for the backward pass.

use super::Pass;
use crate::{ops::Ops, param::Part};

/// Activations of blocks, from the lowest whose gradients will be wanted: of each its own, or, where they are made again,
/// its input and the activations of the block at work. Blocks below that one keep nothing.
#[derive(Debug)]
pub(super) struct Kept<T, A> {
    activations: Vec<A>,
    /// Of each block but the last, whose activations are still there when the backward pass begins.
    inputs: Vec<T>,
    first: usize,
    last: usize,
    recompute: bool,
}

impl<T, A> Kept<T, A> {
    pub(super) fn new() -> Self {
        Self { activations: Vec::new(), inputs: Vec::new(), first: 0, last: 0, recompute: false }
    }

    /// Makes room for a pass through `num_layers` blocks.
    pub(super) fn begin<O: Ops<Tensor = T>>(
        &mut self,
        ops: &O,
        (num_layers, pass): (usize, Pass),
        empty: impl Fn(&O) -> A,
    ) {
        self.last = num_layers.saturating_sub(1);
        (self.first, self.recompute) = match pass {
            Pass::Forward => (self.last, false),
            Pass::Training(training) => match training.lowest {
                Part::Embeddings => (0, training.recompute),
                Part::Layer(layer) => (layer, training.recompute),
                Part::Neck | Part::Head => (self.last, false),
            },
        };
        let others = self.last - self.first;
        let (inputs, activations) = if self.recompute { (others, 1) } else { (0, others + 1) };
        while self.inputs.len() < inputs {
            self.inputs.push(ops.zeros(0, 0));
        }
        while self.activations.len() < activations {
            self.activations.push(empty(ops));
        }
    }

    /// Where block `layer`, which reads `x`, puts its activations.
    pub(super) fn forward<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        layer: usize,
        x: &T,
    ) -> &mut A {
        if self.recompute && (self.first..self.last).contains(&layer) {
            ops.copy(x, &mut self.inputs[layer - self.first]);
        }
        self.of(layer)
    }

    /// The activations of block `layer`, and whether they have to be made again: then what the block read is put into `x`.
    pub(super) fn backward<O: Ops<Tensor = T>>(
        &mut self,
        ops: &mut O,
        layer: usize,
        x: &mut T,
    ) -> (&mut A, bool) {
        let is_gone = self.recompute && layer < self.last;
        if is_gone {
            ops.copy(&self.inputs[layer - self.first], x);
        }
        (self.of(layer), is_gone)
    }

    fn of(&mut self, layer: usize) -> &mut A {
        let place = if self.recompute { 0 } else { layer.saturating_sub(self.first) };
        &mut self.activations[place]
    }
}
