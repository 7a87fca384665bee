//! Signals of the Gopher repetition rules.
//!
//! Source: Rae et al. 2021, arXiv:2112.11446, appendix A1.1, table A1, as datatrove's `GopherRepetitionFilter` computes
//! them. Duplicates are occurrences after the first. Characters are Unicode code points, and are divided by those of
//! the whole text as it is. A share of nothing is 0.

use super::lines::is_space;
use super::seen::Seen;
use super::{Text, ratio};
use foldhash::fast::FixedState;
use memchr::memchr;
use std::cmp::Reverse;
use std::hash::BuildHasher;

/// Lengths of the n-grams of which the most frequent is weighed: each found by the one before.
pub const TOP_N: [usize; 3] = [2, 3, 4];

/// Lengths of the n-grams of which all repetitions are weighed.
pub const DUP_N: [usize; 6] = [5, 6, 7, 8, 9, 10];

/// What the repetition rules judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GopherRepetition {
    /// Share of paragraphs (of the stripped text, between runs of two or more line feeds) that are duplicates.
    pub dup_para_frac: f64,
    /// Characters in duplicate paragraphs over characters of the text.
    pub dup_para_char_frac: f64,
    /// Share of lines (of the text as it is, between runs of line feeds, empty first and last ones included) that are
    /// duplicates.
    pub dup_line_frac: f64,
    /// Characters in duplicate lines over characters of the text.
    pub dup_line_char_frac: f64,
    /// For each of [`TOP_N`]: length of the most frequent n-gram, joined by spaces, times its count, over characters
    /// of the text. Of equally frequent ones the first counts. It can exceed 1.
    pub top_ngram_frac: [f64; TOP_N.len()],
    /// For each of [`DUP_N`]: characters in n-grams seen before, joined without spaces and taken from left to right
    /// without overlap, over characters of the text.
    pub dup_ngram_frac: [f64; DUP_N.len()],
}

impl GopherRepetition {
    /// Names of the columns, in order.
    pub const COLUMNS: [&str; 4 + TOP_N.len() + DUP_N.len()] = [
        "dup_para_frac",
        "dup_para_char_frac",
        "dup_line_frac",
        "dup_line_char_frac",
        "top_2_gram_frac",
        "top_3_gram_frac",
        "top_4_gram_frac",
        "dup_5_gram_frac",
        "dup_6_gram_frac",
        "dup_7_gram_frac",
        "dup_8_gram_frac",
        "dup_9_gram_frac",
        "dup_10_gram_frac",
    ];

    /// The values by [`Self::COLUMNS`].
    pub fn values(&self) -> impl Iterator<Item = f64> + use<> {
        let lines = [
            self.dup_para_frac,
            self.dup_para_char_frac,
            self.dup_line_frac,
            self.dup_line_char_frac,
        ];
        lines.into_iter().chain(self.top_ngram_frac).chain(self.dup_ngram_frac)
    }

    /// Measures a text.
    pub fn measure(of: &Text, seen: &mut Seen) -> Self {
        let Text { text, num_chars, .. } = *of;
        let paragraphs = Duplicates::count(split_runs(text.trim_matches(is_space), 2), seen);
        let lines = Duplicates::count(split_runs(text, 1), seen);
        let words = Words::of(of, seen);
        Self {
            dup_para_frac: ratio(paragraphs.duplicates, paragraphs.all),
            dup_para_char_frac: ratio(paragraphs.chars, num_chars),
            dup_line_frac: ratio(lines.duplicates, lines.all),
            dup_line_char_frac: ratio(lines.chars, num_chars),
            top_ngram_frac: words.top_ngram_chars(seen).map(|chars| ratio(chars, num_chars)),
            dup_ngram_frac: words.dup_ngram_chars(seen).map(|chars| ratio(chars, num_chars)),
        }
    }
}

