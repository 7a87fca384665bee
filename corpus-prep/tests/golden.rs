//! Files between the phases of deduplication, and classifiers, are read as they were meant, and written the same today.
//!
//! The former have no version of their own; `docs/formats.md` says why.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use corpus_prep::classifier::{Classifier, Example, Features, Options, train};
use corpus_prep::dedup::exact::{self, Duplicate};
use corpus_prep::dedup::index::{self, ENTRY_BYTES, Entry};
use corpus_prep::error::{Error, Result};
use pipelines::digest::{Digest, text_id};
use pipelines::table::documents::RowKey;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn good(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap()
}

/// Unit, record and text; the last text but one stands three times.
const RECORDS: [(&str, u64, &str); 5] =
    [("a", 0, "one"), ("a", 300, "two"), ("b", 0, "two"), ("b", 1 << 32, "two"), ("b", 2, "日本")];

fn key(unit: &str, record: u64) -> RowKey {
    RowKey { unit: text_id(unit), record }
}

fn entries() -> Vec<Entry> {
    let entry = |(unit, record, text)| Entry::of(text, &key(unit, record)).unwrap();
    let mut entries: Vec<_> = RECORDS.map(entry).to_vec();
    entries.sort_unstable();
    entries
}

fn duplicates(index: &[[u8; ENTRY_BYTES]]) -> Vec<Duplicate> {
    let mut found = Vec::new();
    let give = |_, duplicates: Vec<Duplicate>| {
        found.extend(duplicates);
        Ok::<_, Infallible>(())
    };
    exact::find(&[index], usize::MAX, |_| Ok(()), give).unwrap();
    found
}

fn written() -> [(&'static str, Vec<u8>); 2] {
    let index: Vec<_> = entries().iter().map(Entry::bytes).collect();
    let duplicates: Vec<_> = duplicates(&index).iter().map(Duplicate::bytes).collect();
    [("index", index.concat()), ("duplicates", duplicates.concat())]
}

#[test]
#[ignore = "writes the golden files anew, which is right only before a version is released"]
fn write_golden() {
    written().into_iter().for_each(|(name, bytes)| fs::write(golden(name), bytes).unwrap());
    fs::write(golden("classifier"), classifier().to_bytes()).unwrap();
}

#[test]
fn the_same_records_are_the_same_bytes() {
    for (name, bytes) in written() {
        assert!(
            bytes == good(name),
            "`{name}` is written with other bytes: raise the versions of `measure` and `deduplicate`"
        );
    }
}

fn classifier() -> Classifier {
    let texts = ["a tide", "the salt tide", "flour, salt", "warm flour", "Mond 夜", "夜 夜 Mond"];
    let examples: Vec<Example> =
        (0..).zip(&texts).map(|(at, text)| Example { text, label: at / 2 }).collect();
    let labels = ["sea", "bread", "night \u{1f319}"].map(String::from);
    let features = Features { bucket_bits: 8, word_pairs: true, characters: Some(3) };
    train(&examples, &labels, Options { features, cost: 2.0 }, 7).unwrap()
}

#[test]
fn the_same_examples_are_the_same_classifier() {
    assert!(
        classifier().to_bytes() == good("classifier"),
        "`classifier` is written with other bytes: raise the version of the phase that learns"
    );
}

#[test]
fn a_classifier_is_read_as_it_was_meant() {
    let read = Classifier::from_bytes(&good("classifier"), "classifier").unwrap();
    assert_eq!(read, classifier());
    assert_eq!(read.labels(), ["sea", "bread", "night \u{1f319}"]);
    let mut judge = read.judge();
    let found = judge.probabilities("夜 Mond");
    assert!(found[2] > found[0] && found[2] > found[1], "{found:?}");
}

#[test]
fn an_index_is_read_as_it_was_meant() {
    let good = good("index");
    let read = index::entries(&good, "index").unwrap();
    let found: BTreeSet<_> = (read.iter().map(Entry::from_bytes))
        .map(|entry| (entry.id.to_vec(), entry.key.row_key()))
        .collect();
    let id = |text: &str| Digest::of(text.as_bytes()).as_bytes()[..16].to_vec();
    let meant = RECORDS.map(|(unit, record, text)| (id(text), key(unit, record)));
    assert_eq!(found, BTreeSet::from(meant));
    assert!(read.is_sorted());
}

#[test]
fn duplicates_are_read_as_they_were_meant() {
    let read = exact::read(&good("duplicates"), "duplicates").unwrap();
    let kept = key("a", 300).min(key("b", 0));
    let dropped = [key("a", 300), key("b", 0), key("b", 1 << 32)];
    let mut meant: Vec<_> = dropped.into_iter().filter(|key| *key != kept).collect();
    meant.sort();
    let found: Vec<_> = read.iter().map(|row| row.dropped.row_key()).collect();
    assert_eq!(found, meant);
    assert!(read.iter().all(|row| row.kept.row_key() == kept));
}

#[track_caller]
fn refused<T>(read: Result<T>, expected: &str) {
    let error = read.err().unwrap();
    assert!(matches!(error, Error::Unexpected { .. }), "{error:?}");
    let bug = "this is a bug in seedbed: please report it";
    assert_eq!(error.to_string(), format!("clean/part: {expected}; {bug}"));
}

#[test]
fn cut_and_foreign_files_are_refused() {
    let (index, duplicates) = (good("index"), good("duplicates"));
    refused(
        index::entries(&index[..199], "clean/part"),
        "found 199 bytes, expected entries of 40 bytes",
    );
    refused(
        exact::read(&duplicates[..95], "clean/part"),
        "found 95 bytes, expected duplicates of 48 bytes",
    );
    refused(
        index::entries(&duplicates, "clean/part"),
        "found 96 bytes, expected entries of 40 bytes",
    );
    refused(exact::read(&index, "clean/part"), "found 200 bytes, expected duplicates of 48 bytes");
    let refused = |bytes: &[u8], expected: &str| {
        let error = Classifier::from_bytes(bytes, "c").unwrap_err();
        assert!(matches!(error, Error::BadClassifier { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    let classifier = good("classifier");
    refused(&classifier[..99], "c: found 99 bytes with another checksum");
    refused(&index, "c: found `");
    let newer = [&classifier[..8], &[2, 0, 0, 0], &classifier[12..]].concat();
    refused(&newer, "c: found format version 2, expected version 1");
}
