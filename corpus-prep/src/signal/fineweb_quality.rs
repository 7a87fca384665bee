//! Signals of the FineWeb quality rules.
//!
//! Source: Penedo et al. 2024, arXiv:2406.17557, section 3.6, as datatrove's `FineWebQualityFilter` computes them. Lines are
//! those between line feeds that have more than white space, as they are. Characters are Unicode code points. A share of
//! nothing is 0.

use super::gopher_repetition::Duplicates;
use super::lines::is_space;
use super::punctuation::is_terminal;
use super::seen::Seen;
use super::{Text, ratio};
use memchr::memchr_iter;

/// Longest short line, in code points.
pub const SHORT_LINE_CHARS: usize = 30;

/// What the FineWeb quality rules judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FinewebQuality {
    /// Lines.
    pub num_lines: u64,
    /// Share of lines that end in a terminal mark of any script; white space behind it is not passed over.
    pub terminal_line_frac: f64,
    /// Share of lines of at most [`SHORT_LINE_CHARS`].
    pub short_line_frac: f64,
    /// Characters in lines seen before, over characters other than line feeds.
    pub repeated_line_char_frac: f64,
    /// Line feeds over words.
    pub line_feed_ratio: f64,
}

impl FinewebQuality {
    /// Names of the columns, in order.
    pub const COLUMNS: [&str; 5] = [
        "num_lines",
        "terminal_line_frac",
        "short_line_frac",
        "repeated_line_char_frac",
        "line_feed_ratio",
    ];

    /// The values by [`Self::COLUMNS`].
    pub fn values(&self) -> [f64; Self::COLUMNS.len()] {
        [
            self.num_lines as f64,
            self.terminal_line_frac,
            self.short_line_frac,
            self.repeated_line_char_frac,
            self.line_feed_ratio,
        ]
    }

    /// Measures a text.
    pub fn measure(&Text { text, num_chars, words, .. }: &Text, seen: &mut Seen) -> Self {
        let lines = || text.split('\n').filter(|line| !line.chars().all(is_space));
        let (mut terminal, mut short) = (0, 0);
        for line in lines() {
            terminal += u64::from(line.ends_with(is_terminal));
            short += u64::from(line.chars().nth(SHORT_LINE_CHARS).is_none());
        }
        let Duplicates { all: num_lines, chars: repeated, .. } = Duplicates::count(lines(), seen);
        let line_feeds = memchr_iter(b'\n', text.as_bytes()).count() as u64;
        Self {
            num_lines,
            terminal_line_frac: ratio(terminal, num_lines),
            short_line_frac: ratio(short, num_lines),
            repeated_line_char_frac: ratio(repeated, num_chars - line_feeds),
            line_feed_ratio: ratio(line_feeds, words.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::words::words;

    fn measure(text: &str) -> FinewebQuality {
        FinewebQuality::measure(&Text::new(text, &words(text)), &mut Seen::default())
    }

    #[test]
    fn blank_lines_are_none_and_white_space_behind_a_mark_hides_it() {
        let signals = measure("One.\n \nTwo. \n\nThree!\n四。");
        assert_eq!(signals.num_lines, 4);
        assert_eq!(signals.terminal_line_frac, 3.0 / 4.0);
        // Words: One . Two . Three ! 四 。
        assert_eq!(signals.line_feed_ratio, 5.0 / 8.0);
    }

    #[test]
    fn thirty_characters_are_short() {
        let [short, long] = ["é".repeat(30), "é".repeat(31)];
        assert_eq!(measure(&format!("{short}\n{long}")).short_line_frac, 0.5);
    }

    #[test]
    fn characters_of_repeated_lines_are_weighed_without_line_feeds() {
        assert_eq!(measure("ab\nab\nab \nc").repeated_line_char_frac, 2.0 / 8.0);
    }

    #[test]
    fn an_empty_text_has_no_lines() {
        assert_eq!(measure(""), FinewebQuality::default());
        assert_eq!(measure("\n\n").num_lines, 0);
    }
}
