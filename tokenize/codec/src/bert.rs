//! How BERT's tokenizers clean text and cut it into words.
//!
//! General categories come from `unicode_categories` and decompositions from `unicode-normalization-alignments`: their
//! tables are older than those of the standard library, and `tokenizers` uses them too.

use std::sync::LazyLock;

use serde::Deserialize;
use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;

/// Below it, no character is changed by decomposition, and none is an accent.
const FIRST_DECOMPOSED: char = '\u{c0}';

/// Characters whose class is stored: the basic plane.
const STORED: u32 = 0x1_0000;

/// A character of clean text, and the bytes of the original text that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aligned {
    pub(crate) c: char,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is done to text before it is cut, in this order.
///
/// Source: `normalizers/bert.rs` of tokenizers 0.23.2, after `BasicTokenizer` of BERT's `tokenization.py`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Normalizer {
    /// Drops control, format and private characters and U+FFFD; white space becomes ' '.
    clean_text: bool,
    /// Puts spaces around CJK ideographs.
    handle_chinese_chars: bool,
    /// Decomposes and drops nonspacing marks. `None`: where letters are made lower case.
    #[serde(default)]
    strip_accents: Option<bool>,
    /// Makes letters lower case, without regard to their neighbours.
    lowercase: bool,
}

impl Normalizer {
    /// Writes the clean characters of `text` to `clean`, which is emptied first. Their bytes are counted from `offset`.
    ///
    /// The result for a text is that of its parts put together wherever it is cut before or behind an ASCII character.
    pub(crate) fn normalize(self, text: &str, offset: usize, clean: &mut Vec<Aligned>) {
        clean.clear();
        for (at, c) in text.char_indices() {
            let (start, end) = (offset + at, offset + at + c.len_utf8());
            let aligned = |c| Aligned { c, start, end };
            match c {
                c if self.clean_text && is_dropped(c) => {}
                c if self.clean_text && c.is_whitespace() => clean.push(aligned(' ')),
                c if self.handle_chinese_chars && is_ideograph(c) => {
                    clean.extend([' ', c, ' '].map(aligned));
                }
                c => clean.push(aligned(c)),
            }
        }
        if self.strip_accents.unwrap_or(self.lowercase) {
            strip_accents(clean);
        }
        if self.lowercase {
            make_lowercase(clean);
        }
    }
}

/// The words of clean text: what stands between white space, with every punctuation mark a word of its own.
///
/// Source: `pre_tokenizers/bert.rs` of tokenizers 0.23.2.
pub(crate) fn words(clean: &[Aligned]) -> impl Iterator<Item = &[Aligned]> {
    clean
        .chunk_by(|left, right| is_inner(left.c) && is_inner(right.c))
        .filter(|word| !word[0].c.is_whitespace())
}

/// Decomposes (NFD) and drops nonspacing marks.
fn strip_accents(clean: &mut Vec<Aligned>) {
    if clean.iter().all(|aligned| aligned.c < FIRST_DECOMPOSED) {
        return;
    }
    let sources = std::mem::take(clean);
    let mut next = sources.iter();
    let mut source = None;
    for (c, change) in sources.iter().map(|source| source.c).nfd() {
        // The first character of every decomposition is marked with 0. Where marks change places, `tokenizers` goes by
        // the places and not by the characters.
        if change == 0 {
            source = next.next();
        }
        if let Some(source) = source
            && !has(c, MARK)
        {
            clean.push(Aligned { c, ..*source });
        }
    }
}

fn make_lowercase(clean: &mut Vec<Aligned>) {
    if clean.iter().all(|aligned| aligned.c.is_ascii()) {
        clean.iter_mut().for_each(|aligned| aligned.c.make_ascii_lowercase());
        return;
    }
    let lower = |source: Aligned| source.c.to_lowercase().map(move |c| Aligned { c, ..source });
    *clean = std::mem::take(clean).into_iter().flat_map(lower).collect();
}

