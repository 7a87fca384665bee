//! The shape of a BERT.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    CONFIG_FILE, Head,
    check::Check,
    keys::{Keys, object, write},
};
use crate::error::Result;

/// What the names of its classes in `transformers` begin with.
pub(crate) const FAMILY: &str = "Bert";

/// The heads that are implemented. The second half of `ForPreTraining`, which tells whether two texts follow each other,
/// is let go.
const HEADS: [&str; 5] = [
    "Model",
    "ForMaskedLM",
    "ForPreTraining",
    "ForSequenceClassification",
    "ForTokenClassification",
];

/// Shape and constants of a BERT; fields are named as in published configs.
///
/// Source: `transformers` 5, `BertConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Rows of the embedding of tokens.
    pub vocab_size: usize,
    /// Width of the hidden states; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Longest sequence, in tokens: rows of the embedding of positions.
    pub max_position_embeddings: usize,
    /// Rows of the embedding of token types.
    pub type_vocab_size: usize,
    /// Added to the variance under the root.
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh matrices.
    pub initializer_range: f64,
    /// Share of hidden states that is dropped in training, from 0, below 1: of the embedded tokens, and of what attention and
    /// the feed-forward part add.
    pub hidden_dropout_prob: f64,
    /// Share of attention that is dropped in training, from 0, below 1.
    pub attention_probs_dropout_prob: f64,
    /// Share of what a classifier reads that is dropped in training, from 0, below 1. `None` is `hidden_dropout_prob`.
    pub classifier_dropout: Option<f64>,
    /// Fills batches in other programs; we never pad.
    pub pad_token_id: Option<u32>,
    /// Whether a body alone ([`Head::Body`]) ends in a pooler. `config.json` does not say: the weights do.
    pub pooler: bool,
    /// What stands on top.
    pub head: Head,
}

impl BertConfig {
    /// Reads `config.json`; `file` names it in errors. Unknown keys are ignored.
    ///
    /// A body alone is taken to have a pooler, until its weights are seen.
    ///
    /// # Errors
    /// When it is not JSON, when a key is missing or of another type, and when it asks for something that is not
    /// implemented: another activation than the exact GELU, relative positions, a decoder, an output projection of its own.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self> {
        let object = object(bytes, file)?;
        let keys = Keys { file, object: &object };
        reject_unimplemented(&keys)?;
        let config = Self {
            vocab_size: keys.required("vocab_size")?,
            hidden_size: keys.required("hidden_size")?,
            intermediate_size: keys.required("intermediate_size")?,
            num_hidden_layers: keys.required("num_hidden_layers")?,
            num_attention_heads: keys.required("num_attention_heads")?,
            max_position_embeddings: keys.count("max_position_embeddings")?.unwrap_or(512),
            type_vocab_size: keys.count("type_vocab_size")?.unwrap_or(2),
            layer_norm_eps: keys.number("layer_norm_eps")?.unwrap_or(1e-12),
            initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
            hidden_dropout_prob: keys.number("hidden_dropout_prob")?.unwrap_or(0.1),
            attention_probs_dropout_prob: keys
                .number("attention_probs_dropout_prob")?
                .unwrap_or(0.1),
            classifier_dropout: keys.number("classifier_dropout")?,
            pad_token_id: keys.token_ids("pad_token_id")?.first().copied(),
            pooler: true,
            head: keys.head(FAMILY, &HEADS, Head::Body)?,
        };
        config.validate_as(file)?;
        Ok(config)
    }

    /// `config.json` in a form that transformers 4 and 5 both read; ends with a newline, keys in alphabetical order.
    pub fn to_json(&self) -> String {
        let constant = json!({
            "architectures": [self.head.architecture(FAMILY)],
            "attention_probs_dropout_prob": self.attention_probs_dropout_prob,
            "dtype": "float32",
            "hidden_act": "gelu",
            "hidden_dropout_prob": self.hidden_dropout_prob,
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
            "intermediate_size": self.intermediate_size,
            "layer_norm_eps": self.layer_norm_eps,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": "bert",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "pad_token_id": self.pad_token_id,
            "position_embedding_type": "absolute",
            "tie_word_embeddings": true,
            "torch_dtype": "float32",
            "type_vocab_size": self.type_vocab_size,
            "vocab_size": self.vocab_size,
        });
        write(constant, self.classifier_dropout, &self.head)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad key, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        self.validate_as(Path::new(CONFIG_FILE))
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    fn validate_as(&self, file: &Path) -> Result<()> {
        let check = Check { file };
        check.counts(&[
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ])?;
        let heads = self.num_attention_heads;
        check.that(
            "hidden_size",
            self.hidden_size.is_multiple_of(heads),
            self.hidden_size,
            &format!("a multiple of num_attention_heads, {heads}"),
        )?;
        check.positive("layer_norm_eps", self.layer_norm_eps)?;
        check.not_negative("initializer_range", self.initializer_range)?;
        for (key, share) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ] {
            check.rate(key, share)?;
        }
        check.ids("pad_token_id", self.pad_token_id.as_slice(), self.vocab_size)?;
        check.head(&self.head, FAMILY, &HEADS)
    }
}

