//! What a manifest can say about evaluation.

use std::num::{NonZeroU32, NonZeroUsize};

use metrics::{Decoding, Scheme};
use model::NumericProfile;
use pipelines::table::examples::{ExampleTask, Split};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the stage `evaluate`: `models` or `baselines` with `examples`, or `language_models` with `shards`, or
/// both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Steps or artifacts whose classifiers are measured, every seed of them.
    pub models: Vec<String>,
    /// What they were taught.
    #[serde(skip_serializing_if = "ExampleTask::is_default")]
    pub task: ExampleTask,
    /// Which tags are an entity; of token classification only. `None` is `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_mode: Option<EntityMode>,
    /// How a model's scores become tags; of token classification only. `None` is `legal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding: Option<Decoding>,
    /// Baselines that are fitted on the train split and measured beside the models.
    pub baselines: Vec<Baseline>,
    /// The step or artifact whose examples they are measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<String>,
    /// The split that they are measured on; another than `train`.
    pub split: Split,
    /// Most tokens of a text, with the end-of-text token behind it: the `max_length` that the models were fine-tuned with.
    /// `None`, and anything above it, is the model's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<NonZeroUsize>,
    /// What happens to a text with more tokens than that. `None` is `refuse`, and `windows` for token classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_long: Option<TooLong>,
    /// Which two of `models` and `baselines` are compared. `None` compares every two, the earlier with the later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<Vec<[String; 2]>>,
    /// Steps or artifacts whose language models are measured.
    pub language_models: Vec<String>,
    /// The step or artifact whose validation split the language models are measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<String>,
    /// Arithmetic that models are computed with; a machine that has another refuses. `None` takes that of the machine that
    /// plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numeric_profile: Option<NumericProfile>,
    /// How intervals are found.
    pub bootstrap: Resampling,
    /// Seed of resamples and of swaps. `None` takes the manifest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A classifier that is fitted here, to judge the others by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Logistic regression on words and pairs of words, weighted by how rare they are.
    Tfidf,
}

impl Baseline {
    /// Its name in manifests, tables and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tfidf => "tfidf",
        }
    }
}

/// Which tags are an entity. The modes differ on illegal sequences only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntityMode {
    /// Those that conlleval sees: an `I-PER` behind an `O` begins one. The mode of most published numbers.
    #[default]
    Default,
    /// Those that are well-formed IOB2.
    Strict,
}

impl From<EntityMode> for metrics::EntityMode {
    fn from(mode: EntityMode) -> Self {
        match mode {
            EntityMode::Default => Self::Lenient,
            EntityMode::Strict => Self::Strict(Scheme::Iob2),
        }
    }
}

/// What happens to a text with more tokens than a classifier's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TooLong {
    /// It is an error.
    #[default]
    Refuse,
    /// Its first tokens are read and ended, as many as the context holds.
    Truncate,
    /// It is read in windows, as it is learnt from; of token classification only.
    Windows,
}

/// How intervals are found: the percentile bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: NonZeroU32,
    /// Level of confidence, above 0 and below 1.
    pub level: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: NonZeroU32::new(10_000).expect("not zero"), level: 0.95 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            task: ExampleTask::default(),
            entity_mode: None,
            decoding: None,
            baselines: Vec::new(),
            examples: None,
            split: Split::Test,
            max_length: None,
            too_long: None,
            compare: None,
            language_models: Vec::new(),
            shards: None,
            numeric_profile: None,
            bootstrap: Resampling::default(),
            seed: None,
        }
    }
}

