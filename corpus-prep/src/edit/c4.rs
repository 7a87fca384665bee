//! C4's lines: keeps those that are sentences for people, and drops the rest of a page.
//!
//! Source: Raffel et al. 2020, arXiv:1910.10683, section 2.2, as datatrove's `C4QualityFilter` does it: the order of the tests
//! matters, words are counted before citations are taken out, and a line is not stripped again behind them.

use super::{Edited, Fate};
use crate::signal::Words;
use crate::signal::lines::{is_space, lines_with_ends};
use aho_corasick::AhoCorasick;
use memchr::{memchr, memchr_iter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// What a kept line ends with, if that is asked.
const END_MARKS: [char; 5] = ['.', '?', '!', '"', '\''];

/// What stands where a text is still to come.
const PLACEHOLDER: &str = "lorem ipsum";

/// What pages say to those who have switched it off.
const JAVASCRIPT: &str = "javascript";

/// Phrases of notices that no reader came for.
const POLICIES: [&str; 6] = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];

/// Which lines C4's edit drops, and what it takes out of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct C4Lines {
    /// Whether lines that do not end in `. ? ! " '`, or end in `...`, are dropped. `None`: they are by the filters `c4`, and are
    /// not by `fineweb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_marks: Option<bool>,
    /// Fewest words, between white space, of a kept line.
    pub min_words: u64,
    /// Longest word of a kept line, in code points.
    pub max_word_chars: u64,
    /// Whether `[1]`, `[]`, `[edit]` and `[citation needed]` are taken out.
    pub citations: bool,
    /// Whether lines that say "javascript" are dropped.
    pub javascript: bool,
    /// Whether lines about terms of use, privacy or cookies are dropped.
    pub policies: bool,
}

impl Default for C4Lines {
    fn default() -> Self {
        Self {
            end_marks: None,
            min_words: 3,
            max_word_chars: 1000,
            citations: true,
            javascript: true,
            policies: true,
        }
    }
}

/// What the edit finds in the lines that it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineSignals {
    /// All lines, kept or not.
    pub num_lines: u64,
    /// Lines that are kept.
    pub num_kept: u64,
    /// Sentences of the kept lines, each line cut alone.
    pub num_sentences: u64,
    /// Kept lines that say "lorem ipsum".
    pub lorem_ipsum: u64,
    /// Kept lines with an opening brace.
    pub brace: u64,
}

impl LineSignals {
    /// Names of the columns, in order.
    pub const COLUMNS: [&str; 5] =
        ["num_lines_before", "num_kept_lines", "num_sentences", "lorem_ipsum_lines", "brace_lines"];

    /// The values by [`Self::COLUMNS`].
    pub fn values(&self) -> [f64; Self::COLUMNS.len()] {
        [self.num_lines, self.num_kept, self.num_sentences, self.lorem_ipsum, self.brace]
            .map(|count| count as f64)
    }
}

