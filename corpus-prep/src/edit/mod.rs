//! Edits: what is taken out of a text, or put in the place of something, before later signals are measured on it.
//!
//! An edit goes over all of a text and says of each piece what becomes of it; the text after the edit, and the list of what was
//! done, follow from that.

mod c4;

pub use c4::{C4Lines, LineSignals};

use crate::signal::lines::is_space;
use pipelines::table::documents::Edit;
use std::ops::Range;

/// A text, and what becomes of its pieces, which lie end to end.
#[derive(Clone, Debug)]
pub struct Edited<'a> {
    original: &'a str,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    range: Range<usize>,
    fate: Fate,
}

/// What becomes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It stays as it is.
    Kept,
    /// A rule takes it out, and puts this in its place.
    Replaced { rule: &'static str, by: &'static str },
}

impl Fate {
    const fn removed(rule: &'static str) -> Self {
        Self::Replaced { rule, by: "" }
    }

    /// Whether two pieces with this fate are as good as one.
    fn joins(self) -> bool {
        matches!(self, Self::Kept | Self::Replaced { by: "", .. })
    }
}

impl<'a> Edited<'a> {
    fn new(original: &'a str) -> Self {
        Self { original, pieces: Vec::new() }
    }

    /// Says what becomes of the next piece, which ends before the byte `end`.
    fn push(&mut self, end: usize, fate: Fate) {
        let start = self.pieces.last().map_or(0, |last| last.range.end);
        match self.pieces.last_mut() {
            _ if start >= end => {}
            Some(last) if last.fate == fate && fate.joins() => last.range.end = end,
            _ => self.pieces.push(Piece { range: start..end, fate }),
        }
    }

    /// Takes out white space at both ends of what is left.
    fn strip(&mut self, rule: &'static str) {
        let removed = Fate::removed(rule);
        let pieces = std::mem::take(&mut self.pieces);
        let original = self.original;
        let visible = |piece: &Piece| {
            piece.fate == Fate::Kept && !original[piece.range.clone()].chars().all(is_space)
        };
        let (first, last) = (pieces.iter().position(visible), pieces.iter().rposition(visible));
        let outside = |at: usize| first.is_none_or(|first| at < first) || Some(at) > last;
        for (at, Piece { range, fate }) in pieces.into_iter().enumerate() {
            if outside(at) {
                let is_left = matches!(fate, Fate::Kept | Fate::Replaced { by: "\n", .. });
                self.push(range.end, if is_left { removed } else { fate });
                continue;
            }
            let text = &original[range.clone()];
            if Some(at) == first {
                self.push(range.end - text.trim_start_matches(is_space).len(), removed);
            }
            if Some(at) == last {
                self.push(range.start + text.trim_end_matches(is_space).len(), fate);
                self.push(range.end, removed);
            } else {
                self.push(range.end, fate);
            }
        }
    }

    /// The text after the edit.
    pub fn text(&self) -> String {
        let of = |piece: &Piece| match piece.fate {
            Fate::Kept => self.original[piece.range.clone()].to_owned(),
            Fate::Replaced { by, .. } => by.to_owned(),
        };
        self.pieces.iter().map(of).collect()
    }

    /// What was done, in order; never what was taken out.
    pub fn edits(&self) -> Vec<Edit> {
        let edit = |piece: &Piece| match piece.fate {
            Fate::Kept => None,
            Fate::Replaced { rule, by } => Some(Edit {
                rule: rule.to_owned(),
                offset: piece.range.start as u64,
                length: piece.range.len() as u64,
                replacement: by.to_owned(),
            }),
        };
        self.pieces.iter().filter_map(edit).collect()
    }
}
