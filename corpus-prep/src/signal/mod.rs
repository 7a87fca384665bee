//! Signals: every value that is measured on a document, once.
//!
//! One file a family. A document is cut into words once, and all families share them. Sums are taken in the order of
//! the text, so that equal texts have equal bits everywhere.

pub mod fineweb_quality;
pub mod gopher_quality;
pub mod gopher_repetition;
pub mod lines;
pub mod punctuation;
mod punctuation_table;
mod seen;
pub mod words;

pub use fineweb_quality::FinewebQuality;
pub use gopher_quality::GopherQuality;
pub use gopher_repetition::GopherRepetition;
pub use words::{Dialect, Words};

use seen::Seen;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signals that are measured together.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// How long the text is.
    Size,
    /// What the Gopher quality rules judge.
    GopherQuality,
    /// What the Gopher repetition rules judge.
    GopherRepetition,
    /// What the FineWeb quality rules judge.
    FinewebQuality,
}

impl Family {
    /// Names of its columns, in order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Size => &["num_chars", "num_words"],
            Self::GopherQuality => &GopherQuality::COLUMNS,
            Self::GopherRepetition => &GopherRepetition::COLUMNS,
            Self::FinewebQuality => &FinewebQuality::COLUMNS,
        }
    }

    /// Puts its values behind `values`. Counts are whole numbers, exact up to 2^53.
    fn measure(self, text: &Text, seen: &mut Seen, values: &mut Vec<f64>) {
        match self {
            Self::Size => values.extend([text.num_chars as f64, text.words.len() as f64]),
            Self::GopherQuality => values.extend(GopherQuality::measure(text).values()),
            Self::GopherRepetition => values.extend(GopherRepetition::measure(text, seen).values()),
            Self::FinewebQuality => values.extend(FinewebQuality::measure(text, seen).values()),
        }
    }
}

/// A text and what families share of it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The text.
    pub text: &'a str,
    /// Its Unicode code points.
    pub num_chars: u64,
    /// Its words, in order.
    pub words: &'a [&'a str],
    /// Whether each of its code points is a byte.
    is_ascii: bool,
}

impl<'a> Text<'a> {
    /// A text and its words.
    pub fn new(text: &'a str, words: &'a [&'a str]) -> Self {
        Self { text, num_chars: text.chars().count() as u64, words, is_ascii: text.is_ascii() }
    }

    /// Code points of a piece of it.
    fn chars_of(&self, piece: &str) -> u64 {
        (if self.is_ascii { piece.len() } else { piece.chars().count() }) as u64
    }
}

/// Measures families of signals, and keeps its memory from one text to the next.
#[derive(Debug)]
pub struct Measurer<'a> {
    words: Words,
    seen: Seen,
    families: &'a [Family],
}

impl<'a> Measurer<'a> {
    /// Of these families, on words that are cut so.
    pub fn new(dialect: Dialect, families: &'a [Family]) -> Self {
        Self { words: Words::new(dialect), seen: Seen::default(), families }
    }

    /// The signals of a text, by [`columns`].
    pub fn measure(&mut self, text: &str) -> Vec<f64> {
        let Self { words, seen, families } = self;
        words.of(text, |words| {
            let text = Text::new(text, words);
            let mut values = Vec::new();
            families.iter().for_each(|family| family.measure(&text, seen, &mut values));
            values
        })
    }
}

/// Names of the columns of some families, in order.
pub fn columns(families: &[Family]) -> Vec<&'static str> {
    families.iter().flat_map(|family| family.columns()).copied().collect()
}

/// `part / whole`; a share of nothing is 0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Made by `tests/reference/signals.py`.
    const SIGNALS: &str = include_str!("../../tests/reference/signals.json");

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        values: Vec<f64>,
    }

    #[test]
    fn signals_are_those_of_the_reference_bit_for_bit() {
        let cases: Vec<Case> = serde_json::from_str(SIGNALS).unwrap();
        assert!(cases.len() > 10);
        let families = [Family::Size, Family::GopherQuality, Family::GopherRepetition];
        let mut measurer = Measurer::new(Dialect::Uax29, &families);
        for Case { text, values } in cases {
            assert_eq!(measurer.measure(&text), values, "{text:?}");
        }
    }

    #[test]
    fn no_two_signals_share_a_name() {
        let families =
            [Family::Size, Family::GopherQuality, Family::GopherRepetition, Family::FinewebQuality];
        let columns = columns(&families);
        assert_eq!(columns.iter().collect::<BTreeSet<_>>().len(), columns.len());
        assert_eq!(Measurer::new(Dialect::Uax29, &families).measure("a b").len(), columns.len());
    }
}