impl C4Lines {
    /// Goes over the lines of a text; sentences of kept ones are counted in the dialect of `words`, if there is one.
    pub fn edit<'a>(
        &self,
        text: &'a str,
        mut words: Option<&mut Words>,
    ) -> (Edited<'a>, LineSignals) {
        let (mut edited, mut found) = (Edited::new(text), LineSignals::default());
        for (line, end) in lines_with_ends(text) {
            found.num_lines += 1;
            let has_placeholder = match self.judge(&text[line.clone()]) {
                Verdict::Kept { has_placeholder } => has_placeholder,
                Verdict::Dropped(rule) => {
                    edited.push(end, Fate::removed(rule));
                    continue;
                }
            };
            found.num_kept += 1;
            let kept = self.keep(text, line.clone(), &mut edited);
            found.lorem_ipsum += u64::from(has_placeholder);
            found.brace += u64::from(memchr(b'{', kept.as_bytes()).is_some());
            found.num_sentences += words.as_mut().map_or(0, |words| words.num_sentences(&kept));
            let is_line_feed = &text[line.end..end] == "\n";
            let line_end = Fate::Replaced { rule: "line_end", by: "\n" };
            edited.push(end, if is_line_feed { Fate::Kept } else { line_end });
        }
        edited.strip("strip");
        (edited, found)
    }

    /// Asks a line the tests in C4's order.
    fn judge(&self, line: &str) -> Verdict {
        let line = line.trim_matches(is_space);
        let words = || line.split(is_space).filter(|word| !word.is_empty());
        let is_too_long = |word: &str| word.chars().count() as u64 > self.max_word_chars;
        if line.len() as u64 > self.max_word_chars && words().any(is_too_long) {
            return Verdict::Dropped("too_long_word");
        }
        let without = self.without_citations(line);
        let ends = without.ends_with(END_MARKS) && !without.ends_with("...");
        if self.end_marks == Some(true) && !ends {
            return Verdict::Dropped("no_terminal_punc");
        }
        let enough = usize::try_from(self.min_words).unwrap_or(usize::MAX);
        if words().take(enough).count() < enough {
            return Verdict::Dropped("too_few_words");
        }
        let said = Said::of(&without);
        // A placeholder drops the whole text, whatever else stands in its line; so does a brace.
        if said.placeholder {
            Verdict::Kept { has_placeholder: true }
        } else if self.javascript && said.javascript {
            Verdict::Dropped("javascript")
        } else if self.policies && said.policy && !without.contains('{') {
            Verdict::Dropped("policy")
        } else {
            Verdict::Kept { has_placeholder: false }
        }
    }

    /// Keeps a line but for the white space around it and its citations; returns what is left of it.
    fn keep<'a>(&self, text: &'a str, line: Range<usize>, edited: &mut Edited<'a>) -> Cow<'a, str> {
        let whole = &text[line.clone()];
        let stripped = whole.trim_matches(is_space);
        let start = line.start + (whole.len() - whole.trim_start_matches(is_space).len());
        edited.push(start, Fate::removed("strip"));
        for citation in self.citations_of(stripped) {
            edited.push(start + citation.start, Fate::Kept);
            edited.push(start + citation.end, Fate::removed("citation"));
        }
        edited.push(start + stripped.len(), Fate::Kept);
        edited.push(line.end, Fate::removed("strip"));
        self.without_citations(stripped)
    }

    fn without_citations<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let (mut left, mut end) = (String::new(), 0);
        for citation in self.citations_of(line) {
            left.push_str(&line[end..citation.start]);
            end = citation.end;
        }
        if end == 0 { line.into() } else { (left + &line[end..]).into() }
    }

    /// Where citations stand in a line.
    fn citations_of<'a>(&self, line: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let brackets = self.citations.then(|| memchr_iter(b'[', line.as_bytes()));
        brackets.into_iter().flatten().filter_map(|start| {
            let inside = &line[start + 1..];
            let digits = inside.trim_start_matches(|c: char| c.is_numeric()).len();
            let lengths = [inside.len() - digits, "edit".len(), "citation needed".len()];
            let names = ["", "edit", "citation needed"];
            let is_one = |(length, name): &(usize, &str)| {
                inside.starts_with(name) && inside[*length..].starts_with(']')
            };
            let (length, _) = lengths.into_iter().zip(names).find(is_one)?;
            Some(start..start + 1 + length + 1)
        })
    }
}

