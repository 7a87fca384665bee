//! The shape of a model, read from and written to Hugging Face's `config.json`.

mod bert;
mod check;
mod gguf;
mod gpt2;
mod keys;
mod llama;

use std::path::Path;

use self::keys::{Keys, object};
pub use self::{
    bert::BertConfig,
    gpt2::{Activation, Gpt2Config},
    llama::LlamaConfig,
};
use crate::{error::Result, sequences::Sequences};

/// Name of the file inside a model directory.
pub const CONFIG_FILE: &str = "config.json";

/// What stands on top of the last hidden states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// `…Model`: nothing.
    Body,
    /// `…ForCausalLM`, or `…LMHeadModel`: the next token.
    CausalLm,
    /// `…ForMaskedLM`: the token that was masked.
    MaskedLm,
    /// `…ForSequenceClassification`: one class of the whole sequence, by name, in the order of their ids.
    SequenceClassification {
        /// Names of the classes; at least one.
        labels: Vec<String>,
    },
    /// `…ForTokenClassification`: a class of each token, by name, in the order of their ids.
    TokenClassification {
        /// Names of the classes; at least one.
        labels: Vec<String>,
    },
}

impl Head {
    /// Names of the classes, where there are any.
    pub fn labels(&self) -> Option<&[String]> {
        match self {
            Self::Body | Self::CausalLm | Self::MaskedLm => None,
            Self::SequenceClassification { labels } | Self::TokenClassification { labels } => {
                Some(labels)
            }
        }
    }

    /// What the class of `transformers` that loads such a model is called behind the name of its family.
    pub(crate) fn suffix(&self, family: &str) -> &'static str {
        match self {
            Self::Body => "Model",
            Self::CausalLm if family == gpt2::FAMILY => "LMHeadModel",
            Self::CausalLm => "ForCausalLM",
            Self::MaskedLm => "ForMaskedLM",
            Self::SequenceClassification { .. } => "ForSequenceClassification",
            Self::TokenClassification { .. } => "ForTokenClassification",
        }
    }

    pub(crate) fn architecture(&self, family: &str) -> String {
        format!("{family}{}", self.suffix(family))
    }
}

/// The config of a model of any family: what `model_type` chooses.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelConfig {
    /// `llama`
    Llama(LlamaConfig),
    /// `bert`
    Bert(BertConfig),
    /// `gpt2`
    Gpt2(Gpt2Config),
}

impl From<LlamaConfig> for ModelConfig {
    fn from(config: LlamaConfig) -> Self {
        Self::Llama(config)
    }
}

impl From<BertConfig> for ModelConfig {
    fn from(config: BertConfig) -> Self {
        Self::Bert(config)
    }
}

impl From<Gpt2Config> for ModelConfig {
    fn from(config: Gpt2Config) -> Self {
        Self::Gpt2(config)
    }
}

