//! What changes is made anew, nothing else; and what comes out is what a run from nothing gives.

use std::fs;

use crate::project::{Project, documents};

/// Twenty files of ten documents, in parts of a few files each.
const MANIFEST: &str = r#"
name = "changes"
seed = 7

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
part_size = "16 kB"
filters = "none"

[steps.vocab.tokenize]
train = { documents = "clean", size = 300 }

[steps.shards.tokenize]
documents = "clean"
vocabulary = "vocab"
validation = 0.2
"#;

/// Phases whose tasks are parts.
const PART_PHASES: [&str; 6] = [
    "clean/extract",
    "clean/measure",
    "clean/decide",
    "clean/write",
    "vocab/count",
    "shards/encode",
];

fn project() -> Project {
    let project = Project::new(MANIFEST);
    for file in 0..20 {
        project.write(
            &format!("data/{file:02}.jsonl"),
            documents(file * 10, file * 10 + 10).as_bytes(),
        );
    }
    project.seedbed(&["run", "--quiet"]);
    project
}

/// Runs again; a run from nothing must give the same, and no phase may have run more than `most` parts' tasks.
#[track_caller]
fn check(project: &Project, most: u64) {
    project.seedbed(&["run", "--quiet"]);
    for (phase, count) in project.ran("out") {
        assert!(
            !PART_PHASES.contains(&phase.as_str()) || count <= most,
            "{phase} ran {count} tasks"
        );
    }
    project.seedbed(&["run", "--quiet", "--out", "fresh"]);
    assert!(
        project.artifacts("out") == project.artifacts("fresh"),
        "a run from nothing gives something else"
    );
}

#[test]
fn a_second_run_starts_nothing() {
    let project = project();
    let said = project.seedbed(&["run"]);
    assert!(said.starts_with("nothing to do"), "{said}");
    assert!(project.ran("out").is_empty());
    assert!(project.seedbed(&["plan"]).ends_with("nothing to do: everything is made\n"));
}

#[test]
fn one_and_two_workers_give_the_same_bytes() {
    let project = project();
    project.seedbed(&["run", "--quiet", "--workers", "1", "--out", "one"]);
    project.seedbed(&["run", "--quiet", "--workers", "2", "--out", "two"]);
    assert!(project.artifacts("one") == project.artifacts("two"));
    assert!(project.artifacts("one") == project.artifacts("out"));
}

/// The vocabulary depends on all documents, so a changed one re-encodes all; a pin holds it still.
fn pinned() -> Project {
    let project = project();
    let identity = project.seedbed(&["import", "out/vocab/vocabulary"]);
    let pin = identity.split('"').nth(1).unwrap().to_owned();
    project.write("pipeline.toml", format!("{MANIFEST}\n[pins]\nvocab = \"{pin}\"\n").as_bytes());
    project
}

/// As [`check`], but the run from nothing starts from a store that holds the pinned artifact.
#[track_caller]
fn check_pinned(project: &Project, most: u64) {
    project.seedbed(&["import", "out/vocab/vocabulary", "--out", "fresh"]);
    check(project, most);
}

#[test]
fn a_changed_document_touches_its_own_parts() {
    let project = pinned();
    let changed = documents(30, 40).replacen("river", "RIVER", 1);
    project.write("data/03.jsonl", changed.as_bytes());
    let plan = project.seedbed(&["plan"]);
    assert!(plan.contains("pinned to b3:") && plan.contains("that hides"), "{plan}");
    check_pinned(&project, 4);
}

#[test]
fn an_added_file_touches_one_bucket_or_splits_it() {
    let project = pinned();
    project.write("data/new.jsonl", documents(1000, 1010).as_bytes());
    check_pinned(&project, 2);
}

#[test]
fn a_removed_file_touches_one_bucket() {
    let project = pinned();
    fs::remove_file(project.path("data/07.jsonl")).unwrap();
    check_pinned(&project, 1);
}

#[test]
fn a_renamed_and_a_touched_file_touch_nothing() {
    let project = project();
    fs::rename(project.path("data/05.jsonl"), project.path("data/zz.jsonl")).unwrap();
    project.write("data/06.jsonl", documents(60, 70).as_bytes());
    check(&project, 0);
    assert!(project.ran("out").is_empty());
}

#[test]
fn a_copied_file_is_one_unit() {
    let project = project();
    fs::copy(project.path("data/05.jsonl"), project.path("data/copy.jsonl")).unwrap();
    check(&project, 0);
    let record = fs::read_to_string(project.path("out/clean/documents/artifact.json")).unwrap();
    assert!(record.contains("\"duplicate_file\": 1"), "{record}");
}

#[test]
fn a_changed_threshold_decides_anew_and_measures_nothing() {
    let project = project();
    let manifest = MANIFEST.replace("filters = \"none\"", "filters = \"gopher\"");
    project.write("pipeline.toml", manifest.as_bytes());
    let why = project.seedbed(&["explain", "clean"]);
    assert!(why.contains("config `"), "{why}");
    check(&project, 20);
    let ran = project.ran("out");
    assert!(!ran.contains_key("clean/measure") && ran.contains_key("clean/decide"), "{ran:?}");
}
