//! Tagged paragraphs: prose of doc comments whose backticks are removed, and tags that say which words stood in them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    code_spans::{Character, visible},
    draw::{Labelled, letters},
    markdown::paragraphs,
};

/// Fewest words of a tagged paragraph, inclusive.
const MIN_WORDS: usize = 8;

/// Most words of a tagged paragraph, inclusive.
const MAX_WORDS: usize = 60;

/// The tag of a word, in IOB2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Tag {
    /// It is prose.
    #[serde(rename = "O")]
    Outside,
    /// It is the first word of a code span.
    #[serde(rename = "B-CODE")]
    Begin,
    /// It is a further word of the code span before it.
    #[serde(rename = "I-CODE")]
    Inside,
}

/// A paragraph with a tag of each word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaggedParagraph {
    /// Where it begins: `NAME-VERSION/path#line`.
    pub id: String,
    /// Its words: runs of letters, digits and `_`, and every other character that is not blank. Where a code span begins
    /// or ends, a word does.
    pub tokens: Vec<String>,
    /// A tag of each.
    pub tags: Vec<Tag>,
    /// The repository of its package: what must not straddle splits.
    pub group: String,
}

/// The words of one paragraph.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// Line of the paragraph, counted from zero.
    pub line: usize,
    /// As in [`TaggedParagraph::tokens`].
    pub tokens: Vec<String>,
    /// A tag of each.
    pub tags: Vec<Tag>,
}

/// The words of the paragraphs of a Markdown text that can be read.
pub fn tagged(markdown: &str) -> Vec<Words> {
    let readable = paragraphs(markdown).into_iter().filter_map(|paragraph| {
        let (tokens, tags) = words(&visible(&paragraph.text)?);
        Some(Words { line: paragraph.line, tokens, tags })
    });
    readable.collect()
}

/// The words of one text that can be labelled: of [`MIN_WORDS`] to [`MAX_WORDS`].
///
/// Those without code are among them only if there is code in another one: who never marks code says nothing by leaving
/// a word unmarked.
pub fn candidates(markdown: &str) -> Vec<Words> {
    let mut found = tagged(markdown);
    let marks_code = found.iter().any(|words| has_code(&words.tags));
    let bounds = MIN_WORDS..=MAX_WORDS;
    found.retain(|words| marks_code && bounds.contains(&words.tokens.len()));
    found
}

/// Words and their tags.
fn words(characters: &[Character]) -> (Vec<String>, Vec<Tag>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let runs =
        characters.chunk_by(|a, b| a.span() == b.span() && is_word(a.value) && is_word(b.value));
    let (mut tokens, mut tags, mut before) = (Vec::new(), Vec::new(), None);
    for run in runs.filter(|run| !run[0].value.is_whitespace()) {
        let span = run[0].span();
        tokens.push(run.iter().map(|character| character.value).collect());
        tags.push(match span {
            None => Tag::Outside,
            Some(_) if span == before => Tag::Inside,
            Some(_) => Tag::Begin,
        });
        before = span;
    }
    (tokens, tags)
}

fn has_code(tags: &[Tag]) -> bool {
    tags.contains(&Tag::Begin)
}

impl Words {
    /// What copies of the paragraph have in common.
    pub fn letters(&self) -> String {
        letters(&self.tokens.concat())
    }
}

impl TaggedParagraph {
    /// How many code spans it has.
    pub fn num_code_spans(&self) -> usize {
        self.tags.iter().filter(|tag| **tag == Tag::Begin).count()
    }
}

impl Labelled for TaggedParagraph {
    /// Whether it has code.
    type Stratum = bool;

    fn letters(&self) -> String {
        letters(&self.tokens.concat())
    }

    fn agrees(&self, other: &Self) -> bool {
        self.tags == other.tags
    }

    fn stratum(&self) -> bool {
        has_code(&self.tags)
    }

    fn group(&self) -> &str {
        &self.group
    }
}

/// The [`letters`] of all `rows`.
pub fn all_letters(rows: &[TaggedParagraph]) -> BTreeSet<String> {
    rows.iter().map(Labelled::letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the only paragraph, those of code as `B:word` and `I:word`.
    #[track_caller]
    fn check(markdown: &str, expected: &str) {
        let found = tagged(markdown);
        assert_eq!(found.len(), 1, "{markdown:?}");
        let words = found[0].tokens.iter().zip(&found[0].tags).map(|(token, tag)| match tag {
            Tag::Outside => token.clone(),
            Tag::Begin => format!("B:{token}"),
            Tag::Inside => format!("I:{token}"),
        });
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{markdown:?}");
    }

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores_or_single_characters() {
        check("Don't, größer_1 (or 2.5)...", "Don ' t , größer_1 ( or 2 . 5 ) . . .");
        check("a\nb\u{a0}c", "a b c");
    }

    #[test]
    fn words_in_backticks_are_code() {
        check("A `Vec<T>`.", "A B:Vec I:< I:T I:> .");
        check("two `Vec`s, `a` `b`", "two B:Vec s , B:a B:b");
        check("``a`b`` is ` c  d `", "B:a I:` I:b is B:c I:d");
        check("See [`Vec::new`](x) and [Vec](y).", "See B:Vec I:: I:: I:new and Vec .");
        check("pre`fix`ed ` ` \\`no\\`", "pre B:fix ed ` no `");
    }

    #[test]
    fn paragraphs_that_cannot_be_read_are_left_out() {
        let found = tagged("one\n\n`two\n\n![three](x)\n\nfour `4`\n");
        let tokens: Vec<_> =
            found.iter().map(|words| (words.line, words.tokens.join(" "))).collect();
        assert_eq!(tokens, [(0, "one".to_owned()), (6, "four 4".to_owned())]);
    }

    #[track_caller]
    fn check_candidates(markdown: &str, expected: &[usize]) {
        let lines: Vec<_> = candidates(markdown).iter().map(|words| words.line).collect();
        assert_eq!(lines, expected, "{markdown:?}");
    }

    #[test]
    fn bounds_are_inclusive() {
        let of = |words: usize| format!("`a`{}", " b".repeat(words - 1));
        check_candidates(&of(MIN_WORDS - 1), &[]);
        check_candidates(&of(MIN_WORDS), &[0]);
        check_candidates(&of(MAX_WORDS), &[0]);
        check_candidates(&of(MAX_WORDS + 1), &[]);
    }

    #[test]
    fn prose_without_code_counts_beside_code_only() {
        let prose = "a ".repeat(MIN_WORDS);
        check_candidates(&prose, &[]);
        check_candidates(&format!("{prose}\n\nSee `b`."), &[0]);
    }
}