/// What becomes of a line.
enum Verdict {
    Kept { has_placeholder: bool },
    Dropped(&'static str),
}

/// Which phrases a line says, whatever their case.
#[derive(Default)]
struct Said {
    placeholder: bool,
    javascript: bool,
    policy: bool,
}

impl Said {
    fn of(line: &str) -> Self {
        static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
            let phrases = [PLACEHOLDER, JAVASCRIPT].into_iter().chain(POLICIES);
            let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(phrases);
            finder.expect("a few short phrases")
        });
        // Case is not of ASCII alone: the Kelvin sign is a K.
        let lower = (!line.is_ascii()).then(|| line.to_lowercase());
        let mut said = Self::default();
        for found in FINDER.find_overlapping_iter(lower.as_deref().unwrap_or(line)) {
            match found.pattern().as_usize() {
                0 => said.placeholder = true,
                1 => said.javascript = true,
                _ => said.policy = true,
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Dialect;
    use proptest::prelude::*;

    fn edit(lines: &C4Lines, text: &str) -> (String, LineSignals) {
        let mut words = Words::new(Dialect::Datatrove010);
        let (edited, found) = lines.edit(text, Some(&mut words));
        assert_eq!(applied(text, &edited), edited.text(), "{text:?}");
        (edited.text(), found)
    }

    /// The text that follows from the list of edits alone.
    fn applied(text: &str, edited: &Edited) -> String {
        let (mut left, mut end) = (String::new(), 0);
        for edit in edited.edits() {
            let [offset, length] =
                [edit.offset, edit.length].map(|it| usize::try_from(it).unwrap());
            left += &text[end..offset];
            left += &edit.replacement;
            end = offset + length;
        }
        left + &text[end..]
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let lines = C4Lines { end_marks: Some(true), ..C4Lines::default() };
        assert_eq!(edit(&lines, text).0, expected, "{text:?}");
    }

    #[test]
    fn lines_that_are_no_sentences_are_dropped() {
        check(
            "Home\n  This is a line. \r\nAbout us here\n\nIs it one?\n",
            "This is a line.\nIs it one?",
        );
        check("It goes on and on...", "");
        check(&format!("A word {} is long.", "x".repeat(1001)), "");
        check(
            &format!("A word {} is not.", "é".repeat(1000)),
            &format!("A word {} is not.", "é".repeat(1000)),
        );
        check(
            "Turn JavaScript on here.\nWe use cookies for this.\nGood text stays here.",
            "Good text stays here.",
        );
    }

    #[test]
    fn a_citation_behind_the_end_leaves_white_space_there() {
        check("So it is said.[1]", "So it is said.");
        check("So it is said. [1]", "");
        check("So[edit] it[] is[12] so [citation needed].", "So it is so .");
        check("So it [1x] is [a].", "So it [1x] is [a].");
        let lines = C4Lines::default();
        assert_eq!(
            edit(&lines, "[1] So it is [2]\nso it was then [3]").0,
            "So it is \nso it was then"
        );
    }

    #[test]
    fn lines_of_every_kind_of_end_are_joined_by_line_feeds() {
        check(
            "One is here.\u{2028}Two is here.\x0bThree is here.",
            "One is here.\nTwo is here.\nThree is here.",
        );
    }

    #[test]
    fn signals_are_of_kept_lines() {
        let text =
            "Mr. Wu came. He left.\nLorem ipsum, it goes.\nno { x\na { b c\njavascript { is here";
        let (_, found) = edit(&C4Lines::default(), text);
        let expected =
            LineSignals { num_lines: 5, num_kept: 4, num_sentences: 5, lorem_ipsum: 1, brace: 2 };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_edit_of_everything_leaves_nothing() {
        check("", "");
        check("\n \n", "");
        check("a\nb\n", "");
    }

    proptest! {
        #[test]
        fn edits_make_the_text_and_editing_twice_changes_nothing_more(
            text in "([a-c .\\[\\]1{\n\r\t\u{2028}é]|javascript|\\[edit\\]){0,60}"
        ) {
            let lines = C4Lines { min_words: 1, citations: false, ..C4Lines::default() };
            let (edited, _) = lines.edit(&text, None);
            prop_assert_eq!(applied(&text, &edited), edited.text());
            let once = edited.text();
            prop_assert_eq!(lines.edit(&once, None).0.text(), once.clone());
            let (edited, _) = C4Lines { min_words: 0, ..C4Lines::default() }.edit(&text, None);
            prop_assert_eq!(applied(&text, &edited), edited.text());
        }
    }
}