impl Config {
    /// The arithmetic that models are computed with.
    pub fn profile(&self) -> NumericProfile {
        self.numeric_profile.unwrap_or_else(NumericProfile::resolve)
    }

    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        if self.classifiers().is_empty() && self.language_models.is_empty() {
            return Err(
                "nothing to measure: expected `models` or `baselines` with `examples`, or \
                        `language_models` with `shards`"
                    .into(),
            );
        }
        together(
            "examples",
            &self.examples,
            "`models` or `baselines`",
            !self.classifiers().is_empty(),
        )?;
        together("shards", &self.shards, "`language_models`", !self.language_models.is_empty())?;
        once("`models` and `baselines`", &self.classifiers())?;
        once("`language_models`", &self.language_models)?;
        if self.split == Split::Train {
            return Err(
                "`split` is `train`, expected `test` or `validation`: baselines learn from train"
                    .into(),
            );
        }
        match self.task {
            ExampleTask::SequenceClassification => self.validate_whole_texts()?,
            ExampleTask::TokenClassification => self.validate_tags()?,
        }
        let level = self.bootstrap.level;
        if !(level > 0.0 && level < 1.0) {
            return Err(format!("`bootstrap.level` is {level}, expected above 0 and below 1"));
        }
        self.compare.iter().flatten().try_for_each(|pair| self.check_pair(pair))
    }

    /// Refuses what only tags of words can have.
    fn validate_whole_texts(&self) -> Result<(), String> {
        for (field, is_given) in [
            ("`entity_mode` is given", self.entity_mode.is_some()),
            ("`decoding` is given", self.decoding.is_some()),
            ("`too_long` is `windows`", self.too_long == Some(TooLong::Windows)),
        ] {
            if is_given {
                return Err(format!(
                    "{field}, expected it for `task = \"token-classification\"` alone"
                ));
            }
        }
        Ok(())
    }

    /// Refuses what tags of words cannot have.
    fn validate_tags(&self) -> Result<(), String> {
        match self.baselines.first() {
            Some(baseline) => Err(format!(
                "`baselines` has `{}`, expected none for `task = \"token-classification\"`: it knows whole texts alone",
                baseline.name()
            )),
            None if self.models.is_empty() => {
                Err("`task` is `token-classification`, expected `models` beside it".into())
            }
            None => Ok(()),
        }
    }

    /// The same with what follows from other fields filled in.
    pub(crate) fn resolved(&self) -> Self {
        let (too_long, entity_mode, decoding) = match self.task {
            ExampleTask::SequenceClassification => (TooLong::Refuse, None, None),
            ExampleTask::TokenClassification => {
                (TooLong::Windows, Some(EntityMode::Default), Some(Decoding::Legal))
            }
        };
        Self {
            compare: Some(self.pairs()),
            too_long: self.too_long.or(Some(too_long)),
            entity_mode: self.entity_mode.or(entity_mode),
            decoding: self.decoding.or(decoding),
            ..self.clone()
        }
    }

    fn check_pair(&self, [model, other]: &[String; 2]) -> Result<(), String> {
        let known = self.classifiers();
        if let Some(name) = [model, other].into_iter().find(|name| !known.contains(name)) {
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "`compare` names `{name}`, expected of `models` and `baselines`: {known}"
            ));
        }
        if model == other {
            return Err(format!("`compare` names `{model}` twice, expected two different ones"));
        }
        Ok(())
    }

    /// Names of models, then of baselines.
    pub(crate) fn classifiers(&self) -> Vec<String> {
        let baselines = self.baselines.iter().map(|baseline| baseline.name().to_owned());
        self.models.iter().cloned().chain(baselines).collect()
    }

    /// The comparisons asked for, or every two.
    pub(crate) fn pairs(&self) -> Vec<[String; 2]> {
        self.compare.clone().unwrap_or_else(|| {
            let names = self.classifiers();
            let later = |at: usize| names[at + 1..].iter().map(move |name| (at, name.clone()));
            (0..names.len()).flat_map(later).map(|(at, name)| [names[at].clone(), name]).collect()
        })
    }
}

