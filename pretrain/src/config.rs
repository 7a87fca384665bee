//! What a manifest can say about pre-training.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use model::{NumericProfile, OptimizerConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mask::Mask;
use crate::recipe::{FRAME_TOKENS, Family, ModelShape, Recipe};
use crate::schedule::Schedule;

/// Configuration of the stage `pretrain`. Only `shards` has to be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The step or artifact whose token shards are learnt from.
    pub shards: String,
    /// What is learnt.
    #[serde(default, skip_serializing_if = "Objective::is_causal")]
    pub objective: Objective,
    /// Which tokens are to be guessed, if `objective` is `masked`. `None` is BERT's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// Shape of the model; the size of the vocabulary comes from the shards.
    #[serde(default)]
    pub model: ModelShape,
    /// Tokens of a training sequence; at most `model.max_position_embeddings`.
    #[serde(default = "default_seq_len")]
    pub seq_len: NonZeroUsize,
    /// Sequences that are computed together: more take more memory. Part of the result, to rounding.
    #[serde(default = "default_micro_batch_size")]
    pub micro_batch_size: NonZeroU32,
    /// Micro-batches of an optimizer step, which so learns from
    /// `seq_len * micro_batch_size * micro_batches_per_step` tokens.
    #[serde(default = "default_micro_batches_per_step")]
    pub micro_batches_per_step: NonZeroU32,
    /// Length of the run, and the learning rate over it.
    #[serde(default)]
    pub schedule: Schedule,
    /// The optimizer and its constants.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Probability of numbers to be dropped in training, wherever the family drops some; from 0, below 1. It becomes that of the
    /// model's config.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
    /// Optimizer steps from one evaluation on the validation split to the next; the first is before step 1, and the
    /// finished model is always evaluated.
    #[serde(default = "default_every")]
    pub eval_every: NonZeroU64,
    /// Most sequences of an evaluation, evenly spread over the validation split.
    #[serde(default = "default_eval_sequences")]
    pub eval_sequences: NonZeroU64,
    /// Optimizer steps from one training line of `metrics.jsonl` to the next.
    #[serde(default = "default_log_every")]
    pub log_every: NonZeroU64,
    /// Optimizer steps from one stored state to the next: what a killed run can lose. Changes no result.
    #[serde(default = "default_every")]
    pub save_every: NonZeroU64,
    /// Whether the backward pass makes activations of layers again instead of keeping them: less memory, about a third more time.
    /// Changes no result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Seed of fresh weights and of the order of sequences. `None` takes the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Arithmetic to compute with; a machine that has another refuses. `None` takes that of the machine that plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_profile: Option<NumericProfile>,
}

/// What is learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The next token, at every token. Of the families `llama` and `gpt2`.
    #[default]
    Causal,
    /// Some tokens that are hidden from the model. Of family `bert`.
    Masked,
}

impl Objective {
    /// Whether it is the next token.
    pub fn is_causal(&self) -> bool {
        *self == Self::Causal
    }
}

/// Whether nothing is dropped.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}

fn default_seq_len() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(255)
}

fn default_micro_batch_size() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(7)
}

fn default_micro_batches_per_step() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

fn default_every() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(99)
}

fn default_eval_sequences() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(127)
}

fn default_log_every() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(9)
}

