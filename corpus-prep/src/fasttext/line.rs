//! How fastText cuts a line into words.

/// The word that stands for the end of a line.
pub(super) const END_OF_LINE: &[u8] = b"</s>";

/// The words of a text as one line, its end included.
///
/// Line feeds are white space here, as `datatrove` and DCLM make them before they ask fastText, which otherwise stops at the
/// first. It stops at a word `</s>` too, and so does this.
pub(super) fn words(text: &str) -> impl Iterator<Item = &[u8]> {
    let words = text.as_bytes().split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let mut ended = false;
    words.chain([END_OF_LINE]).take_while(move |word| {
        let begins = !ended;
        ended |= *word == END_OF_LINE;
        begins
    })
}

/// White space of the C locale, and the zero byte.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0)
}

/// FNV-1a of 32 bits, with bytes above 127 extended by their sign, which the original does not do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(pub(super) u32);

impl Hash {
    pub(super) const EMPTY: Self = Self(2_166_136_261);

    pub(super) fn of(word: &[u8]) -> Self {
        word.iter().fold(Self::EMPTY, |hash, byte| hash.then(*byte))
    }

    pub(super) fn then(self, byte: u8) -> Self {
        let extended = i32::from(byte.cast_signed()).cast_unsigned();
        Self((self.0 ^ extended).wrapping_mul(16_777_619))
    }
}

/// Calls `row` with the hash of each n-gram of characters of `word`, which has its `<` and `>` around it.
///
/// A character of one `<` or `>` alone is left out.
pub(super) fn for_each_ngram(word: &[u8], minn: usize, maxn: usize, mut row: impl FnMut(Hash)) {
    let goes_on = |at: usize| word.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    for start in (0..word.len()).filter(|start| !goes_on(*start)) {
        let (mut hash, mut at) = (Hash::EMPTY, start);
        for length in 1..=maxn {
            let Some(byte) = word.get(at) else { break };
            hash = hash.then(*byte);
            at += 1;
            while goes_on(at) {
                hash = hash.then(word[at]);
                at += 1;
            }
            let is_mark = length == 1 && (start == 0 || at == word.len());
            if length >= minn && !is_mark {
                row(hash);
            }
        }
    }
}

/// Calls `row` with the hash of each n-gram of two to `longest` words.
///
/// Hashes of words are extended by their sign before they are mixed.
pub(super) fn for_each_word_ngram(words: &[Hash], longest: usize, mut row: impl FnMut(u64)) {
    let extended = |hash: &Hash| i64::from(hash.0.cast_signed()).cast_unsigned();
    for (start, first) in words.iter().enumerate() {
        let mut mixed = extended(first);
        for word in words[start + 1..].iter().take(longest.saturating_sub(1)) {
            mixed = mixed.wrapping_mul(116_049_371).wrapping_add(extended(word));
            row(mixed);
        }
    }
}
