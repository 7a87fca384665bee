//! What the types of a config cannot say.

use std::path::{Path, PathBuf};

use super::Head;
use crate::error::{ModelError, Result};

/// Largest count in a config: what fits an `i32`, the index type of most readers.
const MAX_COUNT: usize = i32::MAX as usize;

pub(super) fn refusal(file: &Path, key: &str, found: String, expected: &str) -> ModelError {
    ModelError::Config {
        file: PathBuf::from(file),
        key: key.to_owned(),
        found,
        expected: expected.to_owned(),
    }
}

/// The architectures of a family, as a message lists them.
pub(super) fn listed(family: &str, heads: &[&str]) -> String {
    let names: Vec<_> = heads.iter().map(|head| format!("[\"{family}{head}\"]")).collect();
    names.join(" or ")
}

/// Checks of the keys of one file. Each error names the key, its value, and what was expected.
pub(super) struct Check<'a> {
    pub(super) file: &'a Path,
}

impl Check<'_> {
    pub(super) fn that(
        &self,
        key: &str,
        holds: bool,
        found: impl ToString,
        expected: &str,
    ) -> Result<()> {
        if holds { Ok(()) } else { Err(refusal(self.file, key, found.to_string(), expected)) }
    }

    pub(super) fn counts(&self, counts: &[(&str, usize)]) -> Result<()> {
        counts.iter().try_for_each(|&(key, value)| {
            self.that(key, (1..=MAX_COUNT).contains(&value), value, "1 to 2^31 - 1")
        })
    }

    pub(super) fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.that(key, value > 0.0 && value.is_finite(), value, "a positive number")
    }

    pub(super) fn not_negative(&self, key: &str, value: f64) -> Result<()> {
        self.that(key, value >= 0.0 && value.is_finite(), value, "0 or more")
    }

    /// The probability of a number to be dropped.
    pub(super) fn rate(&self, key: &str, rate: f64) -> Result<()> {
        self.that(key, (0.0..1.0).contains(&rate), rate, "0 or more and below 1")
    }

    pub(super) fn ids(&self, key: &str, ids: &[u32], vocab_size: usize) -> Result<()> {
        let expected = format!("an id below vocab_size, {vocab_size}");
        ids.iter().try_for_each(|&id| self.that(key, (id as usize) < vocab_size, id, &expected))
    }

    pub(super) fn head(&self, head: &Head, family: &str, heads: &[&str]) -> Result<()> {
        let known = heads.contains(&head.suffix(family));
        self.that("architectures", known, head.architecture(family), &listed(family, heads))?;
        self.that(
            "num_labels",
            head.labels().is_none_or(|labels| !labels.is_empty()),
            0,
            "at least 1",
        )
    }
}
