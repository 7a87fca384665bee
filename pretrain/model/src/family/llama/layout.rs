//! Which weights a Llama has, under which names, in which order.

use crate::{
    config::{Head, LlamaConfig},
    init::Init,
    ops::Projection,
    param::{Parameter, Parameters},
};

/// Places of a model's weights among its parameters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) embedding: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: usize,
    /// The output projection or the classes; the embedding itself where they are tied.
    pub(super) output: Projection<usize>,
}

/// Places of one block's weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) query: usize,
    pub(super) key: usize,
    pub(super) value: usize,
    pub(super) output: usize,
    pub(super) gate: usize,
    pub(super) up: usize,
    pub(super) down: usize,
    pub(super) attention_norm: usize,
    pub(super) feed_forward_norm: usize,
}

/// Weights of one block.
const BLOCK_WEIGHTS: usize = 9;

impl Layout {
    /// Follows the order of [`specification`].
    pub(super) fn new(config: &LlamaConfig) -> Self {
        let blocks: Vec<Block> = (0..config.num_hidden_layers)
            .map(|layer| 1 + layer * BLOCK_WEIGHTS)
            .map(|first| Block {
                query: first,
                key: first + 1,
                value: first + 2,
                output: first + 3,
                gate: first + 4,
                up: first + 5,
                down: first + 6,
                attention_norm: first + 7,
                feed_forward_norm: first + 8,
            })
            .collect();
        let norm = 1 + blocks.len() * BLOCK_WEIGHTS;
        let tied = config.tie_word_embeddings && config.head == Head::CausalLm;
        let bias = matches!(config.head, Head::TokenClassification { .. }).then_some(norm + 2);
        let output = Projection { weight: if tied { 0 } else { norm + 1 }, bias };
        Self { embedding: 0, blocks, norm, output }
    }
}

/// Every weight of a model of this config, with its name, its shape and how it begins, in order.
pub(crate) fn specification(config: &LlamaConfig) -> Parameters<Init> {
    let hidden = config.hidden_size;
    let (query, key_value) = (config.query_size(), config.key_value_size());
    let inner = config.intermediate_size;
    let mut weights = vec![matrix(config, "model.embed_tokens", [config.vocab_size, hidden])];
    for layer in 0..config.num_hidden_layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        weights.extend([
            matrix(config, &name("self_attn.q_proj"), [query, hidden]),
            matrix(config, &name("self_attn.k_proj"), [key_value, hidden]),
            matrix(config, &name("self_attn.v_proj"), [key_value, hidden]),
            matrix(config, &name("self_attn.o_proj"), [hidden, query]),
            matrix(config, &name("mlp.gate_proj"), [inner, hidden]),
            matrix(config, &name("mlp.up_proj"), [inner, hidden]),
            matrix(config, &name("mlp.down_proj"), [hidden, inner]),
            norm(config, &name("input_layernorm")),
            norm(config, &name("post_attention_layernorm")),
        ]);
    }
    weights.push(norm(config, "model.norm"));
    match &config.head {
        Head::CausalLm if config.tie_word_embeddings => {}
        Head::CausalLm => weights.push(matrix(config, "lm_head", [config.vocab_size, hidden])),
        Head::SequenceClassification { labels } => {
            weights.push(matrix(config, "score", [labels.len(), hidden]));
        }
        Head::TokenClassification { labels } => {
            weights.push(matrix(config, "score", [labels.len(), hidden]));
            let (name, shape) = ("score.bias".to_owned(), vec![labels.len()]);
            weights.push(Parameter { name, shape, value: Init::Zero });
        }
        Head::Body | Head::MaskedLm => unreachable!("a Llama's config has no such head"),
    }
    weights.into_iter().collect()
}

fn matrix(config: &LlamaConfig, module: &str, shape: [usize; 2]) -> Parameter<Init> {
    let init = Init::Normal { std: config.initializer_range };
    Parameter { name: format!("{module}.weight"), shape: shape.to_vec(), value: init }
}

fn norm(config: &LlamaConfig, module: &str) -> Parameter<Init> {
    Parameter {
        name: format!("{module}.weight"),
        shape: vec![config.hidden_size],
        value: Init::One,
    }
}
