//! What a manifest can say about fine-tuning.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};

use model::{AdamWConfig, Freeze, NumericProfile, OptimizerConfig};
use pipelines::table::examples::ExampleTask;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the stage `finetune`. `examples` and `model` have to be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The step or artifact whose examples are learnt from.
    pub examples: String,
    /// The step or artifact whose checkpoint gives shape, vocabulary and, if `init` is `pretrained`, weights.
    pub model: String,
    /// Where weights come from.
    #[serde(default)]
    pub init: Init,
    /// What is learnt.
    #[serde(default)]
    pub task: ExampleTask,
    /// Which tokens of a word learn its tag; of token classification only. `None` is `first`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled_tokens: Option<LabelledTokens>,
    /// Most tokens of a text, with the special tokens around it; at most the model's context. `None` is the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<NonZeroUsize>,
    /// What happens to a text of more than `max_length` tokens. `None` is `refuse`, and `windows` for token classification:
    /// there nothing is lost, since every word is learnt and judged once, whichever window it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_long: Option<TooLong>,
    /// Times that every training row is seen.
    #[serde(default = "default_epochs")]
    pub epochs: NonZeroU32,
    /// Sequences of an optimizer step. The last step of an epoch may have fewer.
    #[serde(default = "default_batch_size")]
    pub batch_size: NonZeroUsize,
    /// Sequences that are computed together, at most `batch_size`: fewer take less memory. Part of the result, to rounding. `None`
    /// is `batch_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch_size: Option<NonZeroUsize>,
    /// Whether the backward pass makes activations of layers again instead of keeping them: less memory, about a third more time.
    /// Changes no result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Learning rate after warm-up; it falls in a line to zero after the last step. Above 0.
    #[serde(default = "default_peak_lr")]
    pub peak_lr: f64,
    /// Share of all optimizer steps that warm up linearly, from 0 to 1.
    #[serde(default = "default_warmup_ratio")]
    pub warmup_ratio: f64,
    /// AdamW's decay of matrices, as a share of the learning rate; 0 or more. `None` is 0.01; belongs into `optimizer` if that is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Largest L2 norm of the mean gradient; above 0. `None` is 1; belongs into `optimizer` if that is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The optimizer and its constants, as in pretrain, whose defaults hold in it. `None` is AdamW with the betas 0.9 and 0.999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerConfig>,
    /// Learning rate of each layer, as a share of that of the layer above it; above 0 and at most 1. The head has `peak_lr`, the
    /// embeddings the lowest. `None` is one rate for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_lr_decay: Option<f64>,
    /// Probability of numbers to be dropped in training, wherever the family drops some; from 0, below 1. It becomes that of the
    /// classifiers' configs. `None` is what the config of `model` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// What of the model is not trained. `None` is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    /// Seeds of the head (and of all weights from `scratch`) and of the order of rows: one model each.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Deals the labels of the training rows anew, by the seed. A control: whoever then beats chance has seen the answers.
    #[serde(default)]
    pub shuffle_labels: bool,
    /// Arithmetic to compute with; a machine that has another refuses. `None` takes that of the machine that plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_profile: Option<NumericProfile>,
}

/// Where weights come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// From the checkpoint; only the head is fresh.
    #[default]
    Pretrained,
    /// Fresh weights in the checkpoint's shape: what pre-training is compared with.
    Scratch,
}

/// Which tokens of a word learn its tag. A word is always judged by its first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelledTokens {
    /// The first one: words of many tokens do not count more.
    #[default]
    First,
    /// All.
    All,
}

/// What happens to a text that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TooLong {
    /// It is an error.
    #[default]
    Refuse,
    /// Its end is cut off; how many were cut is counted.
    Truncate,
    /// It is read in windows, each beginning with the last quarter of the one before; of token classification only.
    Windows,
}

fn default_epochs() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(2)
}

fn default_batch_size() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(15)
}

fn default_peak_lr() -> f64 {
    3e-4
}

fn default_warmup_ratio() -> f64 {
    0.1
}

/// What is not said of AdamW.
const BETA2: f64 = 0.999;
const WEIGHT_DECAY: f64 = 0.01;
const MAX_GRAD_NORM: f64 = 1.0;

fn default_seeds() -> Vec<u64> {
    vec![1, 2, 3]
}

