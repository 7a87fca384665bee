//! Which weights a Llama has, under which names, in which order.

use crate::{
    config::{Head, LlamaConfig},
    init::Init,
    ops::Linear,
    param::{Parameter, Parameters, Part},
};

/// Places of a model's weights among its parameters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) embedding: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: usize,
    /// The output projection or the classes; the embedding itself where they are tied.
    pub(super) output: Linear<usize>,
}

/// Places of one block's weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) query: Linear<usize>,
    pub(super) key: Linear<usize>,
    pub(super) value: Linear<usize>,
    pub(super) output: Linear<usize>,
    pub(super) gate: Linear<usize>,
    pub(super) up: Linear<usize>,
    pub(super) down: Linear<usize>,
    pub(super) attention_norm: usize,
    pub(super) feed_forward_norm: usize,
}

/// Weights of one block.
const BLOCK_WEIGHTS: usize = 9;

/// Whether the output projection is the embedding.
pub(in super::super) fn is_tied(config: &LlamaConfig) -> bool {
    config.tie_word_embeddings && config.head == Head::CausalLm
}

impl Layout {
    /// Follows the order of [`specification`].
    pub(super) fn new(config: &LlamaConfig) -> Self {
        let linear = |weight| Linear { weight, bias: None };
        let blocks: Vec<Block> = (0..config.num_hidden_layers)
            .map(|layer| 1 + layer * BLOCK_WEIGHTS)
            .map(|first| Block {
                query: linear(first),
                key: linear(first + 1),
                value: linear(first + 2),
                output: linear(first + 3),
                gate: linear(first + 4),
                up: linear(first + 5),
                down: linear(first + 6),
                attention_norm: first + 7,
                feed_forward_norm: first + 8,
            })
            .collect();
        let norm = 1 + blocks.len() * BLOCK_WEIGHTS;
        let tied = is_tied(config);
        let bias = matches!(config.head, Head::TokenClassification { .. }).then_some(norm + 2);
        let output = Linear { weight: if tied { 0 } else { norm + 1 }, bias };
        Self { embedding: 0, blocks, norm, output }
    }
}

/// Every weight of a model of this config, with its name, its shape and how it begins, in order.
pub(crate) fn specification(config: &LlamaConfig) -> Parameters<Init> {
    let hidden = config.hidden_size;
    let (query, key_value) = (config.query_size(), config.key_value_size());
    let inner = config.intermediate_size;
    let embeddings =
        matrix(config, Part::Embeddings, "model.embed_tokens", [config.vocab_size, hidden]);
    let mut weights = vec![embeddings];
    for layer in 0..config.num_hidden_layers {
        let name = |module: &str| format!("model.layers.{layer}.{module}");
        let part = Part::Layer(layer);
        weights.extend([
            matrix(config, part, &name("self_attn.q_proj"), [query, hidden]),
            matrix(config, part, &name("self_attn.k_proj"), [key_value, hidden]),
            matrix(config, part, &name("self_attn.v_proj"), [key_value, hidden]),
            matrix(config, part, &name("self_attn.o_proj"), [hidden, query]),
            matrix(config, part, &name("mlp.gate_proj"), [inner, hidden]),
            matrix(config, part, &name("mlp.up_proj"), [inner, hidden]),
            matrix(config, part, &name("mlp.down_proj"), [hidden, inner]),
            norm(config, part, &name("input_layernorm")),
            norm(config, part, &name("post_attention_layernorm")),
        ]);
    }
    weights.push(norm(config, Part::Neck, "model.norm"));
    weights.extend(head(config));
    weights.into_iter().collect()
}

/// The output projection, where it is not the embedding.
fn head(config: &LlamaConfig) -> Vec<Parameter<Init>> {
    let matrix = |module, rows| matrix(config, Part::Head, module, [rows, config.hidden_size]);
    match &config.head {
        Head::CausalLm if config.tie_word_embeddings => vec![],
        Head::CausalLm => vec![matrix("lm_head", config.vocab_size)],
        Head::SequenceClassification { labels } => vec![matrix("score", labels.len())],
        Head::TokenClassification { labels } => {
            let (name, shape) = ("score.bias".to_owned(), vec![labels.len()]);
            let bias = Parameter { name, shape, part: Part::Head, value: Init::Zero };
            vec![matrix("score", labels.len()), bias]
        }
        Head::Body | Head::MaskedLm => unreachable!("a Llama's config has no such head"),
    }
}

fn matrix(config: &LlamaConfig, part: Part, module: &str, shape: [usize; 2]) -> Parameter<Init> {
    let init = Init::Normal { std: config.initializer_range };
    Parameter { name: format!("{module}.weight"), shape: shape.to_vec(), part, value: init }
}

fn norm(config: &LlamaConfig, part: Part, module: &str) -> Parameter<Init> {
    let shape = vec![config.hidden_size];
    Parameter { name: format!("{module}.weight"), shape, part, value: Init::One }
}
