//! `results.json`: what was measured, as other programs read it.
//!
//! Version 1. Every number that has an interval stands with it, its unit, and how the interval was found. Readers refuse
//! newer versions and ignore keys that they do not know.

use std::collections::BTreeMap;

use metrics::{
    ClassScores, Confusion, Decoding, EntityAverage, EntityMetric, EntityScores, Estimate, Metric,
    Test,
};
use pipelines::table::examples::Split;
use serde::{Deserialize, Serialize};

use crate::{
    config::{EntityMode, Resampling},
    error::{EvaluateError, Result},
};

/// The version that this build writes, and the newest that it reads.
pub const VERSION: u64 = 1;

/// All of `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of the format.
    pub version: u64,
    /// Seed of resamples and swaps.
    pub seed: u64,
    /// How intervals were found.
    pub bootstrap: Resampling,
    /// Classifiers on examples, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Token classifiers on examples, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Entities>,
    /// Language models on documents, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// A number with its unit and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What it counts.
    pub unit: Unit,
    /// The number, its interval, and the independent units behind it.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share between 0 and 1, or a difference of two.
    Share,
    /// Natural logarithms of likelihood for each token.
    NatsPerToken,
    /// Tokens that a fair die as uncertain as the model would have.
    Perplexity,
    /// Bits for each UTF-8 byte of text.
    BitsPerByte,
}

/// Classifiers on the rows of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// The step or path of the examples.
    pub examples: String,
    /// The split.
    pub split: Split,
    /// Rows.
    pub rows: u64,
    /// Independent units: groups where rows have one, else rows.
    pub units: u64,
    /// Labels; numbers of labels elsewhere count in this list. Probabilities of predictions follow it.
    pub labels: Vec<String>,
    /// The most frequent label of the split.
    pub majority_label: String,
    /// Share of rows that have it: the accuracy of always saying it.
    pub majority_share: f64,
    /// Models, then baselines.
    pub models: Vec<ModelScores>,
    /// Two models or baselines each, on the same rows.
    pub comparisons: Vec<Comparison>,
}

/// Where a classifier comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Fine-tuned by a step.
    Model,
    /// Fitted by the evaluation.
    Baseline,
}

/// Scores of one classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelScores {
    /// The step or path that it comes from, or the baseline's name.
    pub model: String,
    /// Which of the two.
    pub origin: Origin,
    /// Share of rows that are right, mean over seeds.
    pub accuracy: Measured,
    /// Mean over labels of F1, mean over seeds.
    pub macro_f1: Measured,
    /// Sample standard deviation over seeds of accuracy; none for a single seed.
    pub accuracy_sd: Option<f64>,
    /// Sample standard deviation over seeds of macro F1; none for a single seed.
    pub macro_f1_sd: Option<f64>,
    /// Each seed.
    pub seeds: Vec<SeedScores>,
}

/// Scores of one seed of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedScores {
    /// The seed; 0 for a baseline, which draws nothing.
    pub seed: u64,
    /// Share of rows that are right.
    pub accuracy: f64,
    /// Mean over labels of F1.
    pub macro_f1: f64,
    /// Precision, recall, F1 and rows of each label.
    pub classes: Vec<ClassScores>,
    /// Rows by true and predicted label.
    pub confusion: Confusion,
}

/// Token classifiers on the rows of one split, by the entities that they find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entities {
    /// The step or path of the examples.
    pub examples: String,
    /// The split.
    pub split: Split,
    /// Rows.
    pub rows: u64,
    /// Tokens of the examples, which are words to the models.
    pub words: u64,
    /// Entities in the rows.
    pub entities: u64,
    /// Independent units: groups (documents) where rows have one, else rows.
    pub units: u64,
    /// Which tags are an entity.
    pub mode: EntityMode,
    /// How scores became tags.
    pub decoding: Decoding,
    /// Models.
    pub models: Vec<TaggerScores>,
    /// Two models each, on the same rows.
    pub comparisons: Vec<Comparison<EntityMetric>>,
}

/// Scores of one token classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaggerScores {
    /// The step or path that it comes from.
    pub model: String,
    /// F1 over all entities, mean over seeds.
    pub micro_f1: Measured,
    /// Share of the predicted entities that is true, mean over seeds.
    pub precision: Measured,
    /// Share of the true entities that is predicted, mean over seeds.
    pub recall: Measured,
    /// Mean over types of F1, mean over seeds.
    pub macro_f1: Measured,
    /// Sample standard deviation over seeds of micro F1; none for a single seed.
    pub micro_f1_sd: Option<f64>,
    /// Sample standard deviation over seeds of macro F1; none for a single seed.
    pub macro_f1_sd: Option<f64>,
    /// Each seed.
    pub seeds: Vec<TaggerSeed>,
}

