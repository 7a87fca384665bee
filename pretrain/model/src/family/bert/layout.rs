//! Which weights a BERT has, under which names, in which order.

use crate::{
    config::{BertConfig, Head},
    init::Init,
    ops::Projection,
    param::{Parameter, Parameters},
};

/// Places of a weight and of its bias among a model's parameters.
pub(super) type Affine = [usize; 2];

/// Places of a model's weights among its parameters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) words: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) norm: Affine,
    pub(super) blocks: Vec<Block>,
    pub(super) neck: Neck,
    /// `None` for a body alone.
    pub(super) output: Option<Projection<usize>>,
}

/// Places of one block's weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) query: Affine,
    pub(super) key: Affine,
    pub(super) value: Affine,
    pub(super) output: Affine,
    pub(super) attention_norm: Affine,
    pub(super) inner: Affine,
    pub(super) outer: Affine,
    pub(super) feed_forward_norm: Affine,
}

/// What stands between the hidden states and the output projection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Neck {
    /// The classes of tokens read them as they are.
    Nothing,
    /// `tanh` of a dense layer: the classes of sequences.
    Pooler { dense: Affine },
    /// The norm of GELU of a dense layer: masked tokens.
    Transform { dense: Affine, norm: Affine },
}

/// Weights of the embeddings, and of one block.
const EMBEDDING_WEIGHTS: usize = 5;
const BLOCK_WEIGHTS: usize = 16;

impl Layout {
    /// Follows the order of [`specification`].
    pub(super) fn new(config: &BertConfig) -> Self {
        let affine = |first: usize| [first, first + 1];
        let block = |layer: usize| {
            let nth = |nth: usize| affine(EMBEDDING_WEIGHTS + layer * BLOCK_WEIGHTS + 2 * nth);
            Block {
                query: nth(0),
                key: nth(1),
                value: nth(2),
                output: nth(3),
                attention_norm: nth(4),
                inner: nth(5),
                outer: nth(6),
                feed_forward_norm: nth(7),
            }
        };
        let top = EMBEDDING_WEIGHTS + config.num_hidden_layers * BLOCK_WEIGHTS;
        let classes = |at: usize| Some(Projection { weight: at, bias: Some(at + 1) });
        let (neck, output) = match config.head {
            Head::SequenceClassification { .. } => {
                (Neck::Pooler { dense: affine(top) }, classes(top + 2))
            }
            Head::TokenClassification { .. } => (Neck::Nothing, classes(top)),
            Head::MaskedLm => (
                Neck::Transform { dense: affine(top + 1), norm: affine(top + 3) },
                Some(Projection { weight: 0, bias: Some(top) }),
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
    let mut weights = Weights { config, entries: Vec::new() };
    for (table, rows) in [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ] {
        weights.matrix(&body(config, &format!("embeddings.{table}_embeddings")), [rows, hidden]);
    }
    weights.norm(&body(config, "embeddings.LayerNorm"));
    for layer in 0..config.num_hidden_layers {
        let name = |part: &str| body(config, &format!("encoder.layer.{layer}.{part}"));
        for part in ["attention.self.query", "attention.self.key", "attention.self.value"] {
            weights.affine(&name(part), [hidden, hidden]);
        }
        weights.affine(&name("attention.output.dense"), [hidden, hidden]);
        weights.norm(&name("attention.output.LayerNorm"));
        weights.affine(&name("intermediate.dense"), [inner, hidden]);
        weights.affine(&name("output.dense"), [hidden, inner]);
        weights.norm(&name("output.LayerNorm"));
    }
    if has_pooler(config) {
        weights.affine(&body(config, "pooler.dense"), [hidden, hidden]);
    }
    match &config.head {
        Head::Body | Head::CausalLm => {}
        Head::MaskedLm => {
            weights.vector("cls.predictions.bias", config.vocab_size, Init::Zero);
            weights.affine("cls.predictions.transform.dense", [hidden, hidden]);
            weights.norm("cls.predictions.transform.LayerNorm");
        }
        Head::SequenceClassification { labels } | Head::TokenClassification { labels } => {
            weights.affine("classifier", [labels.len(), hidden]);
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
    entries: Vec<Parameter<Init>>,
}

impl Weights<'_> {
    fn matrix(&mut self, module: &str, shape: [usize; 2]) {
        let init = Init::Normal { std: self.config.initializer_range };
        let name = format!("{module}.weight");
        self.entries.push(Parameter { name, shape: shape.to_vec(), value: init });
    }

    fn vector(&mut self, name: &str, len: usize, value: Init) {
        self.entries.push(Parameter { name: name.to_owned(), shape: vec![len], value });
    }

    fn affine(&mut self, module: &str, shape: [usize; 2]) {
        self.matrix(module, shape);
        self.vector(&format!("{module}.bias"), shape[0], Init::Zero);
    }

    fn norm(&mut self, module: &str) {
        let channels = self.config.hidden_size;
        self.vector(&format!("{module}.weight"), channels, Init::One);
        self.vector(&format!("{module}.bias"), channels, Init::Zero);
    }
}
