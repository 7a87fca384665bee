//! Labelled passages: prose of doc comments, labelled by the section it stands in.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    draw::{Labelled, letters},
    markdown::{CodeBlock, heading, is_link_definition},
};

/// A section that Rust's documentation is asked to have.
///
/// Source: Rust API Guidelines, C-FAILURE and C-EXAMPLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Errors,
    Examples,
    Panics,
    Safety,
}

impl Section {
    /// The section that a heading opens.
    fn of_heading(title: &str) -> Option<Self> {
        match title.trim().trim_end_matches(['#', ':', ' ']).to_lowercase().as_str() {
            "error" | "errors" => Some(Self::Errors),
            "example" | "examples" => Some(Self::Examples),
            "panic" | "panics" => Some(Self::Panics),
            "safety" => Some(Self::Safety),
            _ => None,
        }
    }
}

/// How the words begin that would give a section away. They are removed from the passages of all
/// sections, so that a gap does not give it away either.
const STEMS: [&str; 13] = [
    "abort", "behavi", "err", "exampl", "fail", "fallib", "infallib", "panic", "safe", "sound",
    "undefin", "unsafe", "unsound",
];

/// Fewest words that a passage has once the stems are removed, inclusive. A word has two letters or more.
const MIN_WORDS: usize = 8;

/// A passage and its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Where its heading stands: `NAME-VERSION/path#line`.
    pub id: String,
    /// The prose on one line, without code blocks and give-away words.
    pub text: String,
    /// The section it stands in.
    pub label: Section,
    /// The repository of its package: what must not straddle splits.
    pub group: String,
}

/// The prose under one heading.
#[derive(Debug, PartialEq, Eq)]
pub struct Prose {
    /// The section that the heading opens.
    pub section: Section,
    /// Line of the heading, counted from zero.
    pub line: usize,
    /// As in [`Passage::text`].
    pub text: String,
}

/// The prose of a Markdown text that stands under the heading of a [`Section`], up to the next heading
/// of any level.
///
/// Code blocks and link definitions are no prose. What has fewer words than a passage is left out.
pub fn sections(markdown: &str) -> Vec<Prose> {
    let mut found: Vec<Prose> = Vec::new();
    let mut inside = false;
    let mut code = CodeBlock::default();
    for (line, text) in markdown.lines().enumerate() {
        if code.takes(text) || is_link_definition(text) {
        } else if let Some(title) = heading(text) {
            let section = Section::of_heading(title);
            inside = section.is_some();
            found.extend(section.map(|section| Prose { section, line, text: String::new() }));
        } else if let (true, Some(prose)) = (inside, found.last_mut()) {
            prose.text.push_str(text);
            prose.text.push('\n');
        }
    }
    for prose in &mut found {
        prose.text = without_stems(&prose.text);
    }
    found.retain(|prose| num_words(&prose.text) >= MIN_WORDS);
    found
}

/// `text` on one line, without the words that have a part which begins with one of [`STEMS`].
fn without_stems(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if !gives_away(&rest[..word]) {
            kept.push_str(&rest[..word]);
        }
        rest = &rest[word..];
        let gap = rest.find(is_word).unwrap_or(rest.len());
        kept.push_str(&rest[..gap]);
        rest = &rest[gap..];
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a part of a word begins with a stem: `errors`, `try_panic`, `IOError`, not `overridden`.
fn gives_away(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let starts_part = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after_is_lower = chars.get(at + 1).is_some_and(|c| c.is_lowercase());
        before.is_none_or(|before| {
            !before.is_alphabetic()
                || (chars[at].is_uppercase() && (before.is_lowercase() || after_is_lower))
        })
    };
    (0..chars.len()).filter(|&at| starts_part(at)).any(|at| {
        let part: String = chars[at..].iter().collect::<String>().to_lowercase();
        STEMS.iter().any(|stem| part.starts_with(stem))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Runs of two letters or more.
fn num_words(text: &str) -> usize {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().nth(1).is_some()).count()
}

impl Labelled for Passage {
    type Stratum = Section;

    fn letters(&self) -> String {
        letters(&self.text)
    }

    fn agrees(&self, other: &Self) -> bool {
        self.label == other.label
    }

    fn stratum(&self) -> Section {
        self.label
    }

    fn group(&self) -> &str {
        &self.group
    }
}

/// The [`letters`] of all `passages`.
pub fn all_letters(passages: &[Passage]) -> BTreeSet<String> {
    passages.iter().map(Labelled::letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROSE: &str = "one two three four five six seven eight";

    #[track_caller]
    fn check_sections(markdown: &str, expected: &[(Section, usize, &str)]) {
        let found = sections(markdown);
        let found: Vec<_> =
            found.iter().map(|prose| (prose.section, prose.line, prose.text.as_str())).collect();
        assert_eq!(found, expected, "{markdown:?}");
    }

    #[test]
    fn a_passage_ends_at_the_next_heading() {
        check_sections(&format!("Intro.\n\n# Errors\n{PROSE}\n"), &[(Section::Errors, 2, PROSE)]);
        check_sections(
            &format!("# Panics\n{PROSE}\n## Other\nmore"),
            &[(Section::Panics, 0, PROSE)],
        );
        check_sections(
            &format!("### Safety:\n{PROSE}\n# Example #\n\n{PROSE}"),
            &[(Section::Safety, 0, PROSE), (Section::Examples, 2, PROSE)],
        );
        check_sections(&format!("# Errors and more\n{PROSE}"), &[]);
        check_sections(&format!("#Errors\n{PROSE}"), &[]);
    }

    #[test]
    fn code_blocks_and_link_definitions_are_no_prose() {
        let code = format!("# Examples\n{PROSE}\n```rust\n# fn main() {{}}\nx\n```\n[a]: b\n");
        check_sections(&code, &[(Section::Examples, 0, PROSE)]);
        let nested = format!("# Examples\n~~~~\n```\n~~~\n~~~~\n{PROSE}");
        check_sections(&nested, &[(Section::Examples, 0, PROSE)]);
        check_sections(&format!("# Examples\n```\n{PROSE}"), &[]);
    }

    #[test]
    fn too_short_prose_is_no_passage() {
        check_sections("# Errors\none two three four five six seven", &[]);
        check_sections("# Errors\none two three four five six seven panics 8 h", &[]);
    }

    #[track_caller]
    fn check_stems(text: &str, expected: &str) {
        assert_eq!(without_stems(text), expected, "{text:?}");
    }

    #[test]
    fn give_away_words_are_removed_whatever_the_section() {
        check_stems("This errors, Panics or is UNSAFE.", "This , or is .");
        check_stems("an `IOError` or `unwrap_err`", "an `` or ``");
        check_stems("`ParseError::new` of try_panic", "`::new` of");
        check_stems("undefined behaviour, for\nexample", ", for");
        check_stems(
            "the overridden interrupt is preferred",
            "the overridden interrupt is preferred",
        );
        check_stems("größer als ß", "größer als ß");
    }
}
