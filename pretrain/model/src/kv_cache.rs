//! What a causal model keeps of a text, to go on with it a few tokens at a time.

use crate::ops::Ops;

/// Keys and values of the tokens that a causal model has read of one text, in every layer: all that a later token needs
/// of them. Memory grows with the tokens, up to the model's context.
///
/// A copy goes on from the same place, for several texts with one beginning.
#[derive(Clone, Debug)]
pub struct KvCache<T> {
    pub(crate) layers: Vec<LayerCache<T>>,
    pub(crate) num_tokens: usize,
}

/// The keys, already turned to their positions, and the values of one layer: a row for each token.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache<T> {
    pub(crate) keys: T,
    pub(crate) values: T,
}

impl<T> KvCache<T> {
    /// Of a text of which nothing was read.
    pub(crate) fn new<O: Ops<Tensor = T>>(ops: &O, num_layers: usize) -> Self {
        let layer = || LayerCache { keys: ops.zeros(0, 0), values: ops.zeros(0, 0) };
        Self { layers: (0..num_layers).map(|_| layer()).collect(), num_tokens: 0 }
    }

    /// Tokens that were read.
    pub fn len(&self) -> usize {
        self.num_tokens
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.num_tokens == 0
    }
}
