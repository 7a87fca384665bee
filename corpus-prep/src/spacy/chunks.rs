//! Where white space cuts a text.

use super::{Token, classes};

/// A run of white space or of other characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chunk {
    /// White space, without the space that stands directly behind another chunk.
    Space(Token),
    /// ASCII letters alone.
    Letters(Token),
    /// Other characters too.
    Mixed(Token),
}

/// The chunks of `text`, in order.
pub fn chunks(text: &str) -> impl Iterator<Item = Chunk> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let (end, is_plain) = chunk_end(text, start);
        if end > start {
            // One space belongs to the chunk before it.
            at = end + usize::from(text.as_bytes().get(end) == Some(&b' '));
            let token = Token { start, end };
            return Some(if is_plain { Chunk::Letters(token) } else { Chunk::Mixed(token) });
        }
        at = space_end(text, start);
        (at > start).then_some(Chunk::Space(Token { start, end: at }))
    })
}

/// What a byte says about where a chunk ends.
#[derive(Clone, Copy)]
enum Kind {
    Letter,
    Other,
    Space,
    /// The first byte of a character above ASCII that may be white space.
    MaybeSpace,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if classes::ASCII[byte as usize] & classes::SPACE != 0 {
            kinds[byte as usize] = Kind::Space;
        } else if byte.is_ascii_alphabetic() {
            kinds[byte as usize] = Kind::Letter;
        }
        byte += 1;
    }
    // U+0085 and U+00A0; U+1680; U+2000 to U+205F; U+3000.
    kinds[0xc2] = Kind::MaybeSpace;
    kinds[0xe1] = Kind::MaybeSpace;
    kinds[0xe2] = Kind::MaybeSpace;
    kinds[0xe3] = Kind::MaybeSpace;
    kinds
};

/// Where the characters that are no white space end, from byte `start` on, and whether they are ASCII letters alone.
fn chunk_end(text: &str, start: usize) -> (usize, bool) {
    let bytes = text.as_bytes();
    let (mut end, mut is_plain) = (start, true);
    while end < bytes.len() {
        match KINDS[usize::from(bytes[end])] {
            Kind::Letter => {}
            Kind::Space => break,
            Kind::MaybeSpace if classes::starts_with_space(&text[end..]) => break,
            Kind::Other | Kind::MaybeSpace => is_plain = false,
        }
        end += 1;
    }
    (end, is_plain)
}

/// Where the white space ends, from byte `start` on.
fn space_end(text: &str, start: usize) -> usize {
    text[start..].find(|c| !classes::is(c, classes::SPACE)).map_or(text.len(), |len| start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let texts = chunks(text).map(
            |(Chunk::Space(token) | Chunk::Letters(token) | Chunk::Mixed(token))| token.of(text),
        );
        assert_eq!(texts.collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn one_space_behind_a_chunk_is_passed_over() {
        check("", &[]);
        check("a b ", &["a", "b"]);
        check(" a  b   ", &[" ", "a", " ", "b", "  "]);
        check("a\nb \n c", &["a", "\n", "b", "\n ", "c"]);
    }

    #[test]
    fn white_space_is_that_of_python() {
        check(
            "a\u{a0}b\u{3000}c\u{1c}\u{85}d",
            &["a", "\u{a0}", "b", "\u{3000}", "c", "\u{1c}\u{85}", "d"],
        );
        check("“a”\u{200b}é", &["“a”\u{200b}é"]);
    }

    #[test]
    fn letters_are_those_of_ascii() {
        let token = |end| Token { start: 0, end };
        for (text, chunk) in [
            ("ab", Chunk::Letters(token(2))),
            ("a1", Chunk::Mixed(token(2))),
            ("é", Chunk::Mixed(token(2))),
        ] {
            assert_eq!(chunks(text).next(), Some(chunk), "{text}");
        }
    }
}
