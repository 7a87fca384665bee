//! Which of the pattern's four classes a character belongs to.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// A class of the GPT-2 pattern; every character is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// `\p{L}`.
    Letter,
    /// `\p{N}`.
    Number,
    /// `\s`.
    Space,
    /// None of these.
    Other,
}

/// One entry a code point. The general categories come from `regex-syntax`, whose tables `tokenizers` uses too, so that
/// both engines follow one version of Unicode.
static CATEGORIES: LazyLock<Box<[Category]>> = LazyLock::new(|| {
    let mut categories = vec![Category::Other; char::MAX as usize + 1];
    for (class, category) in
        [(r"\s", Category::Space), (r"\p{L}", Category::Letter), (r"\p{N}", Category::Number)]
    {
        for range in code_points(class) {
            categories[range].fill(category);
        }
    }
    categories.into_boxed_slice()
});

impl Category {
    /// The class of `c`.
    pub(crate) fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            ' ' => Self::Space,
            _ => CATEGORIES[c as usize],
        }
    }
}

fn code_points(class: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let hir = regex_syntax::parse(class).expect("a valid class");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| range.start() as usize..=range.end() as usize).collect()
        }
        kind => unreachable!("a Unicode class parses to ranges, not {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_classed_by_general_category() {
        for (c, category) in [
            ('a', Category::Letter),
            ('é', Category::Letter),
            ('日', Category::Letter),
            ('7', Category::Number),
            ('½', Category::Number),
            ('Ⅷ', Category::Number),
            ('\u{a0}', Category::Space),
            ('\u{85}', Category::Space),
            ('\u{200b}', Category::Other),
            ('\u{301}', Category::Other),
            ('ⓐ', Category::Other),
            ('😀', Category::Other),
            (char::MAX, Category::Other),
        ] {
            assert_eq!(Category::of(c), category, "{c:?}");
        }
    }
}
