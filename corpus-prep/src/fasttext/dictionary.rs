//! Words and labels, and which rows of the input matrix a text has.

use super::BadModel;
use super::args::Args;
use super::cursor::Cursor;
use super::line::{self, Hash};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ops::Range;

/// Bytes of the shortest entry: no letters, the zero behind them, count and kind.
const ENTRY_BYTES: usize = 1 + 8 + 1;

/// Counts of labels are below this one, as what fastText takes for infinite when it builds its tree.
pub(super) const MAX_COUNT: i64 = 1_000_000_000_000_000;

/// What begins a word that is a label. Models do not say which prefix they were trained with.
const LABEL_PREFIX: &[u8] = b"__label__";

/// The words and labels that a model knows.
#[derive(Clone)]
pub(super) struct Dictionary {
    letters: Vec<u8>,
    /// Where in `letters` each entry lies, words before labels.
    entries: Vec<Range<usize>>,
    num_words: usize,
    index: Index,
    labels: Vec<String>,
    label_counts: Vec<i64>,
    ngrams: Ngrams,
}

/// Rows by bucket. Seeded anew for each, as whoever makes a file may choose its buckets.
type Kept = HashMap<u32, u32, RandomState>;

/// N-grams and their rows, counted from behind those of the words.
#[derive(Clone)]
struct Ngrams {
    word_ngrams: usize,
    minn: usize,
    maxn: usize,
    bucket: u32,
    /// The rows of those buckets that were kept; `None` if all were.
    kept: Option<Kept>,
}

impl Dictionary {
    pub(super) fn read(cursor: &mut Cursor, args: &Args) -> Result<Self, BadModel> {
        let max = i32::MAX.cast_unsigned();
        let size = cursor.small("the size of the dictionary", max)?;
        let num_words = cursor.small("the number of words", size)?;
        let num_labels = cursor.small("the number of labels", max)?;
        if num_labels == 0 || num_words + num_labels != size {
            let expected = format!("{}, all but the words, and at least 1", size - num_words);
            return Err(cursor.unlike("the number of labels", num_labels, expected));
        }
        cursor.i64("the number of tokens")?;
        let num_kept = read_num_kept(cursor)?;
        let mut dictionary = Self {
            letters: Vec::new(),
            entries: Vec::new(),
            num_words: num_words as usize,
            index: Index::default(),
            labels: Vec::new(),
            label_counts: Vec::new(),
            ngrams: Ngrams {
                word_ngrams: args.word_ngrams,
                minn: args.minn,
                maxn: args.maxn,
                bucket: args.bucket,
                kept: None,
            },
        };
        dictionary.read_entries(cursor, size as usize)?;
        dictionary.ngrams.kept =
            num_kept.map(|num| read_kept(cursor, num, args.bucket)).transpose()?;
        dictionary.index = Index::new(&dictionary.letters, &dictionary.entries);
        Ok(dictionary)
    }

    fn read_entries(&mut self, cursor: &mut Cursor, size: usize) -> Result<(), BadModel> {
        cursor.expect(size, ENTRY_BYTES, "the dictionary")?;
        self.entries.reserve_exact(size);
        for at in 0..size {
            let entry = cursor.string("a word of the dictionary")?;
            let count = cursor.i64("the count of a word")?;
            let kind = cursor.byte("the kind of a word")?;
            let expected = u8::from(at >= self.num_words);
            if kind != expected {
                return Err(cursor.unlike("the kind of a word", kind, expected));
            }
            if kind == 1 {
                self.push_label(cursor, entry, count)?;
            }
            let start = self.letters.len();
            self.letters.extend_from_slice(entry);
            self.entries.push(start..self.letters.len());
        }
        Ok(())
    }

