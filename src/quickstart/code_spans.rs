//! Which characters of a paragraph are code: the insides of backticks.

/// A character that a reader of the paragraph sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Character {
    /// The character.
    pub value: char,
    /// Where it stands.
    pub place: Place,
}

/// Where a character stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In prose, where it may be a mark of Markdown.
    Prose,
    /// In prose behind a backslash: itself, whatever it is.
    Escaped,
    /// In the code span of this number, from 0.
    Code(usize),
}

impl Character {
    /// The number of its code span.
    pub fn span(&self) -> Option<usize> {
        match self.place {
            Place::Code(span) => Some(span),
            Place::Prose | Place::Escaped => None,
        }
    }

    fn is_mark(&self, mark: char) -> bool {
        self.place == Place::Prose && self.value == mark
    }
}

/// What a reader sees of a paragraph: no backticks, of links the text alone, no marks of emphasis.
///
/// Links are all pairs of brackets, with what stands in `(…)` or `[…]` right behind them: rustdoc makes links of
/// bracketed names that are defined nowhere. Line ends in prose are kept.
///
/// `None` where backticks have no partner, and where there is an image, HTML, an address or a character reference in prose.
pub fn visible(paragraph: &str) -> Option<Vec<Character>> {
    let characters = without_links(characters(paragraph)?);
    let opens = |pair: &[Character]| {
        let follows = |marks: &str| marks.contains(pair[1].value) || pair[1].value.is_alphabetic();
        pair[0].is_mark('<') && pair[1].span().is_none() && follows("/!?")
    };
    let address =
        |marks: &[Character]| marks.iter().zip("://".chars()).all(|(c, mark)| c.is_mark(mark));
    let reference = |at: usize| is_character_reference(&characters[at..]);
    if characters.windows(2).any(opens)
        || characters.windows(3).any(address)
        || (0..characters.len()).any(reference)
    {
        return None;
    }
    Some(without_emphasis(&characters))
}

/// Whether a character reference such as `&mdash;` or `&#8212;` begins here.
///
/// Source: CommonMark 0.31.2, section 2.5; of named ones any name is taken for one.
fn is_character_reference(characters: &[Character]) -> bool {
    let [first, rest @ ..] = characters else { return false };
    let is_of_name = |c: &&Character| {
        c.place == Place::Prose && (c.value.is_ascii_alphanumeric() || c.value == '#')
    };
    let name = rest.iter().take_while(is_of_name).count();
    first.is_mark('&') && name > 0 && rest.get(name).is_some_and(|next| next.is_mark(';'))
}

/// The characters of a paragraph, without the backticks of code spans and the backslashes of escapes.
///
/// A run of backticks opens a span that the next run of equal length closes; backslashes in it are themselves. Its line
/// ends become blanks; then one blank is taken from both its ends if both have one and there is more than blanks.
/// `None` where a run is never closed, and at an image.
///
/// Source: CommonMark 0.31.2, section 6.1 (code spans) and 2.4 (backslash escapes).
fn characters(paragraph: &str) -> Option<Vec<Character>> {
    let source: Vec<char> = paragraph.chars().collect();
    let mut found = Vec::with_capacity(source.len());
    let (mut at, mut num_spans) = (0, 0);
    while let Some(&value) = source.get(at) {
        let next = source.get(at + 1);
        at += 1;
        match value {
            '`' => {
                let start = at - 1 + run(&source[at - 1..]);
                let (end, behind) = closing(&source, start, start + 1 - at)?;
                let place = Place::Code(num_spans);
                found.extend(inside(&source[start..end]).map(|value| Character { value, place }));
                (at, num_spans) = (behind, num_spans + 1);
            }
            '\\' if next.is_some_and(char::is_ascii_punctuation) => {
                found.extend(next.map(|&value| Character { value, place: Place::Escaped }));
                at += 1;
            }
            '!' if next == Some(&'[') => return None,
            _ => found.push(Character { value, place: Place::Prose }),
        }
    }
    Some(found)
}

/// How many backticks `source` begins with.
fn run(source: &[char]) -> usize {
    source.iter().take_while(|&&value| value == '`').count()
}

/// Where the next run of exactly `marks` backticks begins and ends, from `from` on.
fn closing(source: &[char], from: usize, marks: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while at < source.len() {
        match run(&source[at..]) {
            0 => at += 1,
            found if found == marks => return Some((at, at + marks)),
            found => at += found,
        }
    }
    None
}

/// The content of a code span.
fn inside(source: &[char]) -> impl Iterator<Item = char> {
    let is_blank = |value: &char| matches!(value, ' ' | '\n');
    let content = match source {
        [first, content @ .., last]
            if is_blank(first) && is_blank(last) && !source.iter().all(is_blank) =>
        {
            content
        }
        content => content,
    };
    content.iter().map(|&value| if value == '\n' { ' ' } else { value })
}

/// Takes away the brackets of links, and their targets.
fn without_links(mut characters: Vec<Character>) -> Vec<Character> {
    let mut is_seen = vec![true; characters.len()];
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(character) = characters.get(at) {
        let mut next = at + 1;
        if character.is_mark('[') {
            open.push(at);
        } else if let Some(start) = character.is_mark(']').then(|| open.pop()).flatten() {
            next = target_end(&characters, next);
            is_seen[start] = false;
            is_seen[at..next].fill(false);
        }
        at = next;
    }
    let mut is_seen = is_seen.into_iter();
    characters.retain(|_| is_seen.next().unwrap_or(true));
    characters
}