/// Scores of one seed of a token classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaggerSeed {
    /// The seed.
    pub seed: u64,
    /// Over all entities.
    pub micro: EntityAverage,
    /// Means over `types`.
    pub r#macro: EntityAverage,
    /// Each type that occurs in truth or prediction.
    pub types: Vec<EntityScores>,
}

/// How well a type of entity is found.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeScores<'a> {
    /// The type.
    pub name: &'a str,
    /// True entities of it.
    pub support: u64,
    /// F1 of each model, mean over seeds.
    pub f1: Vec<(&'a str, f64)>,
}

impl Entities {
    /// The types that occur, by name.
    pub fn types(&self) -> Vec<TypeScores<'_>> {
        let mut types: BTreeMap<&str, u64> = BTreeMap::new();
        let scores = self.models.iter().flat_map(|model| &model.seeds).flat_map(|seed| &seed.types);
        scores.for_each(|scores| _ = types.insert(&scores.name, scores.support));
        let f1 = |name: &str, model: &TaggerScores| {
            let of_type = |seed: &TaggerSeed| {
                let found = seed.types.iter().find(|scores| scores.name == name);
                found.map_or(0.0, |scores| scores.f1)
            };
            model.seeds.iter().map(of_type).sum::<f64>() / model.seeds.len() as f64
        };
        let scores = |(name, support)| TypeScores {
            name,
            support,
            f1: self.models.iter().map(|model| (model.model.as_str(), f1(name, model))).collect(),
        };
        types.into_iter().map(scores).collect()
    }
}

/// By how much `model` is above `other`, on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison<M = Metric> {
    /// The one.
    pub model: String,
    /// The other.
    pub other: String,
    /// The score.
    pub metric: M,
    /// `model` less `other`, means over seeds; units are drawn together.
    pub difference: Measured,
    /// Could it be chance?
    pub test: Test,
    /// The p-value after Holm's adjustment over all pairs of this metric.
    pub p_adjusted: f64,
    /// What the interval says.
    pub verdict: Verdict,
}

/// What the interval of a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All of it is above 0.
    Better,
    /// All of it is below 0.
    Worse,
    /// It holds 0.
    Tied,
}

impl Verdict {
    /// The verdict on a difference.
    pub fn of(difference: &Estimate) -> Self {
        match difference {
            Estimate { low, .. } if *low > 0.0 => Self::Better,
            Estimate { high, .. } if *high < 0.0 => Self::Worse,
            _ => Self::Tied,
        }
    }

    /// Its word in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Tied => "tied",
        }
    }
}

/// Language models on the validation documents of token shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// The step or path of the shards.
    pub shards: String,
    /// Documents.
    pub documents: u64,
    /// Tokens predicted, the end of each document among them.
    pub tokens: u64,
    /// UTF-8 bytes of the documents' texts.
    pub bytes: u64,
    /// Entropy of the distribution of these very tokens, in nats per token: the loss of a model that knows how frequent
    /// each is and nothing else.
    pub unigram_entropy: f64,
    /// Each model.
    pub models: Vec<LanguageScores>,
}

/// Scores of one language model. Intervals are over documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageScores {
    /// The step or path that it comes from.
    pub model: String,
    /// The loss.
    pub nats_per_token: Measured,
    /// `exp` of the loss.
    pub perplexity: Measured,
    /// The loss over bytes, which models with different vocabularies share.
    pub bits_per_byte: Measured,
    /// `unigram_entropy` less the loss, in nats per token: what the model knows beyond frequencies.
    pub below_unigram: f64,
}

impl Results {
    /// Reads `results.json`.
    ///
    /// # Errors
    /// When it is of a newer version, or something else.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version: found } =
            serde_json::from_slice(bytes).map_err(EvaluateError::BadResults)?;
        if found > VERSION {
            return Err(EvaluateError::ResultsTooNew { found, supported: VERSION });
        }
        serde_json::from_slice(bytes).map_err(EvaluateError::BadResults)
    }

    /// The bytes of `results.json`; ends with a newline.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("string keys and writing to memory");
        json.push(b'\n');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_and_other_files_are_refused() {
        let message = |bytes: &[u8]| Results::from_json(bytes).unwrap_err().to_string();
        assert_eq!(
            message(br#"{"version":2,"all":"new"}"#),
            "results version 2; this build reads up to 1: use a newer seedbed"
        );
        assert_eq!(message(b"[]"), "not results of an evaluation");
        assert_eq!(message(br#"{"version":1}"#), "not results of an evaluation");
    }
}
