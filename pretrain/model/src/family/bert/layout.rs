//! Which weights a BERT has, under which names, in which order.

use crate::{
    config::{BertConfig, Head},
    init::Init,
    ops::Linear,
    param::{Parameter, Parameters, Part},
};

/// Places of a norm's weight and bias among a model's parameters.
pub(super) type Norm = [usize; 2];

/// Places of a model's weights among its parameters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) words: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) norm: Norm,
    pub(super) blocks: Vec<Block>,
    pub(super) neck: Neck,
    /// `None` for a body alone.
    pub(super) output: Option<Linear<usize>>,
}

/// Places of one block's weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) query: Linear<usize>,
    pub(super) key: Linear<usize>,
    pub(super) value: Linear<usize>,
    pub(super) output: Linear<usize>,
    pub(super) attention_norm: Norm,
    pub(super) inner: Linear<usize>,
    pub(super) outer: Linear<usize>,
    pub(super) feed_forward_norm: Norm,
}

/// What stands between the hidden states and the output projection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Neck {
    /// The classes of tokens read them as they are.
    Nothing,
    /// `tanh` of a dense layer: the classes of sequences.
    Pooler { dense: Linear<usize> },
    /// The norm of GELU of a dense layer: masked tokens.
    Transform { dense: Linear<usize>, norm: Norm },
}

/// Weights of the embeddings, and of one block.
const EMBEDDING_WEIGHTS: usize = 5;
const BLOCK_WEIGHTS: usize = 16;

impl Layout {
    /// Follows the order of [`specification`].
    pub(super) fn new(config: &BertConfig) -> Self {
        let linear = |weight: usize| Linear { weight, bias: Some(weight + 1) };
        let block = |layer: usize| {
            let nth = |nth: usize| EMBEDDING_WEIGHTS + layer * BLOCK_WEIGHTS + 2 * nth;
            Block {
                query: linear(nth(0)),
                key: linear(nth(1)),
                value: linear(nth(2)),
                output: linear(nth(3)),
                attention_norm: [nth(4), nth(4) + 1],
                inner: linear(nth(5)),
                outer: linear(nth(6)),
                feed_forward_norm: [nth(7), nth(7) + 1],
            }
        };
        let top = EMBEDDING_WEIGHTS + config.num_hidden_layers * BLOCK_WEIGHTS;
        let (neck, output) = match config.head {
            Head::SequenceClassification { .. } => {
                (Neck::Pooler { dense: linear(top) }, Some(linear(top + 2)))
            }
            Head::TokenClassification { .. } => (Neck::Nothing, Some(linear(top))),
            Head::MaskedLm => (
                Neck::Transform { dense: linear(top + 1), norm: [top + 3, top + 4] },
                Some(Linear { weight: 0, bias: Some(top) }),
            ),
            Head::Body | Head::CausalLm => (Neck::Nothing, None),
        };
        let blocks = (0..config.num_hidden_layers).map(block).collect();
        Self { words: 0, positions: 1, types: 2, norm: [3, 4], blocks, neck, output }
    }
}

/// What a body's names begin with, under a head.
const PREFIX: &str = "bert.";

