//! Families of models, each written once against [`crate::ops::Ops`].
//!
//! A family is added in [`ModelConfig`] and in the functions at the top of this file.

mod bert;
mod gpt2;
mod kept;
mod llama;

use std::fmt;

use crate::{
    config::ModelConfig,
    dropout::{Mask, Masks},
    init::Init,
    kv_cache::KvCache,
    ops::{Linear, Ops},
    param::{Gradients, Parameters, Part},
    sequences::Sequences,
};

/// The family of a config over `ops`, ready to run.
pub(crate) fn family<O: Ops>(config: &ModelConfig, ops: &O) -> Box<dyn Family<O>> {
    match config.clone() {
        ModelConfig::Llama(config) => Box::new(llama::Llama::new(config, ops)),
        ModelConfig::Bert(config) => Box::new(bert::Bert::new(config, ops)),
        ModelConfig::Gpt2(config) => Box::new(gpt2::Gpt2::new(config, ops)),
    }
}

/// Every weight of a model of this config, with its name, its shape and how it begins, in order.
pub(crate) fn specification(config: &ModelConfig) -> Parameters<Init> {
    match config {
        ModelConfig::Llama(config) => llama::specification(config),
        ModelConfig::Bert(config) => bert::specification(config),
        ModelConfig::Gpt2(config) => gpt2::specification(config),
    }
}

/// Numbers that each block of a model of this config keeps of a token for the backward pass.
pub(crate) fn activations_per_token(config: &ModelConfig) -> u128 {
    match config {
        ModelConfig::Llama(config) => llama::activations_per_token(config),
        ModelConfig::Bert(config) => bert::activations_per_token(config),
        ModelConfig::Gpt2(config) => gpt2::activations_per_token(config),
    }
}

/// What a tensor that files call `stored` is called in a model of this config. `None` where it is nothing to keep: it is
/// computed, or tied to another, or belongs to a part that the model does not have.
pub(crate) fn name_of(config: &ModelConfig, stored: &str) -> Option<String> {
    match config {
        // Old checkpoints hold the rotary tables.
        ModelConfig::Llama(_) if stored.ends_with("rotary_emb.inv_freq") => None,
        // So do some exporters with the output projection that is the embedding.
        ModelConfig::Llama(config) if stored == "lm_head.weight" && llama::is_tied(config) => None,
        ModelConfig::Llama(_) => Some(stored.to_owned()),
        ModelConfig::Bert(config) => bert::name_of(config, stored),
        ModelConfig::Gpt2(config) => gpt2::name_of(config, stored),
    }
}

/// Whether files hold a matrix of this name as `[in, out]`, where we hold `[out, in]`.
pub(crate) fn is_transposed(config: &ModelConfig, name: &str) -> bool {
    match config {
        ModelConfig::Llama(_) | ModelConfig::Bert(_) => false,
        ModelConfig::Gpt2(_) => gpt2::is_transposed(name),
    }
}

/// A config as the file of its weights completes it; `has` says whether that has a tensor.
pub(crate) fn settle(config: ModelConfig, has: impl Fn(&str) -> bool) -> ModelConfig {
    match config {
        ModelConfig::Bert(config) => bert::settle(config, has).into(),
        config @ (ModelConfig::Llama(_) | ModelConfig::Gpt2(_)) => config,
    }
}

/// Whether a backward pass follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass<'a> {
    /// It does not, so what it would need is not kept.
    Forward,
    /// It does.
    Training(Training<'a>),
}

impl<'a> Pass<'a> {
    /// What is dropped.
    fn masks(self) -> Masks<'a> {
        match self {
            Self::Forward => Masks::default(),
            Self::Training(training) => training.masks,
        }
    }
}

/// A forward pass and the backward pass that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Training<'a> {
    /// How far down the backward pass goes; what stands below this part keeps nothing.
    pub(crate) lowest: Part,
    /// Whether a block keeps its input alone, and makes its activations again in the backward pass.
    pub(crate) recompute: bool,
    /// What is dropped, of rows that are the tokens.
    pub(crate) masks: Masks<'a>,
}

/// `x`, of which numbers are dropped in `buffer` if there is a mask.
fn dropped<'b, O: Ops>(
    ops: &mut O,
    x: &'b O::Tensor,
    mask: Option<Mask>,
    buffer: &'b mut O::Tensor,
) -> &'b O::Tensor {
    let Some(mask) = mask else { return x };
    ops.copy(x, buffer);
    ops.dropout(buffer, mask);
    buffer
}

/// A family whose tokens see those before them alone, so that what was read of a text need not be read again.
pub(crate) trait Causal<O: Ops> {
    /// Takes the tokens behind those in `cache` through the body, to [`Family::hidden`], and into the cache.
    fn go_on(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        tokens: &[u32],
        cache: &mut KvCache<O::Tensor>,
    );
}

/// A family over one implementation of the passes, with the memory of a step: its body, which takes sequences to hidden
/// states, and its neck, which takes those of some tokens to what the output projection reads.
pub(crate) trait Family<O: Ops>: fmt::Debug + Send + Sync {
    /// Takes sequences through the body, to [`Family::hidden`].
    fn forward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        pass: Pass,
    );

    /// The same family as one that goes on with texts; `None` where tokens see those behind them.
    fn causal(&mut self) -> Option<&mut dyn Causal<O>> {
        None
    }

    /// What the body ended with: a row for each token.
    fn hidden(&self) -> &O::Tensor;

    /// Where its gradient is to be put before [`Family::backward`].
    fn dhidden(&mut self) -> &mut O::Tensor;

    /// Takes the gradient back through the body, after a forward pass of the same `training`, and adds up those of its weights
    /// that are wanted. [`Family::hidden`] is used up.
    fn backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        sequences: &Sequences,
        training: Training,
        gradients: &mut Gradients<O::Tensor>,
    );

    /// Takes hidden states of some tokens to what the output projection reads.
    fn neck(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        picked: &O::Tensor,
        out: &mut O::Tensor,
    );

    /// Takes the gradient `dout` back through the neck, whose input was `picked`, and adds up those of its weights that are
    /// wanted.
    fn neck_backward(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        picked_and_dout: (&O::Tensor, &O::Tensor),
        dpicked: Option<&mut O::Tensor>,
        gradients: &mut Gradients<O::Tensor>,
    );

    /// The hidden states as `transformers` gives them out, `last_hidden_state`.
    fn last_hidden_states(
        &mut self,
        ops: &mut O,
        weights: &Parameters<O::Tensor>,
        out: &mut O::Tensor,
    );

    /// Places of the output projection among the weights; `None` for a body alone.
    fn projection(&self) -> Option<Linear<usize>>;

    /// The token by which a sequence is classified, of a sequence from one token to before another.
    fn pooled_token(&self, bounds: [usize; 2]) -> usize;
}