impl ModelConfig {
    /// Reads `config.json`; `file` names it in errors. Unknown keys are ignored.
    ///
    /// # Errors
    /// When it is not JSON, of another family, or refused by the family.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self> {
        let object = object(bytes, file)?;
        let keys = Keys { file, object: &object };
        match keys.only("model_type", &["bert", "gpt2", "llama"])? {
            Some("bert") => BertConfig::from_json(bytes, file).map(Self::Bert),
            Some("gpt2") => Gpt2Config::from_json(bytes, file).map(Self::Gpt2),
            _ => LlamaConfig::from_json(bytes, file).map(Self::Llama),
        }
    }

    /// `config.json` in a form that transformers 4 and 5 both read; ends with a newline, keys in alphabetical order.
    pub fn to_json(&self) -> String {
        match self {
            Self::Llama(config) => config.to_json(),
            Self::Bert(config) => config.to_json(),
            Self::Gpt2(config) => config.to_json(),
        }
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad key, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Llama(config) => config.validate(),
            Self::Bert(config) => config.validate(),
            Self::Gpt2(config) => config.validate(),
        }
    }

    /// What stands on top.
    pub fn head(&self) -> &Head {
        match self {
            Self::Llama(config) => &config.head,
            Self::Bert(config) => &config.head,
            Self::Gpt2(config) => &config.head,
        }
    }

    /// The same body under another head.
    #[must_use]
    pub fn with_head(self, head: Head) -> Self {
        match self {
            Self::Llama(config) => Self::Llama(config.with_head(head)),
            Self::Bert(config) => Self::Bert(BertConfig { head, pooler: true, ..config }),
            Self::Gpt2(config) => Self::Gpt2(config.with_head(head)),
        }
    }

    /// The head by which models of this family learn from plain text.
    pub fn language_head(&self) -> Head {
        match self {
            Self::Llama(_) | Self::Gpt2(_) => Head::CausalLm,
            Self::Bert(_) => Head::MaskedLm,
        }
    }

    /// The class of `transformers` that loads such a model.
    pub fn architecture(&self) -> String {
        self.architecture_with(self.head())
    }

    /// The class of `transformers` that loads such a model under another head.
    pub fn architecture_with(&self, head: &Head) -> String {
        head.architecture(match self {
            Self::Llama(_) => llama::FAMILY,
            Self::Bert(_) => bert::FAMILY,
            Self::Gpt2(_) => gpt2::FAMILY,
        })
    }

    /// Rows of the embedding of tokens.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Llama(config) => config.vocab_size,
            Self::Bert(config) => config.vocab_size,
            Self::Gpt2(config) => config.vocab_size,
        }
    }

    /// Longest sequence, in tokens.
    pub fn max_position_embeddings(&self) -> usize {
        match self {
            Self::Llama(config) => config.max_position_embeddings,
            Self::Bert(config) => config.max_position_embeddings,
            Self::Gpt2(config) => config.n_positions,
        }
    }

    /// Number of layers.
    pub fn num_hidden_layers(&self) -> usize {
        match self {
            Self::Llama(config) => config.num_hidden_layers,
            Self::Bert(config) => config.num_hidden_layers,
            Self::Gpt2(config) => config.n_layer,
        }
    }

    /// Rows of all embeddings: of tokens, and of positions and token types where the family has them.
    pub fn embedding_rows(&self) -> usize {
        match self {
            Self::Llama(config) => config.vocab_size,
            Self::Bert(config) => {
                config.vocab_size + config.max_position_embeddings + config.type_vocab_size
            }
            Self::Gpt2(config) => config.vocab_size + config.n_positions,
        }
    }

    /// Whether the output projection of a language model is the embedding of its tokens.
    pub fn ties_word_embeddings(&self) -> bool {
        match self {
            Self::Llama(config) => config.tie_word_embeddings,
            Self::Bert(_) => true,
            Self::Gpt2(config) => config.tie_word_embeddings,
        }
    }

    /// The same with so many layers.
    pub(crate) fn with_layers(mut self, layers: usize) -> Self {
        match &mut self {
            Self::Llama(config) => config.num_hidden_layers = layers,
            Self::Bert(config) => config.num_hidden_layers = layers,
            Self::Gpt2(config) => config.n_layer = layers,
        }
        self
    }

    /// Width of the last hidden states.
    pub fn hidden_size(&self) -> usize {
        match self {
            Self::Llama(config) => config.hidden_size,
            Self::Bert(config) => config.hidden_size,
            Self::Gpt2(config) => config.n_embd,
        }
    }

    /// The same with one probability for numbers to be dropped in training, wherever some are.
    #[must_use]
    pub fn with_dropout(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Llama(config) => {
                (config.attention_dropout, config.classifier_dropout) = (rate, Some(rate));
            }
            Self::Bert(config) => {
                config.hidden_dropout_prob = rate;
                config.attention_probs_dropout_prob = rate;
                config.classifier_dropout = None;
            }
            Self::Gpt2(config) => {
                (config.embd_pdrop, config.resid_pdrop, config.attn_pdrop) = (rate, rate, rate);
                config.classifier_dropout = Some(rate);
            }
        }
        self
    }

    /// The share of what the head reads that is dropped in training. As in `transformers`, a language model's reads all, and
    /// so do those that classify sequences by their last token.
    pub(crate) fn head_dropout(&self) -> f64 {
        match (self, self.head()) {
            (_, Head::Body | Head::CausalLm | Head::MaskedLm) => 0.0,
            (Self::Bert(config), _) => {
                config.classifier_dropout.unwrap_or(config.hidden_dropout_prob)
            }
            (Self::Llama(_) | Self::Gpt2(_), Head::SequenceClassification { .. }) => 0.0,
            (Self::Llama(config), Head::TokenClassification { .. }) => {
                config.classifier_dropout.unwrap_or(0.0)
            }
            (Self::Gpt2(config), Head::TokenClassification { .. }) => {
                config.classifier_dropout.unwrap_or(0.0)
            }
        }
    }

    /// Checks sequences against vocabulary, context and token types.
    pub(crate) fn check(&self, sequences: &Sequences) -> Result<()> {
        sequences.check(self.vocab_size(), self.max_position_embeddings())?;
        match self {
            Self::Llama(_) | Self::Gpt2(_) => Ok(()),
            Self::Bert(config) => sequences.check_types(config.type_vocab_size),
        }
    }
}
