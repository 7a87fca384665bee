//! What is counted of a text: n-grams, hashed into buckets.
//!
//! A word is a maximal run of letters and digits, in lower case; every other character that is not white space is a word of
//! its own. The features of a text are its words, its pairs of neighbouring words, and if so wished the n-grams of characters
//! within words (with a mark at both ends). A feature's value is `1 + ln(times)`; then the values of a text are divided by
//! their Euclidean length, so that long texts weigh as much as short ones.
//!
//! Source: Weinberger et al. 2009, arXiv:0902.2206, without its signs: with `2^18` buckets few n-grams that matter meet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fewest and most bits of a bucket's number.
pub const BUCKET_BITS: std::ops::RangeInclusive<u8> = 8..=22;

/// Most characters of an n-gram.
pub const MAX_CHARACTERS: u8 = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Features {
    /// Features fall into `2^bucket_bits` buckets; 8 to 22, inclusive.
    pub bucket_bits: u8,
    /// Whether pairs of neighbouring words are counted too.
    pub word_pairs: bool,
    /// N-grams of so many characters are counted too; at most 8. `None`: none.
    pub characters: Option<u8>,
}

impl Default for Features {
    fn default() -> Self {
        Self { bucket_bits: 18, word_pairs: true, characters: None }
    }
}

impl Features {
    /// The number of buckets.
    pub fn num_buckets(self) -> usize {
        1 << self.bucket_bits
    }

    /// Whether all fields are within their bounds.
    pub fn are_valid(self) -> bool {
        BUCKET_BITS.contains(&self.bucket_bits)
            && self.characters.is_none_or(|num| (1..=MAX_CHARACTERS).contains(&num))
    }
}

/// Buckets with their values, sorted by bucket.
pub type Vector = [(u32, f64)];

/// Counts texts, and keeps its memory from one to the next.
#[derive(Clone, Debug)]
pub struct Extractor {
    features: Features,
    buckets: Vec<u32>,
    letters: Vec<char>,
    vector: Vec<(u32, f64)>,
}

impl Extractor {
    /// Counts `features`.
    pub fn new(features: Features) -> Self {
        Self { features, buckets: Vec::new(), letters: Vec::new(), vector: Vec::new() }
    }

    /// The features of a text.
    pub fn vector(&mut self, text: &str) -> &Vector {
        self.buckets.clear();
        let mut before = None;
        let mut characters = text.chars().peekable();
        while let Some(first) = characters.next() {
            if first.is_whitespace() {
                continue;
            }
            self.letters.clear();
            self.letters.extend(first.to_lowercase());
            if first.is_alphanumeric() {
                while let Some(next) = characters.next_if(|next| next.is_alphanumeric()) {
                    self.letters.extend(next.to_lowercase());
                }
            }
            before = Some(self.count_word(before));
        }
        self.weigh();
        &self.vector
    }

    /// Counts the word that `letters` hold behind the one with hash `before`, and gives its hash.
    fn count_word(&mut self, before: Option<u64>) -> u64 {
        let word = Kind::Word.hash(&self.letters);
        self.push(word);
        if let (true, Some(before)) = (self.features.word_pairs, before) {
            self.push(before.rotate_left(23).wrapping_mul(PRIME) ^ word);
        }
        if let Some(num) = self.features.characters {
            self.letters.insert(0, '\u{2}');
            self.letters.push('\u{3}');
            for at in 0..(self.letters.len() + 1).saturating_sub(usize::from(num)) {
                let hash = Kind::Characters.hash(&self.letters[at..at + usize::from(num)]);
                self.push(hash);
            }
        }
        word
    }

    fn push(&mut self, hash: u64) {
        // The upper bits depend on all letters, the lower ones only on lower bits of them.
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bucket = mixed >> (u64::BITS - u32::from(self.features.bucket_bits));
        self.buckets.push(u32::try_from(bucket).expect("a bucket has at most 22 bits"));
    }

    /// Makes `vector` of the buckets that were met.
    fn weigh(&mut self) {
        self.buckets.sort_unstable();
        let value = |times: usize| 1.0 + libm::log(times as f64);
        self.vector.clear();
        self.vector.extend(
            self.buckets
                .chunk_by(|left, right| left == right)
                .map(|same| (same[0], value(same.len()))),
        );
        let length = self.vector.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        self.vector.iter_mut().for_each(|(_, value)| *value /= length);
    }
}

/// Features of different kinds do not meet by having the same letters.
#[derive(Clone, Copy)]
enum Kind {
    Word,
    Characters,
}

const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Kind {
    /// FNV-1a of 64 bits, over characters in place of bytes.
    fn hash(self, letters: &[char]) -> u64 {
        let start = match self {
            Self::Word => 0xcbf2_9ce4_8422_2325,
            Self::Characters => 0x8422_2325_cbf2_9ce4,
        };
        letters
            .iter()
            .fold(start, |hash, letter| (hash ^ u64::from(u32::from(*letter))).wrapping_mul(PRIME))
    }
}
