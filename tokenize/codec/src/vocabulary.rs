//! A vocabulary of our own.

use crate::{
    CodecError, PretokenCounts, SpecialTokens, alphabet,
    train::{self, Pair},
};

/// The special token that ends every document; also used as bos and pad.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// Smallest vocabulary: the end of text and every byte.
pub const MIN_SIZE: usize = 257;

/// Id of the first merged token.
const FIRST_MERGE_ID: u32 = 257;

/// A byte-level BPE vocabulary over the GPT-2 pre-token pattern.
///
/// Token 0 is [`END_OF_TEXT`], tokens 1 to 256 are the bytes in the order of their stand-in characters, the rest are
/// merges in the order in which they were learnt: the ids that `BpeTrainer` of tokenizers gives. Further special tokens
/// stand behind them, so that they move no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    merges: Vec<Pair>,
    tokens: Vec<String>,
    special: SpecialTokens,
}

impl Vocabulary {
    /// Learns a vocabulary of `size` tokens.
    ///
    /// It has fewer tokens than `size` when the counts hold no further pair that occurs twice. Of equally frequent
    /// pairs the one with the smallest ids is merged first. `on_merge` is told how many merges are learnt so far, and
    /// may stop the training with an error.
    ///
    /// # Errors
    /// If `size` is below [`MIN_SIZE`], if the counts are too large to address, or if `on_merge` says so.
    pub fn train<E: From<CodecError>>(
        counts: &PretokenCounts,
        size: usize,
        on_merge: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Self, E> {
        let num_merges = size
            .checked_sub(MIN_SIZE)
            .ok_or(CodecError::TooSmall { found: size, expected: MIN_SIZE })?;
        let merges = train::learn(counts, &byte_ids(), FIRST_MERGE_ID, num_merges, on_merge)?;
        Ok(Self { tokens: spell_tokens(&merges), merges, special: SpecialTokens::default() })
    }

    /// The vocabulary with these special tokens at its end, in place of those it had there.
    ///
    /// # Errors
    /// [`CodecError::SpecialToken`] when one is empty or a token already.
    pub fn with_special_tokens(mut self, special: SpecialTokens) -> Result<Self, CodecError> {
        special.validate()?;
        self.tokens.truncate(self.tokens.len() - self.special.len());
        for token in special.iter() {
            if self.tokens.iter().any(|other| other == token) {
                return Err(CodecError::SpecialToken { token: token.to_owned() });
            }
        }
        self.tokens.extend(special.iter().map(str::to_owned));
        self.special = special;
        Ok(self)
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// Tokens by id, spelt in the stand-in characters of byte-level vocabularies.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The id of a token.
    pub(crate) fn id(&self, token: &str) -> Option<usize> {
        self.tokens.iter().position(|other| other == token)
    }

    /// Special tokens beside the end of text.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special
    }

    /// Merges by rank, each as the spelling of its left and right token.
    pub fn merges(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let token = |id: u32| self.tokens[id as usize].as_str();
        self.merges.iter().map(move |&(left, right)| (token(left), token(right)))
    }
}

/// Bytes in the order of their ids.
fn bytes_by_id() -> [u8; 256] {
    let mut bytes: [u8; 256] = std::array::from_fn(|byte| byte.to_le_bytes()[0]);
    bytes.sort_unstable_by_key(|&byte| alphabet::char_of(byte));
    bytes
}

/// Id of each byte.
fn byte_ids() -> [u32; 256] {
    let mut ids = [0; 256];
    for (id, byte) in (1..).zip(bytes_by_id()) {
        ids[usize::from(byte)] = id;
    }
    ids
}

fn spell_tokens(merges: &[Pair]) -> Vec<String> {
    let mut tokens = vec![END_OF_TEXT.to_owned()];
    tokens.extend(bytes_by_id().map(|byte| alphabet::spell(&[byte])));
    for &(left, right) in merges {
        tokens.push([tokens[left as usize].as_str(), tokens[right as usize].as_str()].concat());
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(text: &str, size: usize) -> Result<Vocabulary, CodecError> {
        let mut counts = PretokenCounts::default();
        counts.count(text)?;
        Vocabulary::train(&counts, size, |_| Ok(()))
    }

    #[test]
    fn bytes_come_after_the_end_of_text() {
        let vocabulary = train("", MIN_SIZE).unwrap();
        assert_eq!(vocabulary.size(), MIN_SIZE);
        assert_eq!(vocabulary.tokens()[..3], ["<|endoftext|>", "!", "\""]);
        assert_eq!(vocabulary.tokens()[256], "\u{143}");
    }

    #[test]
    fn special_tokens_stand_at_the_end() {
        let some = |cls: &str, mask: &str| SpecialTokens {
            cls: Some(cls.to_owned()),
            sep: None,
            mask: Some(mask.to_owned()),
        };
        let plain = train("aaaa aaaa", 258).unwrap();
        let vocabulary = plain.clone().with_special_tokens(some("[CLS]", "[MASK]")).unwrap();
        assert_eq!(vocabulary.tokens()[258..], ["[CLS]", "[MASK]"]);
        let codec = crate::Codec::of(&vocabulary).unwrap();
        assert_eq!((codec.cls(), codec.sep(), codec.mask()), (Some(258), None, Some(259)));
        assert_eq!(codec.engine(), &crate::Engine::ByteLevelBpe);
        assert!(codec.is_special(0) && codec.is_special(259) && !codec.is_special(257));
        let text = "aa [MASK]";
        let ids = codec.encode(text).unwrap();
        assert_eq!(ids, crate::Codec::of(&plain).unwrap().encode(text).unwrap());
        assert_eq!(codec.decode(&ids).unwrap(), text);
        assert_eq!(vocabulary.with_special_tokens(SpecialTokens::default()).unwrap(), plain);
        for (cls, mask) in
            [("", "[MASK]"), ("[MASK]", "[MASK]"), ("aa", "b"), ("<|endoftext|>", "b")]
        {
            let refused = plain.clone().with_special_tokens(some(cls, mask));
            assert!(matches!(refused, Err(CodecError::SpecialToken { .. })), "{cls:?} {mask:?}");
        }
    }

    #[test]
    fn the_size_is_a_bound() {
        assert_eq!(train("aaaa aaaa", 258).unwrap().size(), 258);
        assert_eq!(train("ab", 300).unwrap().size(), MIN_SIZE);
        assert_eq!(
            train("", 256).unwrap_err().to_string(),
            "a vocabulary of 256 tokens; expected at least 257 (every byte and the end of text)"
        );
    }
}