/// The pieces of `text` between runs of at least `min_run` line feeds, as by Python's `re.split` on `\n{min_run,}`.
fn split_runs(text: &str, min_run: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let piece = rest?;
        let bytes = piece.as_bytes();
        let mut at = 0;
        while let Some(found) = memchr(b'\n', &bytes[at..]) {
            let start = at + found;
            let run = bytes[start..].iter().take_while(|byte| **byte == b'\n').count();
            at = start + run;
            if run >= min_run {
                rest = Some(&piece[at..]);
                return Some(&piece[..start]);
            }
        }
        rest = None;
        Some(piece)
    })
}

/// Pieces, and those of them that stood before.
#[derive(Default)]
pub(super) struct Duplicates {
    pub(super) all: u64,
    pub(super) duplicates: u64,
    /// Code points of the duplicates.
    pub(super) chars: u64,
}

impl Duplicates {
    pub(super) fn count<'a>(pieces: impl Iterator<Item = &'a str>, seen: &mut Seen) -> Self {
        let pieces: Vec<&str> = pieces.collect();
        let mut counted = Self { all: pieces.len() as u64, ..Self::default() };
        seen.begin(pieces.len());
        for (place, piece) in (0..).zip(&pieces) {
            let first = seen.first(hash(piece), place, |other| pieces[other as usize] == *piece);
            if first != place {
                counted.duplicates += 1;
                counted.chars += piece.chars().count() as u64;
            }
        }
        counted
    }
}

fn hash(piece: &str) -> u64 {
    FixedState::default().hash_one(piece)
}

/// The words of a document laid end to end, so that an n-gram without spaces is a slice.
struct Words {
    joined: String,
    /// Where each word begins in `joined`, and the end of the last one.
    starts: Vec<usize>,
    /// Code points before each word, and of all.
    chars: Vec<u64>,
    /// Where each word stands first, and how often it stands, where it stands first.
    firsts: Vec<u32>,
    counts: Vec<u64>,
    hashes: Vec<WordHash>,
}

/// The hash of a word as a polynomial of its bytes, from which that of words without spaces between them follows.
#[derive(Clone, Copy)]
struct WordHash {
    hash: u64,
    /// [`BASE`] to the power of its length.
    power: u64,
}

/// Where the polynomials are evaluated: any odd number without a pattern.
const BASE: u64 = 0x5851_f42d_4c95_7f2d;

impl WordHash {
    fn of(word: &str) -> Self {
        let (mut hash, mut power) = (0u64, 1u64);
        for byte in word.bytes() {
            hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
            power = power.wrapping_mul(BASE);
        }
        Self { hash, power }
    }
}

impl Words {
    fn of(text: &Text, seen: &mut Seen) -> Self {
        let words = text.words;
        let mut laid = Self {
            joined: words.concat(),
            starts: vec![0],
            chars: vec![0],
            firsts: Vec::with_capacity(words.len()),
            counts: vec![0; words.len()],
            hashes: words.iter().map(|word| WordHash::of(word)).collect(),
        };
        let (mut bytes, mut chars) = (0, 0);
        seen.begin(words.len());
        // A place over 2^32 would need a document of over 16 GB.
        for ((place, word), hash) in (0..).zip(words).zip(&laid.hashes) {
            bytes += word.len();
            chars += text.chars_of(word);
            laid.starts.push(bytes);
            laid.chars.push(chars);
            let first = seen.first(hash.hash, place, |other| words[other as usize] == *word);
            laid.counts[first as usize] += 1;
            laid.firsts.push(first);
        }
        laid
    }

    /// Code points of the `n` words from `at`, without spaces.
    fn num_chars(&self, at: usize, n: usize) -> u64 {
        self.chars[at + n] - self.chars[at]
    }