/// Where the target of a link ends whose brackets end before `from`; there, if it has none.
fn target_end(characters: &[Character], from: usize) -> usize {
    let opens = |at: usize, mark| characters.get(at).is_some_and(|c| c.is_mark(mark));
    let Some((open, close)) =
        [('(', ')'), ('[', ']')].into_iter().find(|(open, _)| opens(from, *open))
    else {
        return from;
    };
    let mut depth = 0_usize;
    for (at, character) in characters.iter().enumerate().skip(from) {
        depth += usize::from(character.is_mark(open));
        depth -= usize::from(character.is_mark(close));
        if depth == 0 {
            return at + 1;
        }
    }
    from
}

/// Takes away `*` and `_`, but not those between two blanks, or between two letters or digits.
///
/// CommonMark asks for a partner as well; a lone mark is rarer than the trouble of finding it.
fn without_emphasis(characters: &[Character]) -> Vec<Character> {
    let is_mark = |c: &&Character| c.is_mark('*') || c.is_mark('_');
    let kind = |c: Option<&Character>| match c.map(|c| c.value) {
        None => 0,
        Some(value) if value.is_whitespace() => 0,
        Some(value) if value.is_alphanumeric() => 1,
        Some(_) => 2,
    };
    let stays = |at: usize| {
        let before = kind(characters[..at].iter().rev().find(|c| !is_mark(c)));
        let after = kind(characters[at..].iter().find(|c| !is_mark(c)));
        before == after && before != 2
    };
    let seen = characters.iter().enumerate().filter(|(at, c)| !is_mark(c) || stays(*at));
    seen.map(|(_, character)| *character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen, each code span in `{}`; `-` where the paragraph is left out.
    fn seen(paragraph: &str) -> String {
        let Some(characters) = visible(paragraph) else { return "-".to_owned() };
        let mut text = String::new();
        for run in characters.chunk_by(|a, b| a.span() == b.span()) {
            let run_text: String = run.iter().map(|character| character.value).collect();
            text += &if run[0].span().is_some() { format!("{{{run_text}}}") } else { run_text };
        }
        text
    }

    #[track_caller]
    fn check(paragraph: &str, expected: &str) {
        assert_eq!(seen(paragraph), expected, "{paragraph:?}");
    }

    // The examples of CommonMark 0.31.2, section 6.1, as far as they are closed.
    #[test]
    fn code_spans_are_those_of_commonmark() {
        check("`foo`", "{foo}");
        check("`` foo ` bar ``", "{foo ` bar}");
        check("` `` `", "{``}");
        check("`  ``  `", "{ `` }");
        check("` a`", "{ a}");
        check("` `", "{ }");
        check("``\nfoo\nbar  \nbaz\n``", "{foo bar   baz}");
        check("``\nfoo \n``", "{foo }");
        check("`foo\\`bar", "{foo\\}bar");
        check("``foo`bar``", "{foo`bar}");
        check("` foo `` bar `", "{foo `` bar}");
        check("*foo`*`", "foo{*}");
        check("[not a `link](/foo`)", "[not a {link](/foo})");
    }

    #[test]
    fn a_run_of_another_length_closes_nothing() {
        check("`a``b`", "{a``b}");
        check("`a` `b`", "{a} {b}");
        check("```a`` `b```", "{a`` `b}");
    }

    #[test]
    fn unmatched_backticks_leave_the_paragraph_out() {
        check("`foo", "-");
        check("```foo``", "-");
        check("`a` and `b", "-");
        check("`foo``bar``", "-");
    }

    #[test]
    fn an_escaped_backtick_opens_nothing_outside_of_code() {
        check(r"a \` b", "a ` b");
        check(r"\`a`b`", "`a{b}");
        check(r"`a\`", r"{a\}");
        check(r"a \b \[c\] \*d", r"a \b [c] *d");
    }

    #[test]
    fn links_are_their_text() {
        check("a [`Vec`] b", "a {Vec} b");
        check("[`a`](b(c)d), [`a`][`b`], [a b][], [a]", "{a}, {a}, a b, a");
        check("[a [b] c](d)", "a b c");
        check("`a[0]` [b", "{a[0]} [b");
        check("a] [b](c", "a] b(c");
    }

    #[test]
    fn marks_of_emphasis_are_not_seen() {
        check("**`a`**: _b c_ *d*", "{a}: b c d");
        check("a_b 2*n, a * b, `c_` `*d`", "a_b 2*n, a * b, {c_} {*d}");
        check("(*a*), __b__.", "(a), b.");
    }

    #[test]
    fn images_html_addresses_and_references_leave_the_paragraph_out() {
        let html = ["![a](b)", "a <br> b", "a </b>", "a <!-- b -->", "see https://a.b"];
        for paragraph in html.into_iter().chain(["a&mdash;b", "&#8212;", "x &ensp; `y`"]) {
            check(paragraph, "-");
        }
        check("`&amp;` \\&amp; a & b; R&D &;", "{&amp;} &amp; a & b; R&D &;");
        check("[a](https://b.c) `<a>` `d://`", "a {<a>} {d://}");
        check("a < b, a <`b`", "a < b, a <{b}");
    }
}
