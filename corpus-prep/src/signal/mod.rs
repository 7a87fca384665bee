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
}

/// `part / whole`; a share of nothing is 0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
