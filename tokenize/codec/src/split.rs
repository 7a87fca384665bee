//! The GPT-2 pre-token pattern, without a regex engine.

use crate::category::Category;

/// Contractions the pattern keeps whole, after the apostrophe. Lower case only, as in the source.
const CONTRACTIONS: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];

/// The pre-tokens of `text`, in order; together they are `text`.
///
/// Equal to the matches of
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
/// in time linear in the text whatever it holds.
///
/// Source: GPT-2's `encoder.py`; `r50k_base` in tiktoken; `ByteLevel` in tokenizers.
///
/// ```
/// let pretokens: Vec<&str> = codec::pretokens("It's 2024,  ok").collect();
/// assert_eq!(pretokens, ["It", "'s", " 2024", ",", " ", " ok"]);
/// ```
pub fn pretokens(text: &str) -> Pretokens<'_> {
    Pretokens { rest: text }
}

/// Iterator over the pre-tokens of a text. See [`pretokens`].
#[derive(Clone, Debug)]
pub struct Pretokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pretokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.rest.chars().next()?;
        let (pretoken, rest) = self.rest.split_at(pretoken_bytes(self.rest, first));
        self.rest = rest;
        Some(pretoken)
    }
}

/// Bytes of the pre-token that begins `text`, whose first character is `first`.
fn pretoken_bytes(text: &str, first: char) -> usize {
    if first == '\''
        && let Some(contraction) = CONTRACTIONS.iter().find(|tail| text[1..].starts_with(**tail))
    {
        return 1 + contraction.len();
    }
    let lead = usize::from(first == ' ');
    match text[lead..].chars().next().map(Category::of) {
        None | Some(Category::Space) => space_bytes(text),
        // A white-space character other than ' ' cannot lead a word.
        Some(category) => lead + run_bytes(&text[lead..], category),
    }
}

/// Bytes of the characters of `category` that begin `text`.
fn run_bytes(text: &str, category: Category) -> usize {
    text.find(|c| Category::of(c) != category).unwrap_or(text.len())
}

/// Bytes of the white space that begins `text`, less its last character where a word follows: that character belongs
/// to the word, or stands alone.
fn space_bytes(text: &str) -> usize {
    let run = run_bytes(text, Category::Space);
    let last = text[..run].chars().next_back().map_or(0, char::len_utf8);
    if run == text.len() || run == last { run } else { run - last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(pretokens(text).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn words_take_the_space_before_them() {
        check("", &[]);
        check("low lower", &["low", " lower"]);
        check("a1b", &["a", "1", "b"]);
        check(" 12 !?", &[" 12", " !?"]);
        check("naïve 日本語", &["naïve", " 日本語"]);
    }

    #[test]
    fn contractions_stand_alone_only_at_the_start_of_a_pretoken() {
        check("it's we'll I'D", &["it", "'s", " we", "'ll", " I", "'", "D"]);
        check("''s", &["''", "s"]);
        check("a 's", &["a", " '", "s"]);
        check("'", &["'"]);
    }

    #[test]
    fn the_last_white_space_goes_with_the_word() {
        check("a  b", &["a", " ", " b"]);
        check("a\n\nb", &["a", "\n", "\n", "b"]);
        check("a \n b", &["a", " \n", " b"]);
        check("a\u{a0}b", &["a", "\u{a0}", "b"]);
        check("a  ", &["a", "  "]);
        check("\t", &["\t"]);
    }
}