impl Config {
    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let layer_lr_decay = self.layer_lr_decay.unwrap_or(1.0);
        let is_share = layer_lr_decay > 0.0 && layer_lr_decay <= 1.0;
        let dropout = self.dropout.unwrap_or(0.0);
        let is_rate = (0.0..1.0).contains(&dropout);
        for (field, found, holds, expected) in [
            ("peak_lr", self.peak_lr, positive(self.peak_lr), "a positive number"),
            ("warmup_ratio", self.warmup_ratio, (0.0..=1.0).contains(&self.warmup_ratio), "0 to 1"),
            ("layer_lr_decay", layer_lr_decay, is_share, "above 0 and at most 1"),
            ("dropout", dropout, is_rate, "0 or more and below 1"),
        ] {
            if !holds {
                return Err(format!("`{field}` is {found}, expected {expected}"));
            }
        }
        self.validate_optimizer()?;
        let most = self.batch_size;
        if let Some(found) = self.micro_batch_size.filter(|found| *found > most) {
            let message = "expected at most `batch_size`";
            return Err(format!("`micro_batch_size` is {found}, {message}, {most}"));
        }
        if self.task == ExampleTask::SequenceClassification {
            self.validate_whole_texts()?;
        }
        if self.seeds.is_empty() {
            return Err("`seeds` is empty, expected at least one".into());
        }
        let mut seen = BTreeSet::new();
        match self.seeds.iter().find(|seed| !seen.insert(**seed)) {
            Some(seed) => Err(format!("`seeds` has {seed} twice, expected different seeds")),
            None => Ok(()),
        }
    }

    fn validate_optimizer(&self) -> Result<(), String> {
        let beside = [
            ("weight_decay", self.weight_decay.is_some()),
            ("max_grad_norm", self.max_grad_norm.is_some()),
        ];
        match (&self.optimizer, beside.iter().find(|(_, is_given)| *is_given)) {
            (Some(_), Some((field, _))) => {
                Err(format!("`{field}` is given beside `optimizer`, expected it inside"))
            }
            (Some(optimizer), None) => {
                optimizer.validate().map_err(|error| format!("`optimizer`: {error}"))
            }
            (None, _) => self.constants().validate().map_err(|error| error.to_string()),
        }
    }

    /// The optimizer and its constants.
    pub fn constants(&self) -> OptimizerConfig {
        let adamw = || AdamWConfig {
            beta2: BETA2,
            weight_decay: self.weight_decay.unwrap_or(WEIGHT_DECAY),
            max_grad_norm: Some(self.max_grad_norm.unwrap_or(MAX_GRAD_NORM)),
            ..AdamWConfig::default()
        };
        self.optimizer.clone().unwrap_or_else(|| adamw().into())
    }

    /// Refuses what only tags of words can have.
    fn validate_whole_texts(&self) -> Result<(), String> {
        let only = "expected it for `task = \"token-classification\"` alone";
        if self.labelled_tokens.is_some() {
            return Err(format!("`labelled_tokens` is given, {only}"));
        }
        match self.too_long {
            Some(TooLong::Windows) => Err(format!("`too_long` is `windows`, {only}")),
            _ => Ok(()),
        }
    }

    /// The same with what follows from the task filled in, and AdamW's constants where nothing is said of the optimizer.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let unless_given = |value: f64| self.optimizer.is_none().then_some(value);
        let (too_long, labelled_tokens) = match self.task {
            ExampleTask::SequenceClassification => (TooLong::Refuse, None),
            ExampleTask::TokenClassification => (TooLong::Windows, Some(LabelledTokens::First)),
        };
        Self {
            too_long: self.too_long.or(Some(too_long)),
            labelled_tokens: self.labelled_tokens.or(labelled_tokens),
            weight_decay: self.weight_decay.or(unless_given(WEIGHT_DECAY)),
            max_grad_norm: self.max_grad_norm.or(unless_given(MAX_GRAD_NORM)),
            ..self.clone()
        }
    }

    /// The arithmetic that is computed with.
    pub fn profile(&self) -> NumericProfile {
        self.numeric_profile.unwrap_or_else(NumericProfile::resolve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &str, expected: Result<(), &str>) {
        let text = format!(r#"{{"examples":"labels","model":"base"{fields}}}"#);
        let config: Config = serde_json::from_str(&text).unwrap();
        assert_eq!(config.validate(), expected.map_err(String::from));
    }

    #[test]
    fn bad_values_are_refused_by_field_and_value() {
        check("", Ok(()));
        check(r#","warmup_ratio":1"#, Ok(()));
        check(r#","warmup_ratio":1.1"#, Err("`warmup_ratio` is 1.1, expected 0 to 1"));
        check(r#","peak_lr":0"#, Err("`peak_lr` is 0, expected a positive number"));
        check(r#","weight_decay":-1"#, Err("`weight_decay` is -1; expected 0 or more"));
        check(
            r#","layer_lr_decay":0"#,
            Err("`layer_lr_decay` is 0, expected above 0 and at most 1"),
        );
        check(r#","dropout":0.9"#, Ok(()));
        check(r#","dropout":1"#, Err("`dropout` is 1, expected 0 or more and below 1"));
        check(r#","optimizer":{"kind":"muon"},"freeze":{"embeddings":true,"layers":2}"#, Ok(()));
        check(
            r#","optimizer":{"kind":"sgd"},"weight_decay":0.1"#,
            Err("`weight_decay` is given beside `optimizer`, expected it inside"),
        );
        check(
            r#","optimizer":{"eps":0}"#,
            Err("`optimizer`: `eps` is 0; expected a positive number"),
        );
        check(r#","batch_size":4,"micro_batch_size":4"#, Ok(()));
        check(
            r#","batch_size":4,"micro_batch_size":5"#,
            Err("`micro_batch_size` is 5, expected at most `batch_size`, 4"),
        );
        check(r#","seeds":[]"#, Err("`seeds` is empty, expected at least one"));
        check(
            r#","task":"token-classification","labelled_tokens":"all","too_long":"windows""#,
            Ok(()),
        );
        let only = |found: &str| {
            format!("{found}, expected it for `task = \"token-classification\"` alone")
        };
        check(r#","labelled_tokens":"all""#, Err(&only("`labelled_tokens` is given")));
        check(r#","too_long":"windows""#, Err(&only("`too_long` is `windows`")));
        check(r#","seeds":[1,2,1]"#, Err("`seeds` has 1 twice, expected different seeds"));
    }

    #[test]
    fn a_misspelt_value_is_an_error_that_lists_the_right_ones() {
        let text = r#"{"examples":"labels","model":"base","init":"random"}"#;
        let error = serde_json::from_str::<Config>(text).unwrap_err().to_string();
        assert!(
            error.contains("unknown variant `random`, expected `pretrained` or `scratch`"),
            "{error}"
        );
    }
}
