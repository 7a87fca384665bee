//! Tagged paragraphs: prose of doc comments whose backticks are removed, and tags that say which words stood in them.

use std::collections::{BTreeSet, HashMap};

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

/// Fewest letters of a tagged paragraph, in UTF-8 bytes, inclusive: with fewer, too many texts would hold it by chance.
const MIN_LETTERS: usize = 12;

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

/// The words of one text that can be labelled: of [`MIN_WORDS`] to [`MAX_WORDS`], with [`MIN_LETTERS`] at least.
///
/// Those without code are among them only if there is code in another one: who never marks code says nothing by leaving
/// a word unmarked.
pub fn candidates(markdown: &str) -> Vec<Words> {
    let mut found = tagged(markdown);
    let marks_code = found.iter().any(|words| has_code(&words.tags));
    let bounds = MIN_WORDS..=MAX_WORDS;
    found.retain(|words| {
        marks_code
            && bounds.contains(&words.tokens.len())
            && letters(&words.tokens.concat()).len() >= MIN_LETTERS
    });
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

/// The [`letters`] of tagged paragraphs, found wherever they stand.
pub struct Copies {
    whole: BTreeSet<String>,
    by_beginning: HashMap<Vec<u8>, Vec<String>>,
}

impl Copies {
    /// Of `rows`, which have [`MIN_LETTERS`].
    pub fn of(rows: &[TaggedParagraph]) -> Self {
        let whole: BTreeSet<String> = rows.iter().map(Labelled::letters).collect();
        let mut by_beginning: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
        for letters in &whole {
            let beginning = letters.as_bytes()[..MIN_LETTERS].to_vec();
            by_beginning.entry(beginning).or_default().push(letters.clone());
        }
        Self { whole, by_beginning }
    }

    /// Whether one of them stands in a Markdown text: as a paragraph, whatever its links, or within any of its lines.
    pub fn stand_in(&self, markdown: &str) -> bool {
        let is_whole = |words: &Words| self.whole.contains(&letters(&words.tokens.concat()));
        self.are_within(letters(markdown).as_bytes()) || tagged(markdown).iter().any(is_whole)
    }

    fn are_within(&self, text: &[u8]) -> bool {
        let begins = |at: usize, letters: &String| text[at..].starts_with(letters.as_bytes());
        text.windows(MIN_LETTERS).enumerate().any(|(at, beginning)| {
            let found = self.by_beginning.get(beginning);
            found.is_some_and(|found| found.iter().any(|letters| begins(at, letters)))
        })
    }
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
        let of = |words: usize| format!("`a`{}", " bb".repeat(words - 1));
        check_candidates(&of(MIN_WORDS - 1), &[]);
        check_candidates(&of(MIN_WORDS), &[0]);
        check_candidates(&of(MAX_WORDS), &[0]);
        check_candidates(&of(MAX_WORDS + 1), &[]);
        check_candidates(&format!("`a` {} 1 2 3 4 5 6 7", "b".repeat(MIN_LETTERS - 1)), &[0]);
        check_candidates(&format!("`a` {} 1 2 3 4 5 6 7", "b".repeat(MIN_LETTERS - 2)), &[]);
    }

    #[test]
    fn copies_are_found_within_other_texts() {
        let tokens = ["See", "Vec", "for", "an", "example"].map(String::from).to_vec();
        let tags = vec![Tag::Outside; 5];
        let row = TaggedParagraph { id: String::new(), tokens, tags, group: String::new() };
        let copies = Copies::of(&[row]);
        for text in ["- a\n- see `Vec` for\n  an example, or", "See [Vec](target) for an example."]
        {
            assert!(copies.stand_in(text), "{text:?}");
        }
        for text in ["", "See `Vec` for an exampl", "See `VecDeque` for an example"] {
            assert!(!copies.stand_in(text), "{text:?}");
        }
    }

    #[test]
    fn prose_without_code_counts_beside_code_only() {
        let prose = "aa ".repeat(MIN_WORDS);
        check_candidates(&prose, &[]);
        check_candidates(&format!("{prose}\n\nSee `b`."), &[0]);
    }
}
