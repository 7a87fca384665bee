//! What a manifest can say about labelled files.

use super::row::Tokens;
use super::tag::Scheme;
use crate::config::refuse_delimiter;
use crate::globs::Globs;
use pipelines::table::examples::{ExampleTask, Split};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Labelled files of one task, given by split, or as `files` that are split here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExamplesConfig {
    /// What is to be learnt from the rows.
    pub task: ExampleTask,
    /// Files whose rows are dealt to splits by `shares`.
    #[serde(default, skip_serializing_if = "Globs::is_empty")]
    pub files: Globs,
    /// Files to learn from.
    #[serde(default, skip_serializing_if = "Globs::is_empty")]
    pub train: Globs,
    /// Files to choose by.
    #[serde(default, skip_serializing_if = "Globs::is_empty")]
    pub validation: Globs,
    /// Files to be judged on.
    #[serde(default, skip_serializing_if = "Globs::is_empty")]
    pub test: Globs,
    /// How rows stand in the files. `None`: by the end of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ExampleFormat>,
    /// How characters are written as bytes.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands between fields: a character of ASCII. `None`: a comma in CSV (a tab in files that end in `.tsv`),
    /// a blank after the label of `label-text`; in CoNLL files a tab if the first token's line has one, otherwise blanks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Column or field of the text.
    #[serde(default = "text")]
    pub text: String,
    /// Column or field of the second text. `None`: there is one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// Column or field of the label.
    #[serde(default = "label")]
    pub label: String,
    /// Column or field of what makes rows depend on each other, such as a patient: all rows of a group are in one
    /// split. `None`: rows are independent, unless their texts are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column or field of a row's own name. `None`: rows have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Column or field of the tokens. `None`: the first column of CoNLL files, the field `tokens` of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Column>,
    /// Column or field of their tags. `None`: the last column of CoNLL files, the field `tags` of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Column>,
    /// Names of all columns of CoNLL files, in order, so that others can name them. `None`: they have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The scheme that tags must obey. `None`: tags of all schemes are read, as conlleval does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// How `files` are dealt to splits.
    #[serde(default)]
    pub shares: Shares,
}

/// A column by its name, or by its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "the name of a column, or its place from 1")]
pub enum Column {
    /// From 1.
    Place(NonZeroUsize),
    /// As `columns` names it, or the field of JSON.
    Name(String),
}

/// How rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExampleFormat {
    /// Comma-separated values with a header, by RFC 4180: quoted fields may hold line ends.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// The columns of a token on each line; blank lines end sentences, `-DOCSTART-` lines begin documents.
    Conll,
    /// On each line a label, the delimiter, and the text.
    LabelText,
    /// Each file is a row; its folder's name is the label.
    Folder,
}

/// How characters are written as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// UTF-8; anything else is an error.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1: each byte is the character of its number.
    #[serde(rename = "latin-1")]
    Latin1,
}

/// Shares of rows by split; they add up to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// To learn from.
    pub train: f64,
    /// To choose by.
    #[serde(default)]
    pub validation: f64,
    /// To be judged on.
    #[serde(default)]
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { train: 0.8, validation: 0.1, test: 0.1 }
    }
}

fn text() -> String {
    "text".into()
}

fn label() -> String {
    "label".into()
}

impl ExamplesConfig {
    /// The rows of `files` for `task`, all else as it is where a manifest says nothing.
    pub fn new(task: ExampleTask, files: String) -> Self {
        Self {
            task,
            files: Globs(vec![files]),
            train: Globs::default(),
            validation: Globs::default(),
            test: Globs::default(),
            format: None,
            encoding: Encoding::default(),
            delimiter: None,
            text: text(),
            text_pair: None,
            label: label(),
            group: None,
            id: None,
            tokens: None,
            tags: None,
            columns: None,
            scheme: None,
            shares: Shares::default(),
        }
    }