    fn push_label(&mut self, cursor: &Cursor, label: &[u8], count: i64) -> Result<(), BadModel> {
        let label = str::from_utf8(label).map_err(|_| {
            cursor.unlike("a label", format!("`{}`", label.escape_ascii()), "UTF-8")
        })?;
        if !(0..MAX_COUNT).contains(&count) {
            let expected = format!("0 to {}", MAX_COUNT - 1);
            return Err(cursor.unlike("the count of a label", count, expected));
        }
        self.labels.push(label.into());
        self.label_counts.push(count);
        Ok(())
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    pub(super) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    /// Whether n-grams were left out when the model was quantized.
    pub(super) fn is_pruned(&self) -> bool {
        self.ngrams.kept.is_some()
    }

    /// Rows of the input matrix: words, then n-grams.
    pub(super) fn num_rows(&self) -> usize {
        let num_ngrams = match &self.ngrams.kept {
            Some(kept) => kept.len(),
            None => self.ngrams.bucket as usize,
        };
        self.num_words + num_ngrams
    }

    /// Calls `row` with each row of the input matrix that a text has, in the order in which fastText adds them.
    ///
    /// `hashes` and `letters` are memory that is used again.
    pub(super) fn for_each_row(
        &self,
        text: &str,
        hashes: &mut Vec<Hash>,
        letters: &mut Vec<u8>,
        mut row: impl FnMut(usize),
    ) {
        hashes.clear();
        for word in line::words(text) {
            let hash = Hash::of(word);
            let known = self.index.find(&self.letters, &self.entries, hash, word);
            let is_label = match known {
                Some(at) => at >= self.num_words,
                None => word.starts_with(LABEL_PREFIX),
            };
            if is_label {
                continue;
            }
            hashes.push(hash);
            known.into_iter().for_each(&mut row);
            if word != line::END_OF_LINE && self.ngrams.maxn > 0 {
                letters.clear();
                letters.push(b'<');
                letters.extend_from_slice(word);
                letters.push(b'>');
                line::for_each_ngram(letters, self.ngrams.minn, self.ngrams.maxn, |hash| {
                    self.ngram_row(u64::from(hash.0)).into_iter().for_each(&mut row);
                });
            }
        }
        line::for_each_word_ngram(hashes, self.ngrams.word_ngrams, |mixed| {
            self.ngram_row(mixed).into_iter().for_each(&mut row);
        });
    }

    /// The row of an n-gram, unless it was left out.
    fn ngram_row(&self, hash: u64) -> Option<usize> {
        let bucket = u32::try_from(hash % u64::from(self.ngrams.bucket))
            .expect("a remainder is less than its divisor");
        let at = match &self.ngrams.kept {
            Some(kept) => *kept.get(&bucket)?,
            None => bucket,
        };
        Some(self.num_words + at as usize)
    }
}

/// How many buckets were kept; `None` if none was left out.
fn read_num_kept(cursor: &mut Cursor) -> Result<Option<usize>, BadModel> {
    match cursor.i64("the number of n-grams that were kept")? {
        -1 => Ok(None),
        num => match usize::try_from(num) {
            Ok(num) => Ok(Some(num)),
            Err(_) => {
                Err(cursor.unlike("the number of n-grams that were kept", num, "at least -1"))
            }
        },
    }
}

fn read_kept(cursor: &mut Cursor, num: usize, bucket: u32) -> Result<Kept, BadModel> {
    cursor.expect(num, 8, "the n-grams that were kept")?;
    let mut kept = Kept::with_capacity_and_hasher(num, RandomState::default());
    for _ in 0..num {
        let from = cursor.small("the bucket of an n-gram", bucket.saturating_sub(1))?;
        let max = u32::try_from(num - 1).unwrap_or(u32::MAX);
        let to = cursor.small("the row of an n-gram", max)?;
        if kept.insert(from, to).is_some() {
            return Err(cursor.unlike("the bucket of an n-gram", from, "different buckets"));
        }
    }
    Ok(kept)
}

/// Finds words: entries sorted by hash, cut where the first bits of it change.
///
/// Words whose hashes are the same, which can be made at will, cost a search among them and no more.
#[derive(Clone, Default)]
struct Index {
    /// Where the entries of the hashes with these first bits begin, and one end more.
    starts: Vec<u32>,
    shift: u32,
    sorted: Vec<(u32, u32)>,
}

impl Index {
    fn new(letters: &[u8], entries: &[Range<usize>]) -> Self {
        let mut sorted: Vec<(u32, u32)> = (0u32..)
            .zip(entries)
            .map(|(at, entry)| (Hash::of(&letters[entry.clone()]).0, at))
            .collect();
        // The sort is stable, so that among equal words the last stays the last.
        sorted.sort_by(|(hash, at), (other_hash, other)| {
            let word = |at: u32| &letters[entries[at as usize].clone()];
            hash.cmp(other_hash).then_with(|| word(*at).cmp(word(*other)))
        });
        let bits = entries.len().max(2).ilog2().min(24);
        let shift = u32::BITS - bits;
        let mut starts = vec![0; (1 << bits) + 1];
        for (hash, _) in &sorted {
            starts[(hash >> shift) as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { starts, shift, sorted }
    }

    /// Where a word stands; of several entries the last.
    fn find(
        &self,
        letters: &[u8],
        entries: &[Range<usize>],
        Hash(hash): Hash,
        word: &[u8],
    ) -> Option<usize> {
        let first = (hash >> self.shift) as usize;
        let near = &self.sorted[self.starts[first] as usize..self.starts[first + 1] as usize];
        let key = |(hash, at): &(u32, u32)| (*hash, &letters[entries[*at as usize].clone()]);
        let behind = near.partition_point(|entry| key(entry) <= (hash, word));
        let found = near[..behind].last()?;
        (key(found) == (hash, word)).then_some(found.1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], word: &str) -> Option<usize> {
        let mut letters = Vec::new();
        let mut push = |word: &&str| {
            let start = letters.len();
            letters.extend_from_slice(word.as_bytes());
            start..letters.len()
        };
        let entries: Vec<_> = words.iter().map(&mut push).collect();
        let index = Index::new(&letters, &entries);
        index.find(&letters, &entries, Hash::of(word.as_bytes()), word.as_bytes())
    }

    #[test]
    fn words_with_one_hash_are_told_apart() {
        assert_eq!(Hash::of(b"costarring").0, Hash::of(b"liquid").0);
        let words = ["liquid", "wave", "costarring", "tide"];
        assert_eq!(words.map(|word| found(&words, word)), [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(found(&["liquid"], "costarring"), None);
        assert_eq!(found(&[], "liquid"), None);
    }

    #[test]
    fn of_equal_words_the_last_counts() {
        assert_eq!(found(&["wave", "tide", "wave", "salt"], "wave"), Some(2));
    }
}
