//! Where entities stand in a text.

use std::ops::Range;

use evaluate::tagger::WordTag;
use metrics::Entity;
use serde::Serialize;

/// An entity in a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Its type.
    pub r#type: String,
    /// Its text.
    pub text: String,
    /// Its first character in the text: a count of Unicode scalar values, as Python's slices have it.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The mean, over its words, of the probability that the model gives to the word's tag.
    pub score: f64,
}

/// A text that comes in words: the words with a blank between them, and the bytes of each.
pub fn joined(words: &[String]) -> (String, Vec<Range<usize>>) {
    let mut end = 0;
    let span = |word: &String| {
        let start = end;
        end += word.len() + 1;
        start..start + word.len()
    };
    (words.join(" "), words.iter().map(span).collect())
}

/// The spans of `entities` in a text whose words stand at the bytes `words`.
pub fn spans(
    text: &str,
    words: &[Range<usize>],
    tags: &[WordTag],
    entities: &[Entity],
    types: &[String],
) -> Vec<Span> {
    let (mut byte, mut character) = (0, 0);
    // Places are asked for in order, so the text is walked through once.
    let mut characters_to = |to: usize| {
        character += text[byte..to].chars().count();
        byte = to;
        character
    };
    let span = |entity: &Entity| {
        let bytes = words[entity.start].start..words[entity.end - 1].end;
        let read = tags[entity.start..entity.end].iter().filter_map(|word| word.probability);
        let (sum, count) = read.fold((0.0, 0.0), |(sum, count), one| (sum + one, count + 1.0));
        Span {
            r#type: types[entity.type_idx as usize].clone(),
            text: text[bytes.clone()].to_owned(),
            start: characters_to(bytes.start),
            end: characters_to(bytes.end),
            score: sum / count,
        }
    };
    entities.iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(tag: u32, probability: f64) -> WordTag {
        WordTag { tag, probability: Some(probability) }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let text = "Zoë Ångström 日本 e\u{301}";
        let words = codec::WordRule::Unicode.spans(text);
        let tags = [word(1, 0.5), word(2, 1.0), word(3, 0.25), word(0, 1.0), word(3, 0.5)];
        let entities = [
            Entity { start: 0, end: 2, type_idx: 1 },
            Entity { start: 2, end: 3, type_idx: 0 },
            Entity { start: 4, end: 5, type_idx: 0 },
        ];
        let types = ["LOC", "PER"].map(str::to_owned);
        let found = spans(text, &words, &tags, &entities, &types);
        let found: Vec<_> = found
            .iter()
            .map(|span| (&*span.r#type, &*span.text, span.start, span.end, span.score))
            .collect();
        assert_eq!(
            found,
            [
                ("PER", "Zoë Ångström", 0, 12, 0.75),
                ("LOC", "日", 13, 14, 0.25),
                ("LOC", "e\u{301}", 16, 18, 0.5)
            ]
        );
        let characters: Vec<char> = text.chars().collect();
        for (_, span, start, end, _) in found {
            assert_eq!(characters[start..end].iter().collect::<String>(), span);
        }
    }

    #[test]
    fn words_are_joined_by_blanks() {
        let words = ["São", "", "Paulo"].map(str::to_owned);
        let (text, spans) = joined(&words);
        assert_eq!((&*text, &spans[..]), ("São  Paulo", &[0..4, 5..5, 6..11][..]));
        assert_eq!(spans.into_iter().map(|span| &text[span]).collect::<Vec<_>>(), words);
    }
}