/// Every weight of a model of this config, with its name, its shape and how it begins, in order.
pub(crate) fn specification(config: &BertConfig) -> Parameters<Init> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let mut weights = Weights { config, part: Part::Embeddings, entries: Vec::new() };
    for (table, rows) in [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ] {
        weights.matrix(&body(config, &format!("embeddings.{table}_embeddings")), [rows, hidden]);
    }
    weights.norm(&body(config, "embeddings.LayerNorm"));
    for layer in 0..config.num_hidden_layers {
        weights.part = Part::Layer(layer);
        let name = |part: &str| body(config, &format!("encoder.layer.{layer}.{part}"));
        for part in ["attention.self.query", "attention.self.key", "attention.self.value"] {
            weights.linear(&name(part), [hidden, hidden]);
        }
        weights.linear(&name("attention.output.dense"), [hidden, hidden]);
        weights.norm(&name("attention.output.LayerNorm"));
        weights.linear(&name("intermediate.dense"), [inner, hidden]);
        weights.linear(&name("output.dense"), [hidden, inner]);
        weights.norm(&name("output.LayerNorm"));
    }
    weights.part = Part::Neck;
    if has_pooler(config) {
        weights.linear(&body(config, "pooler.dense"), [hidden, hidden]);
    }
    match &config.head {
        Head::Body | Head::CausalLm => {}
        Head::MaskedLm => {
            weights.part = Part::Head;
            weights.vector("cls.predictions.bias", config.vocab_size, Init::Zero);
            weights.part = Part::Neck;
            weights.linear("cls.predictions.transform.dense", [hidden, hidden]);
            weights.norm("cls.predictions.transform.LayerNorm");
        }
        Head::SequenceClassification { labels } | Head::TokenClassification { labels } => {
            weights.part = Part::Head;
            weights.linear("classifier", [labels.len(), hidden]);
        }
    }
    weights.entries.into_iter().collect()
}

/// What a tensor of a file is called in a model of this config.
///
/// A body stands with or without its prefix, norms were once called `gamma` and `beta`, and places of tokens once stood
/// among the weights. Tied copies of the output projection, the second half of `BertForPreTraining`, and a pooler that no
/// head reads are passed over.
pub(crate) fn name_of(config: &BertConfig, stored: &str) -> Option<String> {
    let is_head = stored.starts_with("cls.") || stored.starts_with("classifier.");
    let own = stored.strip_prefix(PREFIX).unwrap_or(stored);
    let own = own.replace("LayerNorm.gamma", "LayerNorm.weight");
    let own = own.replace("LayerNorm.beta", "LayerNorm.bias");
    let passed_over = own == "embeddings.position_ids"
        || own.starts_with("cls.seq_relationship.")
        || own.starts_with("cls.predictions.decoder.")
        || own.starts_with("pooler.") && !has_pooler(config);
    match (passed_over, is_head) {
        (true, _) => None,
        (false, true) => Some(own),
        (false, false) => Some(body(config, &own)),
    }
}

/// A body alone has a pooler if its weights have.
pub(crate) fn settle(config: BertConfig, has: impl Fn(&str) -> bool) -> BertConfig {
    let stored = ["", PREFIX].iter().any(|prefix| has(&format!("{prefix}pooler.dense.weight")));
    BertConfig { pooler: stored || config.head != Head::Body, ..config }
}

fn has_pooler(config: &BertConfig) -> bool {
    match config.head {
        Head::Body => config.pooler,
        Head::SequenceClassification { .. } => true,
        Head::CausalLm | Head::MaskedLm | Head::TokenClassification { .. } => false,
    }
}

/// The name of a part of the body.
fn body(config: &BertConfig, part: &str) -> String {
    let prefix = if config.head == Head::Body { "" } else { PREFIX };
    format!("{prefix}{part}")
}

/// Weights in the making.
struct Weights<'a> {
    config: &'a BertConfig,
    /// Where what comes next stands.
    part: Part,
    entries: Vec<Parameter<Init>>,
}

impl Weights<'_> {
    fn matrix(&mut self, module: &str, shape: [usize; 2]) {
        let init = Init::Normal { std: self.config.initializer_range };
        let (name, shape) = (format!("{module}.weight"), shape.to_vec());
        self.entries.push(Parameter { name, shape, part: self.part, value: init });
    }

    fn vector(&mut self, name: &str, len: usize, value: Init) {
        let (name, shape) = (name.to_owned(), vec![len]);
        self.entries.push(Parameter { name, shape, part: self.part, value });
    }

    fn linear(&mut self, module: &str, shape: [usize; 2]) {
        self.matrix(module, shape);
        self.vector(&format!("{module}.bias"), shape[0], Init::Zero);
    }

    fn norm(&mut self, module: &str) {
        let channels = self.config.hidden_size;
        self.vector(&format!("{module}.weight"), channels, Init::One);
        self.vector(&format!("{module}.bias"), channels, Init::Zero);
    }
}