fn together(field: &str, given: &Option<String>, with: &str, wanted: bool) -> Result<(), String> {
    match (given, wanted) {
        (None, true) => Err(format!("`{field}` is missing, expected it beside {with}")),
        (Some(_), false) => Err(format!("`{field}` is of no use without {with}: leave it out")),
        _ => Ok(()),
    }
}

fn once(fields: &str, names: &[String]) -> Result<(), String> {
    match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        Some((_, name)) => Err(format!("{fields} name `{name}` twice, expected different names")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(manifest: &str, expected: &str) {
        let config: Config = serde_json::from_str(manifest).unwrap();
        assert_eq!(config.validate().err().unwrap_or_default(), expected);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn bad_values_are_refused_by_field_and_value() {
        check(r#"{"models":["a"],"examples":"e"}"#, "");
        check(r#"{"baselines":["tfidf"],"examples":"e","split":"validation"}"#, "");
        check(r#"{"language_models":["b"],"shards":"s"}"#, "");
        check(
            r#"{"models":["a"]}"#,
            "`examples` is missing, expected it beside `models` or `baselines`",
        );
        check(
            r#"{"models":["a"],"examples":"e","shards":"s"}"#,
            "`shards` is of no use without `language_models`: leave it out",
        );
        check(
            r#"{"models":["a","a"],"examples":"e"}"#,
            "`models` and `baselines` name `a` twice, expected different names",
        );
        check(
            r#"{"models":["tfidf"],"baselines":["tfidf"],"examples":"e"}"#,
            "`models` and `baselines` name `tfidf` twice, expected different names",
        );
        check(
            r#"{"models":["a"],"examples":"e","split":"train"}"#,
            "`split` is `train`, expected `test` or `validation`: baselines learn from train",
        );
        check(
            r#"{"models":["a"],"examples":"e","bootstrap":{"level":1.0}}"#,
            "`bootstrap.level` is 1, expected above 0 and below 1",
        );
        check(
            r#"{"models":["a","b"],"examples":"e","compare":[["a","c"]]}"#,
            "`compare` names `c`, expected of `models` and `baselines`: `a`, `b`",
        );
        check(
            r#"{"models":["a","b"],"examples":"e","compare":[["a","a"]]}"#,
            "`compare` names `a` twice, expected two different ones",
        );
        let only = |found: &str| {
            format!("{found}, expected it for `task = \"token-classification\"` alone")
        };
        check(
            r#"{"models":["a"],"examples":"e","entity_mode":"strict"}"#,
            &only("`entity_mode` is given"),
        );
        check(
            r#"{"models":["a"],"examples":"e","too_long":"windows"}"#,
            &only("`too_long` is `windows`"),
        );
        let tags = r#"{"task":"token-classification","#;
        check(&format!(r#"{tags}"models":["a"],"examples":"e","decoding":"argmax"}}"#), "");
        check(
            &format!(r#"{tags}"models":["a"],"baselines":["tfidf"],"examples":"e"}}"#),
            "`baselines` has `tfidf`, expected none for `task = \"token-classification\"`: it knows whole texts alone",
        );
        check(
            &format!(r#"{tags}"language_models":["b"],"shards":"s"}}"#),
            "`task` is `token-classification`, expected `models` beside it",
        );
        let nothing: Config = serde_json::from_str("{}").unwrap();
        assert!(nothing.validate().unwrap_err().starts_with("nothing to measure"));
    }

    #[test]
    fn misspelt_keys_are_refused_with_the_right_ones() {
        let error = serde_json::from_str::<Config>(r#"{"model":["a"]}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `model`, expected one of `models`"), "{error}");
    }

    #[test]
    fn every_two_are_compared_unless_some_are_named() {
        let config = Config {
            models: vec!["a".into(), "b".into()],
            baselines: vec![Baseline::Tfidf],
            ..Config::default()
        };
        let pairs: Vec<String> = config.pairs().iter().map(|pair| pair.join(" ")).collect();
        assert_eq!(pairs, ["a b", "a tfidf", "b tfidf"]);
    }
}
