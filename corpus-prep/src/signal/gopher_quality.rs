//! Signals of the Gopher quality rules.
//!
//! Source: Rae et al. 2021, arXiv:2112.11446, appendix A1.1, as datatrove's `GopherQualityFilter` computes them.
//! Lengths are in Unicode code points. A share of nothing is 0.

use super::lines::{is_space, split_lines};
use super::punctuation::{is_letter, is_punctuation};
use super::{Text, ratio};
use memchr::memchr_iter;
use memchr::memmem::find_iter;

/// English words that running text can hardly do without.
pub const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

/// What the quality rules judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GopherQuality {
    /// Words that have a character other than punctuation: `S`.
    pub num_content_words: u64,
    /// Mean length of the content words, in code points.
    pub mean_word_chars: f64,
    /// Number signs over all words, punctuation included: `W`.
    pub hash_ratio: f64,
    /// Ellipses (`...`, not overlapping, and `…`) over `W`.
    pub ellipsis_ratio: f64,
    /// Share of lines that start, after white space, with `•` or `-`. Blank lines count as lines.
    pub bullet_line_frac: f64,
    /// Share of lines that end, before white space, with an ellipsis. Blank lines count as lines.
    pub ellipsis_line_frac: f64,
    /// Share of all words that have a letter.
    pub alpha_word_frac: f64,
    /// How many different ones of [`STOP_WORDS`] occur, in this spelling.
    pub num_stop_words: u64,
}

impl GopherQuality {
    /// Names of the columns, in order.
    pub const COLUMNS: [&str; 8] = [
        "num_content_words",
        "mean_word_chars",
        "hash_ratio",
        "ellipsis_ratio",
        "bullet_line_frac",
        "ellipsis_line_frac",
        "alpha_word_frac",
        "num_stop_words",
    ];

    /// The values by [`Self::COLUMNS`].
    pub fn values(&self) -> [f64; Self::COLUMNS.len()] {
        [
            self.num_content_words as f64,
            self.mean_word_chars,
            self.hash_ratio,
            self.ellipsis_ratio,
            self.bullet_line_frac,
            self.ellipsis_line_frac,
            self.alpha_word_frac,
            self.num_stop_words as f64,
        ]
    }

    /// Measures a text.
    pub fn measure(of: &Text) -> Self {
        let Text { text, words, .. } = *of;
        let num_words = words.len() as u64;
        let (mut num_content_words, mut content_chars) = (0, 0);
        for word in words.iter().filter(|word| !word.chars().all(is_punctuation)) {
            num_content_words += 1;
            content_chars += of.chars_of(word);
        }
        let count = |mark: &str| find_iter(text.as_bytes(), mark).count();
        let num_hashes = memchr_iter(b'#', text.as_bytes()).count() as u64;
        let num_ellipses = (count("...") + count("…")) as u64;
        let num_alpha = words.iter().filter(|word| word.chars().any(is_letter)).count() as u64;
        let lines = Lines::count(text);
        Self {
            num_content_words,
            mean_word_chars: ratio(content_chars, num_content_words),
            hash_ratio: ratio(num_hashes, num_words),
            ellipsis_ratio: ratio(num_ellipses, num_words),
            bullet_line_frac: ratio(lines.bullet, lines.all),
            ellipsis_line_frac: ratio(lines.ellipsis, lines.all),
            alpha_word_frac: ratio(num_alpha, num_words),
            num_stop_words: num_stop_words(words),
        }
    }
}

#[derive(Default)]
struct Lines {
    all: u64,
    bullet: u64,
    ellipsis: u64,
}

impl Lines {
    fn count(text: &str) -> Self {
        let mut lines = Self::default();
        for line in split_lines(text) {
            lines.all += 1;
            lines.bullet += u64::from(line.trim_start_matches(is_space).starts_with(['•', '-']));
            let end = line.trim_end_matches(is_space);
            lines.ellipsis += u64::from(end.ends_with("...") || end.ends_with('…'));
        }
        lines
    }
}

fn num_stop_words(words: &[&str]) -> u64 {
    let mut seen = [false; STOP_WORDS.len()];
    let longest = STOP_WORDS.iter().map(|word| word.len()).max().unwrap_or(0);
    for word in words.iter().filter(|word| word.len() <= longest) {
        if let Some(at) = STOP_WORDS.iter().position(|stop| stop == word) {
            seen[at] = true;
        }
    }
    seen.iter().filter(|seen| **seen).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::words::words;

    fn measure(text: &str) -> GopherQuality {
        GopherQuality::measure(&Text::new(text, &words(text)))
    }

    #[test]
    fn words_of_punctuation_alone_are_no_content() {
        // The bullet is no punctuation, so it is a word of one character.
        let signals = measure("the, cat! • x");
        assert_eq!(signals.num_content_words, 4);
        assert_eq!(signals.mean_word_chars, (3.0 + 3.0 + 1.0 + 1.0) / 4.0);
    }

    #[test]
    fn lengths_are_code_points() {
        assert_eq!(measure("café née").mean_word_chars, 3.5);
    }

    #[test]
    fn symbols_are_counted_in_the_text_and_divided_by_words() {
        // Words: a ## b .... …. The four dots hold one ellipsis.
        let signals = measure("a ## b .... …");
        assert_eq!(signals.hash_ratio, 2.0 / 5.0);
        assert_eq!(signals.ellipsis_ratio, 2.0 / 5.0);
        assert_eq!(signals.alpha_word_frac, 2.0 / 5.0);
    }

    #[test]
    fn blank_lines_count_as_lines() {
        let signals = measure("- a\n\n  • b \u{2028}c... \r\nd…\n");
        assert_eq!(signals.bullet_line_frac, 2.0 / 5.0);
        assert_eq!(signals.ellipsis_line_frac, 2.0 / 5.0);
    }

    #[test]
    fn stop_words_are_distinct_and_case_sensitive() {
        assert_eq!(measure("The the the of OF thereof").num_stop_words, 2);
    }

    #[test]
    fn an_empty_text_divides_nothing_by_nothing() {
        assert_eq!(measure(""), GopherQuality::default());
        assert_eq!(measure(" \n"), GopherQuality::default());
    }
}
