//! Filters at work on one text: what is measured, what an edit leaves, what is measured of that, which rules fail.
//!
//! The phases do the same in steps, and keep what each gives.

use crate::edit::{C4Lines, Edited};
use crate::filters::{Filters, MEASURED, MEASURED_AFTER, columns_after_edit};
use crate::rule::{Check, Judge, Rules};
use crate::signal::{Dialect, Measurer, Words};

/// Edits texts and measures what is left, and keeps its memory from one to the next.
#[derive(Debug)]
pub struct Editor {
    edit: C4Lines,
    words: Words,
    measurer: Measurer<'static>,
}

impl Editor {
    /// That edits so, and cuts words and sentences in this dialect.
    pub fn new(edit: C4Lines, dialect: Dialect) -> Self {
        let measurer = Measurer::new(dialect, &MEASURED_AFTER);
        Self { edit, words: Words::new(dialect), measurer }
    }

    /// What the edit makes of a text, and the signals by [`columns_after_edit`].
    pub fn edit<'a>(&mut self, text: &'a str) -> (Edited<'a>, Vec<f64>) {
        let (edited, lines) = self.edit.edit(text, Some(&mut self.words));
        let after = self.measurer.measure(&edited.text());
        let values = lines.values().into_iter().chain(after).collect::<Vec<_>>();
        debug_assert_eq!(values.len(), columns_after_edit().len());
        (edited, values)
    }
}

/// A set of filters that judges texts, and keeps its memory from one to the next.
#[derive(Debug)]
pub struct Cascade {
    columns: Vec<&'static str>,
    measurer: Measurer<'static>,
    editor: Option<Editor>,
    judge: Judge,
}

/// What filters find in a text.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Every signal, by name, in order.
    pub signals: Vec<(&'static str, f64)>,
    /// Every rule with what it found, in the order in which they are asked.
    pub checks: Vec<Check>,
    /// What an edit makes of it, if there is one among the filters.
    pub edited: Option<Edited<'a>>,
}

impl Judged<'_> {
    /// The first rule that fails: the reason for which the text is dropped.
    pub fn first_failed(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.fails())
    }
}

impl Cascade {
    /// These filters, with the bounds and the edit that a manifest gives.
    ///
    /// # Errors
    /// With a signal that a rule judges and nobody measures.
    pub fn new(
        filters: Filters,
        rules: &Rules,
        lines: &C4Lines,
        dialect: Dialect,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            columns: filters.columns(),
            measurer: Measurer::new(dialect, &MEASURED),
            editor: filters.edit(lines).map(|edit| Editor::new(edit, dialect)),
            judge: filters.judge(rules)?,
        })
    }

    /// Judges a text.
    pub fn judge<'a>(&mut self, text: &'a str) -> Judged<'a> {
        let mut values = self.measurer.measure(text);
        let edited = self.editor.as_mut().map(|editor| {
            let (edited, after) = editor.edit(text);
            values.extend(after);
            edited
        });
        let checks = self.judge.checks(&values).collect();
        let signals = self.columns.iter().copied().zip(values).collect();
        Judged { signals, checks, edited }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(filters: Filters, text: &str) -> (Option<&'static str>, Option<String>) {
        let (rules, lines) = (Rules::default(), C4Lines::default());
        let mut cascade = Cascade::new(filters, &rules, &lines, Dialect::Uax29).unwrap();
        let judged = cascade.judge(text);
        assert_eq!(judged.signals.len(), filters.columns().len());
        let failed = judged.first_failed().map(|check| check.rule.name);
        (failed, judged.edited.map(|edited| edited.text()))
    }

    #[test]
    fn rules_behind_an_edit_judge_what_it_leaves() {
        let sentence = |at: usize| format!("This is the sentence that has the number {at} in it.");
        let text: String = (0..8).map(|at| sentence(at) + "\nMenu\n").collect();
        // Half of the lines are short, until the edit takes them.
        assert_eq!(judged(Filters::None, &text), (None, None));
        let (failed, left) = judged(Filters::Fineweb, &text);
        assert_eq!(failed, Some("dup_line_frac"));
        let lines: Vec<_> = (0..8).map(sentence).collect();
        assert_eq!(left, Some(lines.join("\n")));
        assert_eq!(judged(Filters::C4, &text).0, None);
        assert_eq!(judged(Filters::C4, &text.replace(" in it.", "")).0, Some("too_few_sentences"));
    }
}
