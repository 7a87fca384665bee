//! Pre-token counts of every format version are read as they were meant, and written the same today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use codec::{CodecError, PretokenCounts};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/pretoken-counts")
}

fn good() -> Vec<u8> {
    fs::read(golden()).unwrap()
}

/// What the file means: pre-tokens of one byte and of several, and a count of more than one byte.
const MEANT: [(&str, u64); 7] =
    [("\n", 1), (" b", 2), (" naïve", 1), (" 日本", 1), ("!", 1), ("a", 2), ("b", 300)];

fn counts() -> PretokenCounts {
    let mut counts = PretokenCounts::default();
    for text in ["a b b naïve", "a 日本!", "\n"] {
        counts.count(text).unwrap();
    }
    (0..300).for_each(|_| counts.count("b").unwrap());
    counts
}

fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    counts().write(&mut bytes).unwrap();
    bytes
}

#[test]
#[ignore = "writes the golden file anew, which is right only before a version is released"]
fn write_golden() {
    fs::write(golden(), written()).unwrap();
}

#[test]
fn counts_are_read_as_they_were_meant_and_written_the_same() {
    let read = PretokenCounts::read(good().as_slice()).unwrap();
    assert_eq!(read.sorted(), MEANT);
    assert_eq!(read, counts());
    assert!(written() == good(), "counts are written with other bytes: raise their version");
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>)) -> CodecError {
    let mut bytes = good();
    change(&mut bytes);
    PretokenCounts::read(bytes.as_slice()).unwrap_err()
}

#[test]
fn cut_foreign_and_newer_counts_are_refused() {
    let cut = refused(|bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(cut, CodecError::Truncated { entry: 6, entries: 7 }), "{cut:?}");
    assert_eq!(
        cut.to_string(),
        "pre-token counts end inside entry 6 of 7; was the writer interrupted?"
    );
    let foreign = refused(|bytes| bytes.splice(..8, *b"MMIDIDX\0").for_each(drop));
    assert!(matches!(&foreign, CodecError::BadMagic { found } if found == b"MMIDIDX\0"));
    assert_eq!(
        foreign.to_string(),
        "not a file of pre-token counts (starts with [4d, 4d, 49, 44, 49, 44, 58, 00])"
    );
    let newer = refused(|bytes| bytes[8] = 2);
    assert!(matches!(newer, CodecError::TooNew { found: 2, expected: 1 }), "{newer:?}");
    assert_eq!(newer.to_string(), "pre-token counts of format version 2; this build reads up to 1");
}