    /// For each of [`TOP_N`]: length, with spaces, times count of the most frequent n-gram. No word holds a space, so that
    /// n-grams are equal when their words are: when they begin with equal shorter ones and end in equal words. So one that
    /// begins with what stands once stands once.
    fn top_ngram_chars(&self, seen: &mut Seen) -> [u64; TOP_N.len()] {
        let (mut shorter, mut shorter_counts) = (self.firsts.clone(), self.counts.clone());
        TOP_N.map(|n| {
            let lasts = self.firsts.get(n - 1..).unwrap_or_default();
            let mut counts = vec![0u64; lasts.len()];
            seen.begin(lasts.len());
            let first = |(place, &last): (u32, &u32)| {
                let of = |place: u32| (shorter[place as usize], lasts[place as usize]);
                let first = if shorter_counts[of(place).0 as usize] == 1 {
                    place
                } else {
                    let hash = u64::from(of(place).0) << 32 | u64::from(last);
                    seen.first(hash, place, |other| of(other) == of(place))
                };
                counts[first as usize] += 1;
                first
            };
            shorter = (0..).zip(lasts).map(first).collect();
            let top = (0..counts.len()).max_by_key(|at| (counts[*at], Reverse(*at)));
            let chars = top.map_or(0, |at| counts[at] * (self.num_chars(at, n) + n as u64 - 1));
            shorter_counts = counts;
            chars
        })
    }

    /// For each of [`DUP_N`]: code points of the n-grams that a scan from left to right has seen before.
    fn dup_ngram_chars(&self, seen: &mut Seen) -> [u64; DUP_N.len()] {
        let repeats = self.repeats(seen);
        if !repeats.contains(&true) {
            return [0; DUP_N.len()];
        }
        let mut hashes: Vec<u64> = self.hashes.iter().map(|word| word.hash).collect();
        let mut length = 1;
        DUP_N.map(|n| {
            while length < n {
                let lasts = self.hashes.get(length..).unwrap_or_default();
                hashes.truncate(lasts.len());
                for (hash, last) in hashes.iter_mut().zip(lasts) {
                    *hash = hash.wrapping_mul(last.power).wrapping_add(last.hash);
                }
                length += 1;
            }
            self.scan(n, (&hashes, &repeats), seen)
        })
    }

    /// For each word whether what begins there could be an n-gram of [`DUP_N`] that stands elsewhere too: whether as many
    /// bytes as the shortest of them has, at most [`PREFIX`], do.
    fn repeats(&self, seen: &mut Seen) -> Vec<bool> {
        let ends = self.starts.get(DUP_N[0]..).unwrap_or_default();
        let lengths = self.starts.iter().zip(ends).map(|(start, end)| end - start);
        let Some(shortest) = lengths.min() else { return Vec::new() };
        let length = shortest.min(PREFIX);
        let prefix = |start: &usize| {
            let mut halves = [[0; PREFIX / 2]; 2];
            let bytes = &self.joined.as_bytes()[*start..start + length];
            halves.as_flattened_mut()[..length].copy_from_slice(bytes);
            halves.map(u64::from_le_bytes)
        };
        let prefixes: Vec<[u64; 2]> = self.starts[..ends.len()].iter().map(prefix).collect();
        let mut repeats = vec![false; prefixes.len()];
        seen.begin(prefixes.len());
        for (place, prefix) in (0..).zip(&prefixes) {
            let hash = prefix[0] ^ prefix[1].wrapping_mul(BASE).rotate_left(32);
            let first = seen.first(hash, place, |other| prefixes[other as usize] == *prefix);
            if first != place {
                (repeats[first as usize], repeats[place as usize]) = (true, true);
            }
        }
        repeats
    }

    /// Goes over the n-grams without spaces, of which these are the hashes, and jumps over each that it counts.
    fn scan(&self, n: usize, (hashes, repeats): (&[u64], &[bool]), seen: &mut Seen) -> u64 {
        let ngram = |at: usize| &self.joined[self.starts[at]..self.starts[at + n]];
        let (mut at, mut chars) = (0, 0);
        seen.begin(hashes.len());
        while let Some(hash) = hashes.get(at) {
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            let is_same = |other| ngram(other as usize) == ngram(at);
            if repeats[at] && seen.first(*hash, place, is_same) != place {
                chars += self.num_chars(at, n);
                at += n;
            } else {
                at += 1;
            }
        }
        chars
    }
}