impl Config {
    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        self.schedule.validate()?;
        self.optimizer.validate().map_err(|error| format!("`optimizer`: {error}"))?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("`dropout` is {}, expected 0 or more and below 1", self.dropout));
        }
        self.validate_objective()?;
        self.model.validate(self.seq_len.get())
    }

    fn validate_objective(&self) -> Result<(), String> {
        let family = self.model.family;
        match (self.objective, family, &self.mask) {
            (Objective::Causal, Family::Bert, _) => {
                Err("`model.family` is `bert`, which learns with `objective = \"masked\"`"
                    .to_owned())
            }
            (Objective::Masked, Family::Llama | Family::Gpt2, _) => {
                Err("`objective` is `masked`, which is learnt with `model.family = \"bert\"`"
                    .to_owned())
            }
            (Objective::Causal, Family::Llama | Family::Gpt2, Some(_)) => {
                Err("`mask` belongs to `objective = \"masked\"`".to_owned())
            }
            (Objective::Masked, Family::Bert, Some(mask))
                if !(mask.probability > 0.0 && mask.probability <= 1.0) =>
            {
                Err(format!(
                    "`mask.probability` is {}, expected above 0 and at most 1",
                    mask.probability
                ))
            }
            (Objective::Masked, Family::Bert, _) if self.seq_len.get() <= FRAME_TOKENS => {
                Err(format!(
                    "`seq_len` is {}, expected more than the {FRAME_TOKENS} special tokens around a masked text",
                    self.seq_len
                ))
            }
            _ => Ok(()),
        }
    }

    /// With defaults that depend on other fields filled in.
    pub fn resolved(&self) -> Self {
        let mask = match self.objective {
            Objective::Causal => None,
            Objective::Masked => Some(self.mask.clone().unwrap_or_default()),
        };
        Self { mask, model: self.model.resolved(self.seq_len.get()), ..self.clone() }
    }

    /// The arithmetic that is computed with.
    pub fn profile(&self) -> NumericProfile {
        self.numeric_profile.unwrap_or_else(NumericProfile::resolve)
    }

    /// What all steps of the run have in common. `seed` is the manifest's.
    pub fn recipe(&self, seed: u64) -> Recipe {
        let config = self.resolved();
        Recipe {
            numeric_profile: config.profile(),
            seed: config.seed.unwrap_or(seed),
            mask: config.mask,
            model: config.model,
            seq_len: config.seq_len,
            micro_batch_size: config.micro_batch_size,
            micro_batches_per_step: config.micro_batches_per_step,
            peak_lr: config.schedule.peak_lr,
            optimizer: config.optimizer,
            dropout: config.dropout,
            eval_every: config.eval_every,
            eval_sequences: config.eval_sequences,
            log_every: config.log_every,
            recompute: config.recompute,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, expected: Result<(), &str>) {
        let config: Config = serde_json::from_str(config).unwrap();
        assert_eq!(config.validate(), expected.map_err(String::from));
        let resolved = serde_json::to_value(config.resolved()).unwrap();
        assert_eq!(serde_json::from_value::<Config>(resolved).unwrap(), config.resolved());
    }

    #[test]
    fn bad_values_are_refused_by_field_and_value() {
        check(r#"{"shards":"shards"}"#, Ok(()));
        check(
            r#"{"shards":"s","seq_len":512,"model":{"max_position_embeddings":256}}"#,
            Err("`seq_len` is 512, expected at most `model.max_position_embeddings`, 256"),
        );
        check(
            r#"{"shards":"s","model":{"hidden_size":30,"num_attention_heads":4}}"#,
            Err("`model.hidden_size` is 30, expected a multiple of `model.num_attention_heads`, 4"),
        );
        check(
            r#"{"shards":"s","model":{"num_key_value_heads":3}}"#,
            Err(
                "`model`: config.json: `num_key_value_heads` is 3; expected a divisor of num_attention_heads, 4",
            ),
        );
        check(r#"{"shards":"s","objective":"masked","model":{"family":"bert"}}"#, Ok(()));
        check(
            r#"{"shards":"s","objective":"masked"}"#,
            Err("`objective` is `masked`, which is learnt with `model.family = \"bert\"`"),
        );
        check(
            r#"{"shards":"s","model":{"family":"bert"}}"#,
            Err("`model.family` is `bert`, which learns with `objective = \"masked\"`"),
        );
        check(
            r#"{"shards":"s","mask":{"whole_word":true}}"#,
            Err("`mask` belongs to `objective = \"masked\"`"),
        );
        check(
            r#"{"shards":"s","objective":"masked","model":{"family":"bert"},"mask":{"probability":0}}"#,
            Err("`mask.probability` is 0, expected above 0 and at most 1"),
        );
        check(
            r#"{"shards":"s","objective":"masked","model":{"family":"bert"},"seq_len":2}"#,
            Err("`seq_len` is 2, expected more than the 2 special tokens around a masked text"),
        );
        check(
            r#"{"shards":"s","objective":"masked","model":{"family":"bert","rope_theta":1000}}"#,
            Err("`model.rope_theta` belongs to `model.family = \"llama\"`"),
        );
        let gpt2 = r#"{"shards":"s","model":{"family":"gpt2","tie_word_embeddings":false}}"#;
        check(gpt2, Ok(()));
        check(
            r#"{"shards":"s","objective":"masked","model":{"family":"gpt2"}}"#,
            Err("`objective` is `masked`, which is learnt with `model.family = \"bert\"`"),
        );
        check(
            r#"{"shards":"s","model":{"family":"gpt2","num_key_value_heads":2}}"#,
            Err("`model.num_key_value_heads` belongs to `model.family = \"llama\"`"),
        );
        check(
            r#"{"shards":"s","optimizer":{"beta1":1.0}}"#,
            Err("`optimizer`: `beta1` is 1; expected 0 or more and below 1"),
        );
        check(r#"{"shards":"s","optimizer":{"kind":"muon"}}"#, Ok(()));
        check(r#"{"shards":"s","dropout":0.1}"#, Ok(()));
        check(
            r#"{"shards":"s","dropout":1}"#,
            Err("`dropout` is 1, expected 0 or more and below 1"),
        );
        check(
            r#"{"shards":"s","optimizer":{"kind":"sgd","momentum":1.0}}"#,
            Err("`optimizer`: `momentum` is 1; expected 0 or more and below 1"),
        );
        check(
            r#"{"shards":"s","schedule":{"peak_lr":0.0}}"#,
            Err("`schedule.peak_lr` is 0, expected a positive number"),
        );
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_lists_the_right_ones() {
        let error = serde_json::from_str::<Config>(r#"{"shards":"s","sequence_length":1}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown field `sequence_length`, expected one of `shards`"),
            "{error}"
        );
        let zero = serde_json::from_str::<Config>(r#"{"shards":"s","seq_len":0}"#);
        assert!(zero.is_err());
    }
}
