//! Weights in several files, as `save_pretrained` cuts them; the fixture is by `tests/reference/gpt2.py`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::{
    Checkpoint, ModelError,
    checkpoint::{INDEX_FILE, WEIGHTS_FILE},
};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

const SECOND: &str = "model-00002-of-00003.safetensors";

/// A copy of the fixture.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(reference("gpt2-sharded")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// What is said of a directory, without its path.
#[track_caller]
fn refused(dir: &Path) -> (ModelError, String) {
    let error = Checkpoint::read(dir).unwrap_err();
    let message = error.to_string().replace(&format!("{}/", dir.display()), "");
    (error, message)
}

#[test]
fn weights_in_several_files_are_those_of_one() {
    let one = Checkpoint::read(&reference("gpt2-tied")).unwrap();
    assert!(Checkpoint::read(&reference("gpt2-sharded")).unwrap() == one);
    let read = |name: &str| fs::read(reference("gpt2-sharded").join(name)).unwrap();
    let names = (1..=3).map(|shard| format!("model-0000{shard}-of-00003.safetensors"));
    let held: Vec<(String, Vec<u8>)> =
        names.map(|name| (name.clone(), read(&name))).chain([("other".into(), vec![])]).collect();
    let path = Path::new("m");
    let shards: Vec<_> =
        held.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice(), path)).collect();
    let (config, index) = (read("config.json"), read(INDEX_FILE));
    let found = Checkpoint::from_shards((&config, path), (&index, path), &shards).unwrap();
    assert!(found == one);
}

#[test]
fn one_whole_file_goes_before_an_index() {
    let dir = copy();
    fs::copy(reference("gpt2-tied").join(WEIGHTS_FILE), dir.path().join(WEIGHTS_FILE)).unwrap();
    fs::write(dir.path().join(INDEX_FILE), "no index").unwrap();
    assert!(Checkpoint::read(dir.path()).is_ok());
}

#[test]
fn shards_that_do_not_fit_their_index_are_named() {
    let dir = copy();
    fs::copy(dir.path().join("model-00001-of-00003.safetensors"), dir.path().join(SECOND)).unwrap();
    let (error, message) = refused(dir.path());
    assert!(matches!(error, ModelError::NotInShard { .. }), "{error:?}");
    assert_eq!(
        message,
        format!(
            "{INDEX_FILE}: it has tensor `transformer.h.0.attn.c_attn.bias` in {SECOND}, which lacks it"
        )
    );
    fs::write(dir.path().join(SECOND), "short").unwrap();
    assert_eq!(refused(dir.path()).1, format!("{SECOND}: not a safetensors file"));
    fs::remove_file(dir.path().join(SECOND)).unwrap();
    let (error, message) = refused(dir.path());
    assert!(matches!(error, ModelError::MissingShard { .. }), "{error:?}");
    assert_eq!(
        message,
        format!("{INDEX_FILE}: it names the file `{SECOND}`, which is missing beside it")
    );
    fs::write(dir.path().join(INDEX_FILE), "{").unwrap();
    assert_eq!(refused(dir.path()).1, format!("{INDEX_FILE}: not JSON"));
    fs::remove_file(dir.path().join(INDEX_FILE)).unwrap();
    assert_eq!(refused(dir.path()).1, format!("cannot read {WEIGHTS_FILE}"));
}

#[test]
fn a_tensor_that_no_shard_has_is_missing_by_the_index() {
    let dir = copy();
    let index = fs::read_to_string(dir.path().join(INDEX_FILE)).unwrap();
    let line = format!("    \"transformer.h.0.attn.c_attn.bias\": \"{SECOND}\",\n");
    assert!(index.contains(&line));
    fs::write(dir.path().join(INDEX_FILE), index.replace(&line, "")).unwrap();
    assert_eq!(
        refused(dir.path()).1,
        format!(
            "{INDEX_FILE}: tensor `transformer.h.0.attn.c_attn.bias` is missing; expected it with shape [72]"
        )
    );
}
