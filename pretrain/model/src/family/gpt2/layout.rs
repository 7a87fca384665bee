//! Which weights a GPT-2 has, under which names, in which order.

use crate::{
    config::{Gpt2Config, Head},
    init::Init,
    ops::Linear,
    param::{Parameter, Parameters, Part},
};

/// Places of a norm's weight and bias among a model's parameters.
pub(super) type Norm = [usize; 2];

/// Places of a model's weights among its parameters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) tokens: usize,
    pub(super) positions: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: Norm,
    /// The output projection or the classes; the embedding of tokens itself where they are tied. `None` for a body alone.
    pub(super) output: Option<Linear<usize>>,
}

/// Places of one block's weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) attention_norm: Norm,
    /// Queries, then keys, then values.
    pub(super) query_key_value: Linear<usize>,
    pub(super) output: Linear<usize>,
    pub(super) feed_forward_norm: Norm,
    pub(super) inner: Linear<usize>,
    pub(super) outer: Linear<usize>,
}

/// Weights of the embeddings, and of one block.
const EMBEDDING_WEIGHTS: usize = 2;
const BLOCK_WEIGHTS: usize = 12;

impl Layout {
    /// Follows the order of [`specification`].
    pub(super) fn new(config: &Gpt2Config) -> Self {
        let block = |layer: usize| {
            let first = EMBEDDING_WEIGHTS + layer * BLOCK_WEIGHTS;
            let norm = |nth: usize| [first + 2 * nth, first + 2 * nth + 1];
            let linear = |nth: usize| {
                let [weight, bias] = norm(nth);
                Linear { weight, bias: Some(bias) }
            };
            Block {
                attention_norm: norm(0),
                query_key_value: linear(1),
                output: linear(2),
                feed_forward_norm: norm(3),
                inner: linear(4),
                outer: linear(5),
            }
        };
        let norm = EMBEDDING_WEIGHTS + config.n_layer * BLOCK_WEIGHTS;
        let top = norm + 2;
        let output = match config.head {
            Head::CausalLm if config.tie_word_embeddings => Some(Linear { weight: 0, bias: None }),
            Head::CausalLm | Head::SequenceClassification { .. } => {
                Some(Linear { weight: top, bias: None })
            }
            Head::TokenClassification { .. } => Some(Linear { weight: top, bias: Some(top + 1) }),
            Head::Body | Head::MaskedLm => None,
        };
        let blocks = (0..config.n_layer).map(block).collect();
        Self { tokens: 0, positions: 1, blocks, norm: [norm, norm + 1], output }
    }
}

/// What a body's names begin with, under a head.
const PREFIX: &str = "transformer.";

/// The output projection that is not tied.
const LM_HEAD: &str = "lm_head";

/// The linear layers of a block that `transformers` makes of `Conv1D`, which stores its matrix as `[in, out]`.
const CONV1D: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

/// Every weight of a model of this config, with its name, its shape and how it begins, in order.
pub(crate) fn specification(config: &Gpt2Config) -> Parameters<Init> {
    let (hidden, wide) = (config.n_embd, config.inner_size());
    let mut weights = Weights { config, part: Part::Embeddings, entries: Vec::new() };
    let std = config.initializer_range;
    // So that the residual stream has the same variance whatever the number of layers: two of them a layer are added up.
    let residual = std / (2.0 * config.n_layer as f64).sqrt();
    weights.matrix(&body(config, "wte"), [config.vocab_size, hidden], std);
    weights.matrix(&body(config, "wpe"), [config.n_positions, hidden], std);
    let [query_key_value, output, inner, outer] = CONV1D;
    for layer in 0..config.n_layer {
        weights.part = Part::Layer(layer);
        let name = |part: &str| body(config, &format!("h.{layer}.{part}"));
        weights.norm(&name("ln_1"));
        weights.linear(&name(query_key_value), [3 * hidden, hidden], std);
        weights.linear(&name(output), [hidden, hidden], residual);
        weights.norm(&name("ln_2"));
        weights.linear(&name(inner), [wide, hidden], std);
        weights.linear(&name(outer), [hidden, wide], residual);
    }
    weights.part = Part::Neck;
    weights.norm(&body(config, "ln_f"));
    weights.part = Part::Head;
    match &config.head {
        Head::CausalLm if !config.tie_word_embeddings => {
            weights.matrix(LM_HEAD, [config.vocab_size, hidden], std);
        }
        Head::SequenceClassification { labels } => {
            weights.matrix("score", [labels.len(), hidden], std);
        }
        Head::TokenClassification { labels } => {
            weights.linear("classifier", [labels.len(), hidden], std);
        }
        Head::Body | Head::CausalLm | Head::MaskedLm => {}
    }
    weights.entries.into_iter().collect()
}

/// What a tensor of a file is called in a model of this config.
///
/// A body stands with or without its prefix: the published checkpoints have none, under any head. The causal masks that
/// old checkpoints hold, and tied copies of the output projection, are passed over.
pub(crate) fn name_of(config: &Gpt2Config, stored: &str) -> Option<String> {
    let own = stored.strip_prefix(PREFIX).unwrap_or(stored);
    let is_mask = own.ends_with(".attn.bias") || own.ends_with(".attn.masked_bias");
    let is_output = own.starts_with(LM_HEAD);
    let is_head = is_output || ["score.", "classifier."].iter().any(|head| own.starts_with(head));
    match (is_mask || is_output && config.tie_word_embeddings, is_head) {
        (true, _) => None,
        (false, true) => Some(own.to_owned()),
        (false, false) => Some(body(config, own)),
    }
}

/// Whether files hold a matrix of this name as `[in, out]`.
pub(crate) fn is_transposed(name: &str) -> bool {
    let module = name.strip_suffix(".weight");
    module.is_some_and(|module| CONV1D.iter().any(|conv1d| module.ends_with(conv1d)))
}

/// The name of a part of the body.
fn body(config: &Gpt2Config, part: &str) -> String {
    let prefix = if config.head == Head::Body { "" } else { PREFIX };
    format!("{prefix}{part}")
}

/// Weights in the making.
struct Weights<'a> {
    config: &'a Gpt2Config,
    part: Part,
    entries: Vec<Parameter<Init>>,
}

impl Weights<'_> {
    fn matrix(&mut self, module: &str, shape: [usize; 2], std: f64) {
        let (name, part) = (format!("{module}.weight"), self.part);
        let value = Init::Normal { std };
        self.entries.push(Parameter { name, shape: shape.to_vec(), part, value });
    }

    fn vector(&mut self, name: &str, len: usize, value: Init) {
        let part = self.part;
        self.entries.push(Parameter { name: name.to_owned(), shape: vec![len], part, value });
    }

    fn linear(&mut self, module: &str, shape: [usize; 2], std: f64) {
        self.matrix(module, shape, std);
        self.vector(&format!("{module}.bias"), shape[0], Init::Zero);
    }

    fn norm(&mut self, module: &str) {
        let channels = self.config.n_embd;
        self.vector(&format!("{module}.weight"), channels, Init::One);
        self.vector(&format!("{module}.bias"), channels, Init::Zero);
    }
}