/// Whether `c` is cleaned away.
fn is_dropped(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        c if c.is_ascii() => c.is_ascii_control(),
        c => c == '\u{fffd}' || has(c, OTHER),
    }
}

/// Whether `c` can be inside a longer word.
fn is_inner(c: char) -> bool {
    if c.is_ascii() {
        !c.is_ascii_punctuation() && !c.is_whitespace()
    } else {
        !has(c, PUNCTUATION) && !c.is_whitespace()
    }
}

/// Whether `c` is in a block of CJK ideographs.
///
/// Source: `_is_chinese_char` of BERT's `tokenization.py`, with 0x2B920 for 0x2B820 as in tokenizers.
fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x3400..=0x4DBF
            | 0x4E00..=0x9FFF
            | 0xF900..=0xFAFF
            | 0x2_0000..=0x2_A6DF
            | 0x2_A700..=0x2_B73F
            | 0x2_B740..=0x2_B81F
            | 0x2_B920..=0x2_CEAF
            | 0x2_F800..=0x2_FA1F
    )
}

/// General categories Cc, Cf and Co.
const OTHER: u8 = 1;
/// General category Mn.
const MARK: u8 = 2;
/// General categories P*.
const PUNCTUATION: u8 = 4;

/// Classes of the characters of the basic plane.
static CLASSES: LazyLock<Box<[u8]>> =
    LazyLock::new(|| (0..STORED).map(|code| char::from_u32(code).map_or(0, classes)).collect());

fn has(c: char, class: u8) -> bool {
    let classes = CLASSES.get(c as usize).copied().unwrap_or_else(|| classes(c));
    classes & class != 0
}

fn classes(c: char) -> u8 {
    let class = |holds, class| if holds { class } else { 0 };
    class(c.is_other(), OTHER)
        | class(c.is_mark_nonspacing(), MARK)
        | class(c.is_punctuation(), PUNCTUATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCASED: Normalizer = Normalizer {
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: None,
        lowercase: true,
    };

    /// Words of `text`, each with the text it stands for.
    #[track_caller]
    fn check(normalizer: Normalizer, text: &str, expected: &[(&str, &str)]) {
        let mut clean = Vec::new();
        normalizer.normalize(text, 0, &mut clean);
        let found: Vec<(String, &str)> = words(&clean)
            .map(|word| {
                let span = word[0].start..word[word.len() - 1].end;
                (word.iter().map(|aligned| aligned.c).collect(), &text[span])
            })
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(word, text)| (&**word, *text)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_know_where_they_come_from() {
        check(UNCASED, " \u{301} ", &[]);
        check(UNCASED, "Zoë's", &[("zoe", "Zoë"), ("'", "'"), ("s", "s")]);
        check(UNCASED, "e\u{301}te\u{301} x", &[("ete", "e\u{301}te"), ("x", "x")]);
        check(UNCASED, "a日本b", &[("a", "a"), ("日", "日"), ("本", "本"), ("b", "b")]);
        check(UNCASED, "İX\u{200b}Y", &[("ixy", "İX\u{200b}Y")]);
        check(UNCASED, "a≠b", &[("a", "a"), ("=", "≠"), ("b", "b")]);
        check(
            UNCASED,
            "a\u{a0}b\u{3000}c\u{2028}d",
            &[("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")],
        );
    }

    #[test]
    fn cased_text_keeps_case_and_accents() {
        let cased = Normalizer { lowercase: false, ..UNCASED };
        check(cased, "Zoë", &[("Zoë", "Zoë")]);
        check(Normalizer { strip_accents: Some(true), ..cased }, "Zoë", &[("Zoe", "Zoë")]);
        check(Normalizer { strip_accents: Some(false), ..UNCASED }, "ZOË", &[("zoë", "ZOË")]);
        check(Normalizer { handle_chinese_chars: false, ..UNCASED }, "日本", &[("日本", "日本")]);
    }
}
