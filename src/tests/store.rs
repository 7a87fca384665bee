//! The store behind the results: what is taken out of it, and what is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pipelines::store::Store;

use crate::project::{Project, documents};
use crate::training;

const MANIFEST: &str = r#"
name = "store"

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
part_size = "4 kB"
filters = "none"

[steps.vocab.tokenize]
train = { documents = "clean", size = 300 }
"#;

fn project() -> Project {
    let project = Project::new(MANIFEST);
    for file in 0..6 {
        project.write(&format!("data/{file}.jsonl"), text(file).as_bytes());
    }
    project.seedbed(&["run", "--quiet"]);
    project
}

fn text(file: u64) -> String {
    documents(file * 10, file * 10 + 10)
}

/// Names of all objects, task records, published directories and training states under `out`.
pub fn kept(project: &Project, out: &str) -> BTreeSet<PathBuf> {
    let store = project.path(out).join(".seedbed");
    let mut names = BTreeSet::new();
    let mut open: Vec<PathBuf> = ["objects", "tasks", "artifacts", "states"].map(Into::into).into();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(store.join(&dir)).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = dir.join(entry.file_name());
            if entry.path().is_dir() {
                open.push(name);
            } else {
                names.insert(name);
            }
        }
    }
    names
}

/// Removes all that can go, however young.
pub const DELETE: [&str; 4] = ["gc", "--min-age", "0", "--delete"];

#[test]
fn gc_leaves_what_a_run_from_nothing_makes_and_nothing_else() {
    let project = project();
    project.write("data/3.jsonl", text(99).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["run", "--quiet", "--out", "fresh"]);
    let before = kept(&project, "out");
    let said = project.seedbed(&["gc", "--min-age", "0"]);
    assert!(said.contains("task records") && said.contains("--delete removes it"), "{said}");
    assert_eq!(kept(&project, "out"), before, "a dry run has removed something");
    let artifacts = project.artifacts("out");
    let said = project.seedbed(&DELETE);
    assert!(said.contains("removed, "), "{said}");
    assert_eq!(kept(&project, "out"), kept(&project, "fresh"));
    assert!(project.artifacts("out") == artifacts);
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    project.seedbed(&DELETE);
    assert_eq!(project.seedbed(&DELETE), "nothing to remove\n");
}

#[test]
fn gc_spares_what_is_young_and_as_many_runs_as_it_is_told() {
    let project = project();
    let first = kept(&project, "out");
    project.write("data/3.jsonl", text(99).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    assert_eq!(project.seedbed(&["gc", "--delete"]), "nothing to remove\n");
    project.seedbed(&["gc", "--min-age", "0", "--keep-runs", "2", "--delete"]);
    assert!(first.is_subset(&kept(&project, "out")));
    project.write("data/3.jsonl", text(3).as_bytes());
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
}

#[test]
fn gc_keeps_training_states_and_imported_artifacts() {
    let project = training::project(20, 4);
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["import", "out/vocab/vocabulary", "--out", "other"]);
    let (states, imported) = (kept(&project, "out"), kept(&project, "other"));
    project.seedbed(&DELETE);
    project.seedbed(&["gc", "--out", "other", "--min-age", "0", "--delete"]);
    assert_eq!(kept(&project, "out"), states);
    assert_eq!(kept(&project, "other"), imported);
}

#[test]
fn gc_takes_a_damaged_root_for_damage_and_not_for_none() {
    let project = project();
    let runs = fs::read_dir(project.path("out/.seedbed/runs")).unwrap();
    let root = runs.map(|run| run.unwrap().path().join("root.json")).next().unwrap();
    let before = kept(&project, "out");
    let text = fs::read_to_string(&root).unwrap();
    fs::write(&root, text.replacen("\"manifest\":\"store\"", "\"manifest\":\"stone\"", 1)).unwrap();
    let error = project.refused(&DELETE);
    assert!(error.contains("root.json") && error.contains("`seedbed verify`"), "{error}");
    assert_eq!(kept(&project, "out"), before);
    let error = project.refused(&["verify"]);
    assert!(error.contains("1 damaged"), "{error}");
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&DELETE);
    assert_eq!(kept(&project, "out"), before);
}

