//! Wrong input: one clear message, a bad exit, nothing half-written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use crate::project::{Project, documents, labelled};
use crate::training;

const MANIFEST: &str = r#"
name = "bad"

[steps.clean.corpus-prep]
inputs = ["data/*"]
filters = "none"
"#;

/// The message for these files must hold all of `words`, and nothing may be published.
#[track_caller]
fn check(files: &[(&str, &[u8])], words: &[&str]) {
    check_manifest(MANIFEST, files, words);
}

#[track_caller]
fn check_manifest(manifest: &str, files: &[(&str, &[u8])], words: &[&str]) {
    let project = Project::new(manifest);
    for (name, bytes) in files {
        project.write(name, bytes);
    }
    let error = project.refused(&["run", "--quiet"]);
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
    assert!(!project.path("out/clean/documents").exists());
}

#[test]
fn a_misspelt_key_is_told_with_its_line_and_the_right_names() {
    let manifest = MANIFEST.replace("filters", "filter");
    check_manifest(
        &manifest,
        &[],
        &["pipeline.toml", "line 6", "unknown field `filter`", "`filters`"],
    );
}

#[test]
fn a_misspelt_stage_is_told_with_the_right_names() {
    let manifest = MANIFEST.replace("corpus-prep", "corpus-perp");
    check_manifest(
        &manifest,
        &[],
        &["line 4", "unknown variant `corpus-perp`", "`corpus-prep`", "`evaluate`"],
    );
}

#[test]
fn a_step_that_is_not_there_is_told_with_those_that_are() {
    let manifest = format!(
        "{MANIFEST}\n[steps.vocab.tokenize]\ntrain = {{ documents = \"claen\", size = 300 }}\n"
    );
    let file: (&str, &[u8]) = ("data/a.jsonl", b"{\"text\":\"a\"}\n");
    check_manifest(
        &manifest,
        &[file],
        &["step `vocab`", "claen", "there is no such step", "come from clean"],
    );
}

#[test]
fn a_missing_manifest_is_named() {
    let project = Project::new(MANIFEST);
    let error = project.refused(&["run", "other.toml"]);
    assert!(error.contains("cannot read other.toml: No such file"), "{error}");
}

#[test]
fn an_empty_glob_is_an_error() {
    check(&[], &["step `clean`", "`inputs`", "`data/*` matches no file"]);
}

#[test]
fn a_cut_gzip_is_told_with_its_place() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(documents(0, 50).as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    let cut = &whole[..whole.len() / 2];
    check(&[("data/a.jsonl.gz", cut)], &["data/a.jsonl.gz", "byte"]);
}

#[test]
fn a_row_without_text_is_told_with_its_line() {
    let rows = b"{\"text\":\"fine\"}\n{\"body\":\"not here\"}\n";
    check(&[("data/a.jsonl", rows)], &["data/a.jsonl", "2", "`text`", "body"]);
}

#[test]
fn invalid_utf8_is_told_with_its_place_and_the_way_out() {
    let rows = b"{\"text\":\"fine\"}\n{\"text\":\"caf\xe9\"}\n";
    check(&[("data/a.jsonl", rows)], &["data/a.jsonl", "2", "0xe9", "repair"]);
}

#[test]
fn a_file_of_an_unknown_format_is_refused() {
    check(&[("data/a.docx", b"PK")], &["data/a.docx", ".jsonl"]);
}

#[test]
fn a_quote_of_csv_that_does_not_end_is_told_with_its_line() {
    let rows = b"id,text\n1,fine\n2,\"not closed\n3,swallowed\n";
    check(&[("data/a.csv", rows)], &["data/a.csv:3", "quoted field", "closing quote"]);
}

#[test]
fn a_column_that_is_not_there_is_told_with_those_that_are() {
    check(&[("data/a.csv", b"id,body\n1,a\n")], &["data/a.csv", "no column `text`", "`body`"]);
}

/// A Parquet file of twenty documents: a table of a run.
fn parquet() -> Vec<u8> {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 20).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    fs::read(object_of(&project, "clean/documents")).unwrap()
}

