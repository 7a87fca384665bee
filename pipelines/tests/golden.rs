//! Files of every format version are read as they were meant, and written the same today.
//!
//! `cargo run --release -p pipelines --example write_golden -- DIR` made them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use pipelines::error::{Error, Result};
use pipelines::input::Mapped;
use pipelines::record::{Artifact, TaskRecord};
use pipelines::shard::{Shard, ShardDocument, TokenWidth};
use pipelines::table::decisions::Decision;
use pipelines::table::documents::{Document, Extracted};
use pipelines::table::examples::Example;
use pipelines::table::likelihoods::Likelihood;
use pipelines::table::predictions::Prediction;
use pipelines::table::sources::SourceRow;
use pipelines::table::tag_predictions::TagPrediction;
use pipelines::table::{Row, read_all, signals};

#[path = "golden/samples.rs"]
mod samples;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A golden file, of the first version unless `name` says which.
fn golden(name: &str) -> PathBuf {
    if name.contains('/') { root().join(name) } else { root().join("v1").join(name) }
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap()
}

/// Maps `bytes` as a file.
fn mapped(bytes: &[u8]) -> (tempfile::TempDir, Mapped) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changed");
    fs::write(&path, bytes).unwrap();
    let map = Mapped::whole(path).unwrap();
    (dir, map)
}

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

/// `bytes` with the only `from` in it replaced by `to`, which is as long.
fn edited(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let found: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert_eq!(found.len(), 1, "{:?}", String::from_utf8_lossy(from));
    let mut bytes = bytes.to_vec();
    bytes[found[0]..found[0] + to.len()].copy_from_slice(to);
    bytes
}

fn check_format<T>(read: Result<T>, expected: &str) {
    let error = read.err().unwrap();
    assert!(matches!(&error, Error::Format { .. }), "{error:?}");
    assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
}

fn check_too_new<T>(read: Result<T>, what: &str, version: u64) {
    let error = read.err().unwrap();
    let Error::TooNew { what: named, found, supported, .. } = &error else {
        unreachable!("{error:?}")
    };
    assert!(*named == what && *found == version && *supported < version, "{error:?}");
    let message = format!(
        "{what} version {version}; this build reads up to {supported}: use a newer seedbed"
    );
    assert!(error.to_string().ends_with(&message), "{error}");
}

#[test]
fn the_same_rows_are_the_same_bytes() {
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    samples::write(dir.path(), scratch.path()).unwrap();
    for version in ["v1", "v2"] {
        let written = fs::read_dir(dir.path().join(version)).unwrap();
        for name in written.map(|entry| entry.unwrap().file_name()) {
            let now = fs::read(dir.path().join(version).join(&name)).unwrap();
            let golden = fs::read(root().join(version).join(&name)).unwrap();
            assert!(now == golden, "{name:?} is written with other bytes: raise its version");
        }
    }
}

fn check_table<R: Row + PartialEq + std::fmt::Debug>(name: &str, rows: &[R]) {
    assert_eq!(read_all::<R>(&Mapped::whole(golden(name)).unwrap()).unwrap(), rows);
    let good = bytes(name);
    let read = |bytes: &[u8]| {
        let (_dir, map) = mapped(bytes);
        read_all::<R>(&map)
    };
    let (table, parquet) = (R::TABLE, format!("expected the Parquet table `{}`", R::TABLE));
    check_format(read(cut(&good)), &parquet);
    check_format(read(b""), &parquet);
    let foreign = if table == "sources" { "documents.parquet" } else { "sources.parquet" };
    check_format(read(&bytes(foreign)), &format!("expected the table `{table}`"));
    let unnamed = edited(&good, b"seedbed.table", b"another.table");
    check_format(read(&unnamed), "found a Parquet file without `seedbed.table`");
    check_too_new(read(&newer(&good, R::VERSION)), table, 9);
}

/// The table with version 9 in its metadata: a key, then the length and the text of its value.
fn newer(table: &[u8], version: u64) -> Vec<u8> {
    let said = |version| format!("seedbed.version\x18\x01{version}").into_bytes();
    edited(table, &said(version), &said(9))
}

#[test]
fn tables_are_read_and_strange_ones_refused() {
    check_table::<Extracted>("extracted.parquet", &samples::extracted());
    check_table::<Decision>("decisions.parquet", &samples::decisions());
    check_table::<Document>("v2/documents.parquet", &samples::documents("…"));
    check_table::<Example>("v2/examples.parquet", &samples::tagged_examples());
    check_table::<Prediction>("predictions.parquet", &samples::predictions());
    check_table::<TagPrediction>("tag_predictions.parquet", &samples::tag_predictions());
    check_table::<Likelihood>("likelihoods.parquet", &samples::likelihoods());
    check_table::<SourceRow>("sources.parquet", &samples::sources());
    check_table::<ShardDocument>("narrow.docs.parquet", &samples::shard_documents());
    check_table::<ShardDocument>("wide.docs.parquet", &samples::shard_documents());
}

