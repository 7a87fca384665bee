//! How often each pre-token occurs: all that the trainer needs to know of a corpus.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use crate::{CodecError, pretokens};

const MAGIC: [u8; 8] = *b"SEEDPTC\0";

/// Newest format version read, and the one written.
const VERSION: u32 = 1;

/// Pre-tokens with the number of times they occur.
///
/// Counts of parts add up to the counts of the whole, in any order. Written, they are sorted by the pre-tokens' bytes,
/// so equal counts are equal bytes.
///
/// # Format, version 1
/// Integers are little-endian.
///
/// | offset | type | meaning |
/// |---|---|---|
/// | 0 | 8 bytes | `SEEDPTC` and a zero byte |
/// | 8 | u32 | format version |
/// | 12 | u64 | entries |
/// | then, by entry | u32 | bytes of the pre-token |
/// | | bytes | the pre-token, UTF-8, greater than the one before in byte order |
/// | | u64 | occurrences, at least one |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PretokenCounts {
    counts: HashMap<Box<str>, u64>,
}

impl PretokenCounts {
    /// Adds the pre-tokens of `text`.
    ///
    /// # Errors
    /// If a count leaves `u64`.
    pub fn count(&mut self, text: &str) -> Result<(), CodecError> {
        pretokens(text).try_for_each(|pretoken| self.add(pretoken, 1))
    }

    /// Adds all of `other`.
    ///
    /// # Errors
    /// If a count leaves `u64`.
    pub fn absorb(&mut self, other: Self) -> Result<(), CodecError> {
        other.counts.iter().try_for_each(|(pretoken, &count)| self.add(pretoken, count))
    }

    /// Number of distinct pre-tokens.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Occurrences of `pretoken`.
    pub fn get(&self, pretoken: &str) -> u64 {
        self.counts.get(pretoken).copied().unwrap_or(0)
    }