#[test]
fn a_cut_parquet_file_is_named() {
    let whole = parquet();
    let cut = &whole[..whole.len() / 2];
    check(&[("data/a.parquet", cut)], &["data/a.parquet", "expected a Parquet file"]);
}

/// A Parquet file whose footer says that a column begins before the file does: the parser panics when it looks for its pages.
fn parquet_of_a_panic() -> Vec<u8> {
    let whole = parquet();
    let end = whole.len() - 8;
    let footer = u32::from_le_bytes(whole[end..end + 4].try_into().unwrap()) as usize;
    let begins_before = |at: &usize| {
        let mut cut = whole[end - footer..end].to_vec();
        cut[*at - (end - footer)] = 0x7f;
        let metadata = parquet::file::metadata::ParquetMetaDataReader::decode_metadata(&cut);
        let groups = metadata.ok().map(|metadata| metadata.row_groups().to_vec());
        groups
            .into_iter()
            .flatten()
            .any(|group| group.columns().iter().any(|column| column.data_page_offset() < 0))
    };
    let at = (end - footer..end).find(begins_before).unwrap();
    let mut bytes = whole;
    bytes[at] = 0x7f;
    bytes
}

#[test]
fn a_parser_that_panics_is_told_as_a_damaged_file_alone() {
    let file = parquet_of_a_panic();
    check(&[("data/a.parquet", &file)], &["data/a.parquet", "the parser stumbles over it"]);
}

#[test]
fn memory_that_no_worker_can_do_with_is_refused() {
    let manifest = format!("{MANIFEST}[engine.clean]\nmemory = 0\n");
    check_manifest(&manifest, &[], &["[engine.clean]", "found 0 B, expected at least 32 MB"]);
}

#[test]
fn a_parquet_file_without_the_column_is_told_with_those_that_are_there() {
    let manifest = MANIFEST.replace("filters", "fields = { text = \"body\" }\nfilters");
    let file = parquet();
    check_manifest(
        &manifest,
        &[("data/a.parquet", &file)],
        &["data/a.parquet", "no column `body`", "`text`"],
    );
}

#[test]
fn a_bomb_of_html_is_refused() {
    let bomb = "<div>".repeat(1_000_000);
    check(&[("data/a.html", bomb.as_bytes())], &["data/a.html", "nested more than 200 deep"]);
}

#[test]
fn a_broken_line_of_conll_is_told_with_its_place() {
    let manifest = r#"
name = "entities"
[steps.labels.corpus-prep]
examples = { task = "token-classification", train = "train.conll" }
"#;
    let check = |text: &[u8], words: &[&str]| {
        check_manifest(manifest, &[("train.conll", text)], words);
    };
    check(b"Ada B-PER\nwrote\n", &["train.conll:2", "1 columns", "expected 2"]);
    check(b"Ada B-PER\n\nRiga LOC\n", &["train.conll:3", "tag `LOC`", "`B-PER`"]);
}

#[test]
fn a_label_that_training_never_saw_is_refused() {
    let manifest = r#"
name = "labels"
[steps.labels.corpus-prep]
examples = { task = "sequence-classification", train = "train.jsonl", test = "test.jsonl" }
"#;
    let strange = b"{\"text\":\"a new thing\",\"label\":\"other\"}\n";
    let train = labelled(0, 8);
    let files: [(&str, &[u8]); 2] = [("train.jsonl", train.as_bytes()), ("test.jsonl", strange)];
    check_manifest(manifest, &files, &["other", "test", "train"]);
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 5).as_bytes());
    project.write("blocked", b"a file where a directory should be");
    let error = project.refused(&["run", "--quiet", "--out", "blocked/out"]);
    assert!(error.contains("cannot create blocked/out"), "{error}");
}

