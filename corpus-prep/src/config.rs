//! What a manifest can say about corpus preparation.

use crate::edit::C4Lines;
use crate::examples::ExamplesConfig;
use crate::filters::Filters;
use crate::globs::Globs;
use crate::read::record::articles;
use crate::read::{Fields, InvalidUtf8};
use crate::rule::Rules;
use crate::signal::Dialect;
use pipelines::size::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Most ranges: each is a task, and reads a section of every part.
const MAX_RANGES: u32 = 4096;

/// Configuration of the stage `corpus-prep`: exactly one of `inputs` and `examples` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Globs of raw text files, relative to the manifest. Each must match a file.
    #[serde(skip_serializing_if = "Globs::is_empty")]
    pub inputs: Globs,
    /// Labelled files; the keys below, but for `part_size`, are then of no use and refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<ExamplesConfig>,
    /// Largest bucket of small files, and largest range of a file of lines.
    pub part_size: ByteSize,
    /// Names of the fields of JSON records, and of the columns of CSV and Parquet.
    pub fields: Fields,
    /// What stands between the fields of CSV: a character of ASCII. `None`: a comma, in files that end in `.tsv` a tab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Numbers of the namespaces of MediaWiki whose pages are read: 0 is that of articles. Pages in others are counted.
    pub namespaces: BTreeSet<i64>,
    /// What happens to bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// What happens to records that have no text.
    pub unreadable: OnUnreadable,
    /// Longest record; one that is longer is unreadable.
    pub max_record_bytes: ByteSize,
    /// Records that are left out.
    pub exclude: Exclude,
    /// How words and sentences are cut.
    pub words: Dialect,
    /// Which filters are asked.
    pub filters: Filters,
    /// What the edit of C4 keeps of a text, where it is among the filters.
    pub c4_lines: C4Lines,
    /// The bounds of the rules.
    pub rules: Rules,
    /// Ranges of ids in which duplicates are looked for apart, a power of two up to 4096. More take less memory
    /// and more tasks.
    pub ranges: NonZeroU32,
}

/// What happens to records that have no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnreadable {
    /// The first one is an error.
    #[default]
    Refuse,
    /// They are counted, and kept aside with the reason. A broken compressed stream is one such record.
    Count,
}

/// Records that the user leaves out. They are counted; their text is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exclude {
    /// Records whose `source_id` starts with one of these.
    pub source_id_prefixes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inputs: Globs::default(),
            examples: None,
            part_size: ByteSize(16_000_000),
            fields: Fields::default(),
            delimiter: None,
            namespaces: articles(),
            invalid_utf8: InvalidUtf8::default(),
            unreadable: OnUnreadable::default(),
            max_record_bytes: ByteSize(64 << 20),
            exclude: Exclude::default(),
            words: Dialect::default(),
            filters: Filters::default(),
            c4_lines: C4Lines::default(),
            rules: Rules::default(),
            ranges: NonZeroU32::MIN.saturating_add(3),
        }
    }
}

impl Config {
    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        if self.part_size.0 == 0 {
            return Err("`part_size` is 0 B, expected at least 1 B".into());
        }
        if !self.ranges.is_power_of_two() || self.ranges.get() > MAX_RANGES {
            return Err(format!(
                "`ranges` is {}, expected a power of two up to {MAX_RANGES}",
                self.ranges
            ));
        }
        match (&self.examples, self.inputs.is_empty()) {
            (None, true) => {
                Err("neither `inputs` nor `examples` is given, expected one of them".into())
            }
            (Some(_), false) => {
                Err("`inputs` and `examples` are both given, expected one of them".into())
            }
            (None, false) => self.validate_corpus(),
            (Some(examples), true) => {
                examples.validate()?;
                self.refuse_corpus_keys()
            }
        }
    }

    fn validate_corpus(&self) -> Result<(), String> {
        if self.max_record_bytes.0 == 0 {
            return Err("`max_record_bytes` is 0 B, expected at least 1 B".into());
        }
        let Fields { text, id, source, url, lang } = &self.fields;
        let names = [text, id, source, url, lang];
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(format!(
                    "`fields` names `{name}` twice, expected five different names"
                ));
            }
        }
        refuse_delimiter("delimiter", self.delimiter)?;
        if self.namespaces.is_empty() {
            return Err("`namespaces` is empty, expected at least one number".into());
        }
        if self.exclude.source_id_prefixes.iter().any(String::is_empty) {
            return Err(
                "`exclude.source_id_prefixes` has \"\", which would leave out everything".into()
            );
        }
        Ok(())
    }

    fn refuse_corpus_keys(&self) -> Result<(), String> {
        let plain =
            Self { examples: self.examples.clone(), part_size: self.part_size, ..Self::default() };
        let (found, expected) = (json(self), json(&plain));
        let changed =
            expected.as_object().into_iter().flatten().find(|(key, value)| found[*key] != **value);
        match changed {
            Some((key, _)) => Err(format!("`{key}` is of no use with `examples`: leave it out")),
            None => Ok(()),
        }
    }
}

/// Says what is wrong with what is to stand between fields.
pub(crate) fn refuse_delimiter(key: &str, delimiter: Option<char>) -> Result<(), String> {
    match delimiter {
        Some(delimiter) if !delimiter.is_ascii() || "\r\n\"".contains(delimiter) => Err(format!(
            "`{key}` is {delimiter:?}, expected a character of ASCII, no quote and no line end"
        )),
        _ => Ok(()),
    }
}

fn json(config: &Config) -> serde_json::Value {
    serde_json::to_value(config).expect("the config has string keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(manifest: &str, expected: Result<(), &str>) {
        let config: Config = serde_json::from_str(manifest).unwrap();
        assert_eq!(config.validate(), expected.map_err(String::from));
        assert_eq!(serde_json::from_value::<Config>(json(&config)).unwrap(), config);
    }

    #[test]
    fn bad_values_are_refused_by_field_and_value() {
        check(r#"{"inputs":"a/*.txt"}"#, Ok(()));
        check(r#"{"inputs":["a.txt"],"rules":{"gopher_quality":{"short_doc":"off"}}}"#, Ok(()));
        check("{}", Err("neither `inputs` nor `examples` is given, expected one of them"));
        check(
            r#"{"inputs":"a","ranges":3}"#,
            Err("`ranges` is 3, expected a power of two up to 4096"),
        );
        check(
            r#"{"inputs":"a","ranges":8192}"#,
            Err("`ranges` is 8192, expected a power of two up to 4096"),
        );
        check(r#"{"inputs":"a","part_size":0}"#, Err("`part_size` is 0 B, expected at least 1 B"));
        check(
            r#"{"inputs":"a","fields":{"text":"id"}}"#,
            Err("`fields` names `id` twice, expected five different names"),
        );
        check(
            r#"{"examples":{"files":"a.csv","task":"sequence-classification"},"filters":"none"}"#,
            Err("`filters` is of no use with `examples`: leave it out"),
        );
        check(
            r#"{"examples":{"files":"a.csv","task":"sequence-classification"},"part_size":"1 MB"}"#,
            Ok(()),
        );
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_lists_the_right_ones() {
        let error = serde_json::from_str::<Config>(r#"{"input":"a"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `input`, expected one of `inputs`"), "{error}");
    }
}
