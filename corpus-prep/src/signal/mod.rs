//! Signals: every value that is measured on a document, once.
//!
//! One file a family. A document is cut into words once, and all families share them. Sums are taken in the order of
//! the text, so that equal texts have equal bits everywhere.

pub mod gopher_quality;
pub mod gopher_repetition;
pub mod lines;
pub mod punctuation;
mod punctuation_table;
pub mod words;

pub use gopher_quality::GopherQuality;
pub use gopher_repetition::GopherRepetition;

/// Names of the signals' columns, in order.
pub const COLUMNS: [&str; 23] = [
    "num_chars",
    "num_words",
    "num_content_words",
    "mean_word_chars",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_line_frac",
    "ellipsis_line_frac",
    "alpha_word_frac",
    "num_stop_words",
    "dup_para_frac",
    "dup_para_char_frac",
    "dup_line_frac",
    "dup_line_char_frac",
    "top_2_gram_frac",
    "top_3_gram_frac",
    "top_4_gram_frac",
    "dup_5_gram_frac",
    "dup_6_gram_frac",
    "dup_7_gram_frac",
    "dup_8_gram_frac",
    "dup_9_gram_frac",
    "dup_10_gram_frac",
];

/// All signals of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// Unicode code points of the text.
    pub num_chars: u64,
    /// What the Gopher quality rules judge.
    pub gopher_quality: GopherQuality,
    /// What the Gopher repetition rules judge.
    pub gopher_repetition: GopherRepetition,
}

impl Signals {
    /// Measures a text.
    pub fn measure(text: &str) -> Self {
        let num_chars = text.chars().count() as u64;
        let words = words::words(text);
        Self {
            num_chars,
            gopher_quality: GopherQuality::measure(text, &words),
            gopher_repetition: GopherRepetition::measure(text, num_chars, &words),
        }
    }

    /// The values by [`COLUMNS`]. Counts are whole numbers, exact up to 2^53.
    pub fn values(&self) -> [f64; COLUMNS.len()] {
        let (q, r) = (&self.gopher_quality, &self.gopher_repetition);
        let [top_2, top_3, top_4] = r.top_ngram_frac;
        let [dup_5, dup_6, dup_7, dup_8, dup_9, dup_10] = r.dup_ngram_frac;
        [
            self.num_chars as f64,
            q.num_words as f64,
            q.num_content_words as f64,
            q.mean_word_chars,
            q.hash_ratio,
            q.ellipsis_ratio,
            q.bullet_line_frac,
            q.ellipsis_line_frac,
            q.alpha_word_frac,
            q.num_stop_words as f64,
            r.dup_para_frac,
            r.dup_para_char_frac,
            r.dup_line_frac,
            r.dup_line_char_frac,
            top_2,
            top_3,
            top_4,
            dup_5,
            dup_6,
            dup_7,
            dup_8,
            dup_9,
            dup_10,
        ]
    }

    /// The signals of which [`Signals::values`] are `values`.
    pub fn from_values(values: &[f64; COLUMNS.len()]) -> Self {
        let [num_chars, num_words, num_content_words, values @ ..] = *values;
        let [mean_word_chars, hash_ratio, ellipsis_ratio, values @ ..] = values;
        let [bullet_line_frac, ellipsis_line_frac, alpha_word_frac, num_stop_words, values @ ..] =
            values;
        let [dup_para_frac, dup_para_char_frac, dup_line_frac, dup_line_char_frac, values @ ..] =
            values;
        let [top_2, top_3, top_4, dup_ngram_frac @ ..] = values;
        Self {
            num_chars: whole(num_chars),
            gopher_quality: GopherQuality {
                num_words: whole(num_words),
                num_content_words: whole(num_content_words),
                mean_word_chars,
                hash_ratio,
                ellipsis_ratio,
                bullet_line_frac,
                ellipsis_line_frac,
                alpha_word_frac,
                num_stop_words: whole(num_stop_words),
            },
            gopher_repetition: GopherRepetition {
                dup_para_frac,
                dup_para_char_frac,
                dup_line_frac,
                dup_line_char_frac,
                top_ngram_frac: [top_2, top_3, top_4],
                dup_ngram_frac,
            },
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts were written as whole numbers"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

/// `part / whole`; a share of nothing is 0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/reference/signals.py`.
    const SIGNALS: &str = include_str!("../../tests/reference/signals.json");

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        values: [f64; COLUMNS.len()],
    }

    #[test]
    fn signals_are_those_of_the_reference_bit_for_bit() {
        let cases: Vec<Case> = serde_json::from_str(SIGNALS).unwrap();
        assert!(cases.len() > 10);
        for Case { text, values } in cases {
            assert_eq!(Signals::measure(&text).values(), values, "{text:?}");
        }
    }

    #[test]
    fn values_are_read_back_as_written() {
        let mut values = [0.0; COLUMNS.len()];
        for (at, value) in values.iter_mut().enumerate() {
            *value = at as f64 + 1.0;
        }
        assert_eq!(Signals::from_values(&values).values(), values);
    }
}
