//! What a manifest can say about tokenizing.

use codec::{MIN_SIZE, SpecialTokens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Either `train`, which makes a vocabulary, or `documents` with `vocabulary`, which makes token shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Learns a vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Train>,
    /// The step or artifact whose documents are encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<String>,
    /// The step or artifact whose vocabulary encodes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// Share of documents that go to the validation split, at least 0 and below 1; drawn by document id. `None` is
    /// one in a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Seed of the split. `None` takes the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// How a vocabulary is learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// The step or artifact whose documents it is learnt from.
    pub documents: String,
    /// Tokens in the vocabulary: at least 257, all bytes and the end of text. It has fewer where the documents hold no further pair of tokens
    /// that occurs twice.
    pub size: usize,
    /// Special tokens beside the end of text, behind all others and among `size`. Models that learn from masked tokens
    /// need all three. `None` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub special_tokens: Option<SpecialTokens>,
}

impl Train {
    /// The smallest possible `size`.
    fn min_size(&self) -> usize {
        MIN_SIZE + self.special_tokens.as_ref().map_or(0, SpecialTokens::len)
    }
}

/// Share of documents in the validation split where the config says none.
pub const DEFAULT_VALIDATION: f64 = 0.01;

/// What a valid config asks for.
pub(crate) enum Job<'a> {
    /// A vocabulary.
    Train(&'a Train),
    /// Token shards.
    Encode {
        /// Whose documents.
        documents: &'a str,
        /// By which vocabulary.
        vocabulary: &'a str,
    },
}

impl Config {
    /// What is to be done, or what is wrong with the config.
    pub(crate) fn job(&self) -> Result<Job<'_>, String> {
        let job = match (&self.train, &self.documents, &self.vocabulary) {
            (Some(train), None, None) => Job::Train(train),
            (None, Some(documents), Some(vocabulary)) => Job::Encode { documents, vocabulary },
            (None, Some(_), None) => return Err("`documents` needs `vocabulary`".to_owned()),
            (None, None, _) => {
                return Err("expected `train`, or `documents` and `vocabulary`".to_owned());
            }
            (Some(_), ..) => {
                return Err("`train` excludes `documents` and `vocabulary`: a vocabulary and shards are two steps".to_owned());
            }
        };
        self.check(&job)?;
        Ok(job)
    }

    fn check(&self, job: &Job<'_>) -> Result<(), String> {
        let share = self.validation();
        match job {
            Job::Train(train) if train.size < train.min_size() => Err(format!(
                "`train.size` is {}; expected at least {} (every byte and the special tokens)",
                train.size,
                train.min_size()
            )),
            Job::Train(Train { special_tokens: Some(special), .. })
                if special.validate().is_err() || special.is_empty() =>
            {
                Err("`train.special_tokens` names none, an empty one, or one twice".to_owned())
            }
            Job::Train(_) if self.validation.is_some() || self.seed.is_some() => {
                Err("`validation` and `seed` belong to `documents`, not to `train`".to_owned())
            }
            Job::Encode { .. } if !(0.0..1.0).contains(&share) => {
                Err(format!("`validation` is {share}; expected at least 0 and below 1"))
            }
            _ => Ok(()),
        }
    }

    /// The config with defaults filled in.
    pub(crate) fn resolved(&self) -> Self {
        let validation = self.documents.is_some().then(|| self.validation());
        Self { validation, ..self.clone() }
    }

    /// Share of documents in the validation split.
    pub(crate) fn validation(&self) -> f64 {
        self.validation.unwrap_or(DEFAULT_VALIDATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(config: Value, expected: Result<(), &str>) {
        let config: Config = serde_json::from_value(config).unwrap();
        assert_eq!(
            config.job().map(|_| ()).map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn a_vocabulary_or_shards() {
        check(json!({"train": {"documents": "clean", "size": 257}}), Ok(()));
        check(json!({"documents": "clean", "vocabulary": "vocab"}), Ok(()));
        check(json!({}), Err("expected `train`, or `documents` and `vocabulary`"));
        check(json!({"documents": "clean"}), Err("`documents` needs `vocabulary`"));
        check(
            json!({"train": {"documents": "clean", "size": 300}, "documents": "clean"}),
            Err(
                "`train` excludes `documents` and `vocabulary`: a vocabulary and shards are two steps",
            ),
        );
    }

    #[test]
    fn bounds_are_named() {
        check(
            json!({"train": {"documents": "clean", "size": 256}}),
            Err("`train.size` is 256; expected at least 257 (every byte and the special tokens)"),
        );
        let special = |size: usize, tokens: Value| json!({"train": {"documents": "clean", "size": size, "special_tokens": tokens}});
        check(special(258, json!({"mask": "[MASK]"})), Ok(()));
        check(
            special(258, json!({"mask": "[MASK]", "cls": "[CLS]"})),
            Err("`train.size` is 258; expected at least 259 (every byte and the special tokens)"),
        );
        check(
            special(300, json!({"mask": "[MASK]", "cls": "[MASK]"})),
            Err("`train.special_tokens` names none, an empty one, or one twice"),
        );
        let share =
            |share: f64| json!({"documents": "clean", "vocabulary": "vocab", "validation": share});
        check(share(0.0), Ok(()));
        check(share(0.99), Ok(()));
        check(share(1.0), Err("`validation` is 1; expected at least 0 and below 1"));
        check(share(-0.1), Err("`validation` is -0.1; expected at least 0 and below 1"));
        check(
            json!({"train": {"documents": "clean", "size": 300}, "seed": 1}),
            Err("`validation` and `seed` belong to `documents`, not to `train`"),
        );
    }
}
