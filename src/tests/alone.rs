//! Stages alone, on artifacts by their directories.

use std::fs;

use crate::project::{Project, documents};

#[test]
fn stages_alone_give_what_a_manifest_gives() {
    let project = Project::new(
        r#"
name = "alone"
[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
filters = "none"
[steps.vocab.tokenize]
train = { documents = "clean", size = 300 }
"#,
    );
    project.write("data/a.jsonl", documents(0, 50).as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let prep =
        ["corpus-prep", "inputs=[\"data/*.jsonl\"]", "filters=none", "--out", "a", "--quiet"];
    project.seedbed(&prep);
    let learn = [
        "tokenize",
        "train.documents=a/corpus-prep/documents",
        "train.size=300",
        "--out",
        "b",
        "--quiet",
    ];
    project.seedbed(&learn);
    for (alone, step, file) in
        [("a/corpus-prep", "clean", "documents"), ("b/tokenize", "vocab", "vocabulary")]
    {
        let parts = |dir: String| {
            let record = fs::read(project.path(&dir).join("artifact.json")).unwrap();
            let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
            record["parts"].clone()
        };
        assert_eq!(parts(format!("{alone}/{file}")), parts(format!("out/{step}/{file}")));
    }
}

#[test]
fn settings_come_on_top_of_a_file_of_settings() {
    let project = Project::new("name = \"none\"\n[steps]\n");
    project.write("data/a.jsonl", documents(0, 10).as_bytes());
    project.write("prep.toml", b"inputs = [\"nowhere/*\"]\nfilters = \"none\"\n");
    let command =
        ["corpus-prep", "inputs=data/*.jsonl", "--config", "prep.toml", "--out", "a", "--quiet"];
    project.seedbed(&command);
    assert!(project.path("a/corpus-prep/documents/artifact.json").exists());
}

#[test]
fn a_wrong_setting_is_told_with_the_right_names() {
    let project = Project::new("name = \"none\"\n[steps]\n");
    let error = project.refused(&["corpus-prep", "input=data/*", "--out", "a"]);
    assert!(error.contains("unknown field `input`") && error.contains("`inputs`"), "{error}");
}

#[test]
fn only_runs_one_step_and_refuses_one_whose_inputs_are_not_made() {
    let project = Project::new(
        r#"
name = "only"
[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
filters = "none"
[steps.vocab.tokenize]
train = { documents = "clean", size = 300 }
"#,
    );
    project.write("data/a.jsonl", documents(0, 10).as_bytes());
    let error = project.refused(&["run", "--only", "vocab"]);
    assert!(error.contains("it reads `clean`, which is not made yet"), "{error}");
    project.seedbed(&["run", "--quiet", "--only", "clean"]);
    assert!(project.path("out/clean/documents").exists() && !project.path("out/vocab").exists());
    project.seedbed(&["run", "--quiet", "--only", "vocab"]);
    assert!(project.path("out/vocab/vocabulary/tokenizer.json").exists());
}