fn reject_unimplemented(keys: &Keys) -> Result<()> {
    keys.only("model_type", &["bert"])?;
    keys.only("hidden_act", &["gelu"])?;
    keys.only("position_embedding_type", &["absolute"])?;
    for (key, implemented) in
        [("is_decoder", false), ("add_cross_attention", false), ("tie_word_embeddings", true)]
    {
        if keys.flag(key)?.is_some_and(|found| found != implemented) {
            return keys.refuse(key, &Value::Bool(!implemented), &implemented.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINILM: &str = r#"{"_name_or_path": "nreimers/MiniLM-L6-H384-uncased", "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": false, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 384, "initializer_range": 0.02, "intermediate_size": 1536,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12,
        "num_hidden_layers": 6, "pad_token_id": 0, "position_embedding_type": "absolute", "type_vocab_size": 2,
        "use_cache": true, "vocab_size": 30522}"#;

    fn read(json: &str) -> Result<BertConfig> {
        BertConfig::from_json(json.as_bytes(), Path::new("m/config.json"))
    }

    #[track_caller]
    fn refused(from: &str, to: &str, message: &str) {
        assert!(MINILM.contains(from), "{from}");
        assert_eq!(read(&MINILM.replace(from, to)).unwrap_err().to_string(), message);
    }

    #[test]
    fn written_configs_are_read_back_equal() {
        let mut config = read(MINILM).unwrap();
        assert_eq!((config.head_dim(), &config.head), (32, &Head::Body));
        let labels = vec!["no".to_owned(), "yes".to_owned()];
        for head in [
            Head::Body,
            Head::MaskedLm,
            Head::SequenceClassification { labels: labels.clone() },
            Head::TokenClassification { labels },
        ] {
            config.head = head;
            config.classifier_dropout = config.head.labels().map(|_| 0.2);
            assert_eq!(read(&config.to_json()).unwrap(), config);
        }
    }

    #[test]
    fn what_is_not_implemented_is_refused() {
        refused(
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"gelu_new\"",
            "m/config.json: `hidden_act` is \"gelu_new\"; expected [\"gelu\"]",
        );
        refused(
            "\"absolute\"",
            "\"relative_key\"",
            "m/config.json: `position_embedding_type` is \"relative_key\"; expected [\"absolute\"]",
        );
        refused(
            "\"use_cache\": true",
            "\"is_decoder\": true",
            "m/config.json: `is_decoder` is true; expected false",
        );
        refused(
            "\"use_cache\": true",
            "\"tie_word_embeddings\": false",
            "m/config.json: `tie_word_embeddings` is false; expected true",
        );
        refused(
            "BertModel",
            "BertForQuestionAnswering",
            "m/config.json: `architectures` is [\"BertForQuestionAnswering\"]; expected [\"BertModel\"] or \
             [\"BertForMaskedLM\"] or [\"BertForPreTraining\"] or [\"BertForSequenceClassification\"] or \
             [\"BertForTokenClassification\"]",
        );
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        refused(
            "\"num_attention_heads\": 12",
            "\"num_attention_heads\": 10",
            "m/config.json: `hidden_size` is 384; expected a multiple of num_attention_heads, 10",
        );
        refused(
            "\"hidden_dropout_prob\": 0.1",
            "\"hidden_dropout_prob\": 1",
            "m/config.json: `hidden_dropout_prob` is 1; expected 0 or more and below 1",
        );
        refused(
            "\"vocab_size\": 30522",
            "\"no_vocab_size\": 30522",
            "m/config.json: `vocab_size` is null; expected a whole number",
        );
    }
}