#[test]
fn a_flipped_bit_in_the_store_is_found_and_made_anew() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 30).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let whole = project.artifacts("out");
    let object = object_of(&project, "clean/extracted");
    let mut bytes = fs::read(&object).unwrap();
    bytes[40] ^= 1;
    fs::set_permissions(&object, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&object, bytes).unwrap();
    // Something has to read it: a bound that drops every document makes `write` run.
    let strict = MANIFEST
        .replace("\"none\"", "\"gopher\"\nrules = { gopher_quality = { short_doc = 1000 } }");
    project.write("pipeline.toml", strict.as_bytes());
    let error = project.refused(&["run", "--quiet"]);
    assert!(error.contains("the file is damaged") && error.contains("makes it anew"), "{error}");
    project.write("pipeline.toml", MANIFEST.as_bytes());
    project.seedbed(&["run", "--quiet"]);
    assert!(project.artifacts("out") == whole, "the damage is still there");
}

#[test]
fn a_cut_object_is_made_anew_by_the_next_run() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 30).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let whole = project.artifacts("out");
    let object = object_of(&project, "clean/extracted");
    fs::remove_file(&object).unwrap();
    fs::write(&object, b"cut").unwrap();
    fs::remove_dir_all(project.path("out/.seedbed/artifacts")).unwrap();
    project.seedbed(&["run", "--quiet"]);
    assert!(project.artifacts("out") == whole);
}

/// The object behind the first part of an artifact.
fn object_of(project: &Project, artifact: &str) -> std::path::PathBuf {
    let record = fs::read(project.path(&format!("out/{artifact}/artifact.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let digest =
        record["parts"][0]["blake3"].as_str().unwrap().trim_start_matches("b3:").to_owned();
    project.path(&format!("out/.seedbed/objects/{}/{}", &digest[..2], &digest[2..]))
}

#[test]
fn an_artifact_of_a_newer_format_is_refused() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 5).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let record = fs::read_to_string(project.path("out/clean/documents/artifact.json")).unwrap();
    let newer = record.replace("\"format_version\": 1", "\"format_version\": 9");
    project.write("newer/artifact.json", newer.as_bytes());
    let error = project.refused(&["import", "newer"]);
    assert!(error.contains("artifact version 9; this build reads up to 1"), "{error}");
    let settings = ["tokenize", "train.documents=./newer", "train.size=300", "--out", "alone"];
    let error = project.refused(&settings);
    assert!(error.contains("newer/artifact.json") && error.contains("version 9"), "{error}");
}

#[test]
fn a_link_to_nothing_that_a_glob_matches_is_named() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 5).as_bytes());
    std::os::unix::fs::symlink("nowhere", project.path("data/b.jsonl")).unwrap();
    let error = project.refused(&["run", "--quiet"]);
    assert!(error.contains("b.jsonl, found a link to nothing, expected a file"), "{error}");
}

#[test]
fn a_model_that_no_memory_holds_is_refused_at_once() {
    let project = training::project(10, 2);
    let manifest = fs::read_to_string(project.path("pipeline.toml")).unwrap();
    for (field, absurd) in [
        ("hidden_size = 32", "hidden_size = 1000000000"),
        ("num_hidden_layers = 2", "num_hidden_layers = 1000000000"),
        ("micro_batch_size = 4", "micro_batch_size = 4000000000"),
    ] {
        project.write("pipeline.toml", manifest.replace(field, absurd).as_bytes());
        let error = project.refused(&["run", "--quiet", "--memory", "2 GB"]);
        assert!(error.contains("bytes of memory") && error.contains("at most the"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn looking_at_results_that_are_not_there_makes_nothing() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 5).as_bytes());
    assert!(project.seedbed(&["status"]).contains("not started"));
    assert!(project.seedbed(&["plan"]).contains("will run"));
    project.seedbed(&["explain", "clean"]);
    assert!(!project.path("out").exists());
}

#[test]
fn a_published_file_that_is_gone_or_cut_is_made_anew() {
    let project = Project::new(MANIFEST);
    project.write("data/a.jsonl", documents(0, 30).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let whole = project.artifacts("out");
    let path = project.path("out/clean/documents/artifact.json");
    fs::remove_file(&path).unwrap();
    project.seedbed(&["run", "--quiet"]);
    assert!(project.artifacts("out") == whole);
    let part = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    fs::remove_file(part.unwrap()).unwrap();
    project.seedbed(&["run", "--quiet"]);
    assert!(project.artifacts("out") == whole);
}