#[test]
fn edits_of_the_first_version_have_no_replacements() {
    let map = Mapped::whole(golden("v1/documents.parquet")).unwrap();
    assert_eq!(read_all::<Document>(&map).unwrap(), samples::documents(""));
}

#[test]
fn examples_of_the_first_version_have_no_tokens() {
    let read = read_all::<Example>(&Mapped::whole(golden("v1/examples.parquet")).unwrap()).unwrap();
    assert_eq!(read, samples::examples());
}

fn read_signals(bytes: &[u8], wanted: &[&str]) -> Result<Vec<signals::Signals>> {
    let (_dir, map) = mapped(bytes);
    let batches: Vec<_> = signals::read(&map, wanted)?.collect::<Result<_>>()?;
    Ok(batches.concat())
}

#[test]
fn signals_are_read_and_strange_ones_refused() {
    let good = bytes("signals.parquet");
    assert_eq!(read_signals(&good, &samples::SIGNALS).unwrap(), samples::signals());
    check_format(read_signals(cut(&good), &[]), "expected the Parquet table `signals`");
    check_format(read_signals(&bytes("decisions.parquet"), &[]), "expected the table `signals`");
    check_format(read_signals(&good, &["num_lines"]), "expected a signal `num_lines`");
    check_too_new(read_signals(&newer(&good, 1), &[]), "signals", 9);
}

fn open_shard(bin: &[u8], idx: &[u8]) -> Result<Shard> {
    let (_bin_dir, bin) = mapped(bin);
    let (_idx_dir, idx) = mapped(idx);
    Shard::open(bin, idx)
}

#[test]
fn shards_are_read_and_strange_ones_refused() {
    for (name, width) in [("narrow", TokenWidth::Narrow), ("wide", TokenWidth::Wide)] {
        let (bin, idx) = (bytes(&format!("{name}.bin")), bytes(&format!("{name}.idx")));
        let shard = open_shard(&bin, &idx).unwrap();
        let documents: Vec<_> = (0..shard.documents()).map(|at| shard.document(at)).collect();
        assert_eq!((shard.width(), documents), (width, samples::tokens(width)));
        check_format(open_shard(cut(&bin), &idx), "as its index promises");
        check_format(open_shard(&bin, cut(&idx)), "as its header promises");
        check_format(open_shard(&bin, &idx[..20]), "which starts with MMIDIDX");
        check_format(open_shard(&bin, &bytes("sources.parquet")), "which starts with MMIDIDX");
        let with = |at: usize, value: u8| {
            let mut idx = idx.clone();
            idx[at] = value;
            idx
        };
        check_format(open_shard(&bin, &with(17, 7)), "found token type 7, expected 8 (u16) or 4");
        check_too_new(open_shard(&bin, &with(9, 2)), "shard index", 2);
    }
}

#[test]
fn an_artifact_is_read_and_strange_ones_refused() {
    let good = bytes("artifact.json");
    let read = |bytes: &[u8]| Artifact::read(Path::new("artifact.json"), bytes);
    assert_eq!(read(&good).unwrap(), samples::artifact());
    check_format(read(cut(&good)), "expected artifact as JSON");
    check_format(read(&bytes("task.json")), "found JSON without `format_version`");
    let newer = edited(&good, b"\"format_version\": 1", b"\"format_version\": 2");
    check_too_new(read(&newer), "artifact", 2);
}

#[test]
fn a_task_record_is_read_and_strange_ones_refused() {
    let good = fs::read(root().join("v2/task.json")).unwrap();
    let read = |bytes: &[u8]| TaskRecord::read(Path::new("task.json"), bytes);
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let record = samples::write(dir.path(), scratch.path()).unwrap();
    assert_eq!(read(&good).unwrap(), record);
    check_format(read(cut(&good)), "expected task record as JSON");
    check_format(read(&bytes("artifact.json")), "expected task record as JSON");
    check_format(read(&edited(&good, b"\"read\":5", b"\"read\":4")), "found `checksum`");
    check_format(read(&edited(&good, b"\"version\":2", b"\"version\":3")), "found `checksum`");
    let newer = TaskRecord { version: 3, ..record }.to_bytes();
    check_too_new(read(&newer), "task record", 3);
}

#[test]
fn a_task_record_of_the_first_version_is_read_without_a_checksum() {
    let read = TaskRecord::read(Path::new("task.json"), &bytes("task.json")).unwrap();
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let record = samples::write(dir.path(), scratch.path()).unwrap();
    assert_eq!(read, TaskRecord { version: 1, ..record });
}