/// Most bytes of an n-gram that are compared before all of it is.
const PREFIX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::words::words;

    fn measure(text: &str) -> GopherRepetition {
        GopherRepetition::measure(&Text::new(text, &words(text)), &mut Seen::default())
    }

    #[track_caller]
    fn check_split(text: &str, min_run: usize, expected: &[&str]) {
        assert_eq!(split_runs(text, min_run).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn runs_of_line_feeds_split_and_leave_empty_ends() {
        check_split("", 1, &[""]);
        check_split("\na\n\n\nb\n", 1, &["", "a", "b", ""]);
        check_split("a\nb\n\nc\n\n\nd\n", 2, &["a\nb", "c", "d\n"]);
    }

    #[test]
    fn paragraphs_are_those_of_the_stripped_text() {
        // 12 code points, paragraphs é, b, é.
        let signals = measure("\n\né\n\nb\n\n\né\n\n");
        assert_eq!(signals.dup_para_frac, 1.0 / 3.0);
        assert_eq!(signals.dup_para_char_frac, 1.0 / 12.0);
    }

    #[test]
    fn empty_first_and_last_lines_are_lines() {
        // Lines: "", ab, ab, "": two duplicates of two characters together.
        let signals = measure("\nab\n\nab\n");
        assert_eq!(signals.dup_line_frac, 2.0 / 4.0);
        assert_eq!(signals.dup_line_char_frac, 2.0 / 8.0);
    }

    #[test]
    fn the_top_ngram_counts_with_spaces_even_when_it_occurs_once() {
        // Bigrams: "a bb" once, "bb c" once: the first counts, 4 of 6 characters.
        assert_eq!(measure("a bb c").top_ngram_frac, [4.0 / 6.0, 1.0, 0.0]);
        // "a b" three times of "a b a b a b" (11): 9; "a b a" and "b a b" twice each: 10; "a b a b" twice: 14.
        assert_eq!(measure("a b a b a b").top_ngram_frac, [9.0 / 11.0, 10.0 / 11.0, 14.0 / 11.0]);
    }

    #[test]
    fn of_equally_frequent_ngrams_the_first_counts() {
        // Both "a b" and "long er" occur once.
        assert_eq!(measure("a b").top_ngram_frac[0], 1.0);
        assert_eq!(measure("a b longer").top_ngram_frac[0], 3.0 / 10.0);
        assert_eq!(measure("longer a b").top_ngram_frac[0], 8.0 / 10.0);
    }

    #[test]
    fn repeated_ngrams_are_jumped_over() {
        // Ten words a b c d e a b c d e, 19 characters: the second five-gram is seen before, 5 characters.
        let signals = measure("a b c d e a b c d e");
        assert_eq!(signals.dup_ngram_frac, [5.0 / 19.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        // Sixteen times x: five-grams at 0 (new), 1, 6, and 11 (seen): 15 characters of 31.
        let signals = measure("x x x x x x x x x x x x x x x x");
        assert_eq!(signals.dup_ngram_frac[0], 15.0 / 31.0);
        // Ten-grams at 0 (new) and 1 (seen).
        assert_eq!(signals.dup_ngram_frac[5], 10.0 / 31.0);
    }

    #[test]
    fn long_ngrams_are_joined_without_spaces_and_may_collide() {
        // "ab c d e f" and "a bc d e f" are both "abcdef".
        let text = "ab c d e f a bc d e f";
        assert_eq!(measure(text).dup_ngram_frac[0], 6.0 / 21.0);
    }

    #[test]
    fn an_empty_text_repeats_nothing() {
        assert_eq!(measure(""), GopherRepetition::default());
    }
}