    /// The globs of a split; `None` stands for `files`.
    pub fn globs(&self, split: Option<Split>) -> &Globs {
        match split {
            None => &self.files,
            Some(Split::Train) => &self.train,
            Some(Split::Validation) => &self.validation,
            Some(Split::Test) => &self.test,
        }
    }

    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        let by_split = Split::ALL.iter().any(|split| !self.globs(Some(*split)).is_empty());
        match (self.files.is_empty(), by_split) {
            (false, true) => {
                return Err(
                    "`examples` has `files` and a file of a split, expected one or the other"
                        .into(),
                );
            }
            (true, _) if self.train.is_empty() => {
                return Err(
                    "`examples` has neither `files` nor `train`, expected one of them".into()
                );
            }
            _ => {}
        }
        self.shares.validate()?;
        self.refuse_keys_of_the_other_task()?;
        if by_split && self.shares != Shares::default() {
            return Err(
                "`examples.shares` is of no use with `train`: leave it out, or give `files`".into(),
            );
        }
        refuse_delimiter("examples.delimiter", self.delimiter)
    }
}

impl ExamplesConfig {
    /// Where tokens and tags stand, if the task is learnt from them.
    pub fn token_columns(&self) -> Option<Tokens> {
        (self.task == ExampleTask::TokenClassification).then(|| Tokens {
            tokens: self.tokens.clone(),
            tags: self.tags.clone(),
            names: self.columns.clone(),
            scheme: self.scheme,
        })
    }

    fn refuse_keys_of_the_other_task(&self) -> Result<(), String> {
        let given = match self.task {
            ExampleTask::SequenceClassification => vec![
                ("tokens", self.tokens.is_some()),
                ("tags", self.tags.is_some()),
                ("columns", self.columns.is_some()),
                ("scheme", self.scheme.is_some()),
            ],
            ExampleTask::TokenClassification => vec![
                ("text", self.text != text()),
                ("text_pair", self.text_pair.is_some()),
                ("label", self.label != label()),
            ],
        };
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => {
                let task = self.task.name();
                Err(format!("`examples.{key}` is of no use with `{task}`: leave it out"))
            }
            None => Ok(()),
        }
    }
}

impl Shares {
    fn validate(&self) -> Result<(), String> {
        let Self { train, validation, test } = *self;
        let named = [("train", train), ("validation", validation), ("test", test)];
        for (name, share) in named {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!(
                    "`examples.shares.{name}` is {share}, expected a number from 0 to 1"
                ));
            }
        }
        let sum = train + validation + test;
        if (sum - 1.0).abs() > 1e-9 || train == 0.0 {
            return Err(format!(
                "`examples.shares` add up to {sum} with {train} for `train`, expected 1 with more than 0 for `train`"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &str, expected: Result<(), &str>) {
        let json = format!(r#"{{"task":"sequence-classification",{fields}}}"#);
        let config: ExamplesConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(config.validate(), expected.map_err(String::from));
    }

    #[test]
    fn bad_values_are_refused_by_field_and_value() {
        check(r#""files":"a.csv""#, Ok(()));
        check(r#""train":"a.csv","test":["b.csv","c.csv"],"delimiter":";""#, Ok(()));
        check(
            r#""files":"a.csv","test":"b.csv""#,
            Err("`examples` has `files` and a file of a split, expected one or the other"),
        );
        check(
            r#""files":"a.csv","scheme":"iob2""#,
            Err("`examples.scheme` is of no use with `sequence-classification`: leave it out"),
        );
        check(
            r#""test":"b.csv""#,
            Err("`examples` has neither `files` nor `train`, expected one of them"),
        );
        check(
            r#""files":"a","shares":{"train":0.8,"test":0.1}"#,
            Err(
                "`examples.shares` add up to 0.9 with 0.8 for `train`, expected 1 with more than 0 for `train`",
            ),
        );
        check(
            r#""files":"a","shares":{"train":1.5}"#,
            Err("`examples.shares.train` is 1.5, expected a number from 0 to 1"),
        );
        check(
            r#""files":"a","delimiter":"\"""#,
            Err(
                "`examples.delimiter` is '\"', expected a character of ASCII, no quote and no line end",
            ),
        );
    }
}