#[test]
fn wildcards_pass_over_results() {
    let project = Project::new(MANIFEST);
    project.write("data/1.jsonl", text(1).as_bytes());
    project.write("data/.hidden/2.jsonl", text(2).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    project.write("out/clean/3.jsonl", text(3).as_bytes());
    let here = project.path("pipeline.toml").display().to_string();
    for (pattern, manifest) in [
        ("**/*.jsonl", "pipeline.toml"),
        ("./**/*.jsonl", "pipeline.toml"),
        ("**/*.jsonl", "./pipeline.toml"),
        ("*/*.jsonl", "./pipeline.toml"),
        ("./**/*.jsonl", here.as_str()),
    ] {
        project.write("pipeline.toml", MANIFEST.replace("data/*.jsonl", pattern).as_bytes());
        let said = project.seedbed(&["run", manifest]);
        assert!(said.starts_with("nothing to do"), "{pattern} of {manifest}: {said}");
    }
    project.write("pipeline.toml", MANIFEST.replace("data", "out/clean").as_bytes());
    assert!(!project.seedbed(&["run", "--out", "other"]).starts_with("nothing to do"));
}

#[test]
fn gc_removes_nothing_while_a_run_is_under_way() {
    let project = project();
    let in_use = Store::open(project.path("out/.seedbed")).unwrap().share().unwrap();
    let error = project.refused(&DELETE);
    assert!(error.contains("a run is under way"), "{error}");
    drop(in_use);
    project.seedbed(&DELETE);
}

#[test]
fn verify_finds_damage_wherever_it_is_and_the_next_run_repairs_it() {
    let project = project();
    let whole = project.artifacts("out");
    assert!(project.seedbed(&["verify"]).starts_with("read "));
    for sort in ["objects", "tasks", "artifacts"] {
        let files = kept(&project, "out").into_iter().filter(|name| name.starts_with(sort));
        // One that nothing links to: damage to a hard link would be damage to the object.
        let name = files.filter(|name| !name.ends_with("artifact.json")).nth(3).unwrap();
        let path = project.path("out/.seedbed").join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = project.refused(&["verify"]);
        assert!(error.contains("1 damaged") || error.contains("2 damaged"), "{sort}: {error}");
        project.seedbed(&["run", "--quiet"]);
        project.seedbed(&["verify"]);
        assert!(project.artifacts("out") == whole, "damaged {sort} are not repaired");
    }
}

#[test]
fn tasks_that_run_again_give_the_same_bytes_and_leave_nothing() {
    let project = training::project(20, 4);
    project.seedbed(&["run", "--quiet"]);
    let before = kept(&project, "out");
    let said = project.seedbed(&["verify", "--recompute", "1000"]);
    for phase in ["clean/extract", "vocab/merge", "base/decay", "tuned/train", "report/compare"] {
        assert!(said.contains(&format!("ran {phase}/")), "{said}");
    }
    assert_eq!(said.matches("the same bytes").count(), said.matches("again:").count());
    assert_eq!(kept(&project, "out"), before, "something of it was kept");
}

#[test]
fn gc_says_where_it_looked_for_a_store() {
    let error = Project::new(MANIFEST).refused(&["gc"]);
    assert!(error.contains("out: found no store"), "{error}");
}

/// Fifteen files of documents; `extracted` is let go.
const PASSING: &str = r#"
name = "passing"
[retention]
let_go = ["extracted"]
[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
part_size = "20 kB"
filters = "none"
"#;

/// A project whose run has let `extracted` go.
fn passing() -> Project {
    let project = Project::new(PASSING);
    for file in 0..15 {
        let name = format!("data/{file:02}.jsonl");
        project.write(&name, documents(file * 20, file * 20 + 20).as_bytes());
    }
    project.seedbed(&["run", "--quiet"]);
    project
}

/// What is published now is what a run from nothing, which keeps everything, gives.
#[track_caller]
fn equals_a_run_from_nothing(project: &Project) {
    let manifest = fs::read_to_string(project.path("pipeline.toml")).unwrap();
    project.write("keeping.toml", manifest.replace("\"extracted\"", "").as_bytes());
    let _ = fs::remove_dir_all(project.path("fresh"));
    project.seedbed(&["run", "keeping.toml", "--quiet", "--out", "fresh"]);
    let mut expected = project.artifacts("fresh");
    expected.retain(|path, _| !path.starts_with("clean/extracted"));
    assert!(!expected.is_empty() && project.artifacts("out") == expected);
}

#[test]
fn what_is_let_go_is_made_again_only_when_a_change_asks_for_it() {
    let project = passing();
    assert!(!project.path("out/clean/extracted").exists());
    equals_a_run_from_nothing(&project);
    let gone = kept(&project, "fresh").difference(&kept(&project, "out")).count();
    assert!(gone > 3, "{gone}");
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    assert!(project.seedbed(&["plan"]).contains("nothing to do"));

    let edited = documents(60, 80).replacen("doc-60", "doc-sixty", 1);
    project.write("data/03.jsonl", edited.as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let ran = project.ran("out");
    assert!(ran["clean/extract"] < 5, "{ran:?}");
    equals_a_run_from_nothing(&project);

    // Another rule is asked of texts that are not there: all of them are read again.
    let manifest = PASSING.replace("filters = \"none\"", "filters = \"gopher\"");
    project.write("pipeline.toml", manifest.as_bytes());
    let plan = project.seedbed(&["plan"]);
    assert!(plan.contains("extract"), "{plan}");
    project.seedbed(&["run", "--quiet"]);
    equals_a_run_from_nothing(&project);
}

#[test]
fn a_store_from_which_something_was_let_go_is_whole() {
    let project = passing();
    let said = project.seedbed(&["verify", "--recompute", "100"]);
    assert!(said.contains("the same bytes"), "{said}");
    project.seedbed(&DELETE);
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    equals_a_run_from_nothing(&project);
}

#[test]
fn what_is_let_go_after_all_is_kept_again() {
    let project = passing();
    project.write("pipeline.toml", PASSING.replace("\"extracted\"", "").as_bytes());
    project.seedbed(&["run", "--quiet"]);
    assert!(project.path("out/clean/extracted/artifact.json").exists());
    project.write("pipeline.toml", PASSING.as_bytes());
    project.seedbed(&["run", "--quiet"]);
    assert!(!project.path("out/clean/extracted").exists());
}

#[test]
fn a_state_that_a_killed_attempt_left_behind_goes_with_the_next_run() {
    let project = training::project(20, 4);
    project.seedbed(&["run", "--quiet"]);
    let states = project.path("out/.seedbed/states");
    let prefixes: Vec<PathBuf> =
        fs::read_dir(&states).unwrap().map(|entry| entry.unwrap().path()).collect();
    let file = serde_json::json!({ "digest": format!("b3:{}", "0".repeat(64)), "bytes": 5 });
    let state = serde_json::json!({ "passing": true, "file": file }).to_string();
    for prefix in &prefixes {
        fs::write(prefix.join("1.state"), b"state").unwrap();
        fs::write(prefix.join("1.json"), &state).unwrap();
    }
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    let left = prefixes.iter().any(|prefix| prefix.join("1.state").exists());
    assert!(!prefixes.is_empty() && !left);
}