    /// Pre-tokens and their counts, by the bytes of the pre-token.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<_> =
            self.counts.iter().map(|(text, &count)| (&**text, count)).collect();
        sorted.sort_unstable();
        sorted
    }

    /// Writes the counts in the format above.
    ///
    /// # Errors
    /// If `out` cannot be written, or a pre-token is longer than 4 GiB.
    pub fn write(&self, mut out: impl Write) -> Result<(), CodecError> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(self.counts.len() as u64).to_le_bytes())?;
        for (entry, (pretoken, count)) in (0..).zip(self.sorted()) {
            let bytes = u32::try_from(pretoken.len())
                .map_err(|_| CodecError::BadEntry { entry, problem: "is longer than 4 GiB" })?;
            out.write_all(&bytes.to_le_bytes())?;
            out.write_all(pretoken.as_bytes())?;
            out.write_all(&count.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads counts in the format above, to the end of `from`.
    ///
    /// # Errors
    /// If `from` cannot be read, is cut, out of order or otherwise not what [`write`](Self::write) wrote, or newer.
    pub fn read(mut from: impl Read) -> Result<Self, CodecError> {
        let entries = read_header(&mut from)?;
        let mut counts = Self::default();
        let mut last: Option<Box<str>> = None;
        for entry in 0..entries {
            let (pretoken, count) = read_entry(&mut from, entry, entries)?;
            let problem = if count == 0 {
                Some("occurs zero times")
            } else if last.as_ref().is_some_and(|last| *last >= pretoken) {
                Some("is not greater than the one before")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(CodecError::BadEntry { entry, problem });
            }
            counts.add(&pretoken, count)?;
            last = Some(pretoken);
        }
        match from.read(&mut [0])? {
            0 => Ok(counts),
            _ => Err(CodecError::TrailingBytes { entries }),
        }
    }

    fn add(&mut self, pretoken: &str, count: u64) -> Result<(), CodecError> {
        if let Some(known) = self.counts.get_mut(pretoken) {
            *known = known.checked_add(count).ok_or(CodecError::CountOverflow)?;
        } else {
            self.counts.insert(pretoken.into(), count);
        }
        Ok(())
    }
}

/// The number of entries that follow.
fn read_header(from: &mut impl Read) -> Result<u64, CodecError> {
    let cut = |error| cut(error, 0, 0);
    let found = read_array(from).map_err(cut)?;
    if found != MAGIC {
        return Err(CodecError::BadMagic { found });
    }
    let version = u32::from_le_bytes(read_array(from).map_err(cut)?);
    if version != VERSION {
        return Err(CodecError::TooNew { found: version, expected: VERSION });
    }
    Ok(u64::from_le_bytes(read_array(from).map_err(cut)?))
}

fn read_entry(
    from: &mut impl Read,
    entry: u64,
    entries: u64,
) -> Result<(Box<str>, u64), CodecError> {
    let cut = |error| cut(error, entry, entries);
    let bytes = u32::from_le_bytes(read_array(from).map_err(cut)?);
    // Grows as bytes arrive: a corrupt length cannot ask for more memory than the file has bytes.
    let mut pretoken = Vec::new();
    from.by_ref().take(bytes.into()).read_to_end(&mut pretoken)?;
    if pretoken.len() as u64 != u64::from(bytes) {
        return Err(CodecError::Truncated { entry, entries });
    }
    let pretoken = String::from_utf8(pretoken)
        .map_err(|_| CodecError::BadEntry { entry, problem: "is not UTF-8" })?;
    Ok((pretoken.into(), u64::from_le_bytes(read_array(from).map_err(cut)?)))
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    from.read_exact(&mut array).map(|()| array)
}

fn cut(error: io::Error, entry: u64, entries: u64) -> CodecError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CodecError::Truncated { entry, entries },
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(texts: &[&str]) -> PretokenCounts {
        let mut counts = PretokenCounts::default();
        texts.iter().for_each(|text| counts.count(text).unwrap());
        counts
    }

    fn bytes(counts: &PretokenCounts) -> Vec<u8> {
        let mut bytes = Vec::new();
        counts.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        for texts in [&[][..], &["a b a", "é\u{0}é", "日 日"]] {
            let counts = counts(texts);
            assert_eq!(PretokenCounts::read(bytes(&counts).as_slice()).unwrap(), counts);
        }
    }

    #[test]
    fn version_1_is_these_bytes() {
        let expected: &[u8] = b"SEEDPTC\0\x01\0\0\0\x02\0\0\0\0\0\0\0\
            \x02\0\0\0 b\x01\0\0\0\0\0\0\0\x01\0\0\0b\x02\0\0\0\0\0\0\0";
        assert_eq!(bytes(&counts(&["b b", "b"])), expected);
    }

    #[test]
    fn the_order_of_merging_does_not_show() {
        let parts = ["a b c", "b c d", "c d e e"];
        let whole = bytes(&counts(&parts));
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut sum = PretokenCounts::default();
            order.iter().for_each(|&at: &usize| sum.absorb(counts(&[parts[at]])).unwrap());
            assert_eq!(bytes(&sum), whole);
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = bytes(&counts(&["a b a", "c"]));
        for end in 0..whole.len() {
            let error = PretokenCounts::read(&whole[..end]).unwrap_err();
            assert!(matches!(error, CodecError::Truncated { .. }), "{end}: {error}");
        }
    }

    #[test]
    fn corrupt_files_say_what_is_wrong() {
        let whole = bytes(&counts(&["b b", "b"]));
        let message = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole.clone();
            change(&mut bytes);
            PretokenCounts::read(bytes.as_slice()).unwrap_err().to_string()
        };
        assert!(message(&|bytes| bytes[0] = b'X').starts_with("not a file of pre-token counts"));
        assert_eq!(
            message(&|bytes| bytes[8] = 2),
            "pre-token counts of format version 2; this build reads up to 1"
        );
        assert_eq!(
            message(&|bytes| bytes.push(0)),
            "pre-token counts go on after the last of 2 entries"
        );
        assert_eq!(
            message(&|bytes| bytes[24] = b'c'),
            "pre-token counts: entry 1 is not greater than the one before"
        );
        assert_eq!(message(&|bytes| bytes[24] = 0xFF), "pre-token counts: entry 0 is not UTF-8");
        assert_eq!(message(&|bytes| bytes[26] = 0), "pre-token counts: entry 0 occurs zero times");
        assert_eq!(
            message(&|bytes| bytes[23] = 0xFF),
            "pre-token counts end inside entry 0 of 2; was the writer interrupted?"
        );
    }

    #[test]
    fn counts_do_not_wrap() {
        let most = |count: u64| {
            let mut counts = counts(&["a"]);
            counts.counts.insert("a".into(), count);
            counts
        };
        assert!(matches!(most(u64::MAX).absorb(most(1)), Err(CodecError::CountOverflow)));
    }
}
