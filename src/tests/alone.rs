//! Stages alone, on artifacts by their directories.

use std::fs;

use crate::project::{Project, documents};
use crate::training;

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
fn every_stage_runs_alone_on_artifacts_of_another_place() {
    let project = training::project(10, 2);
    project.seedbed(&["run", "--quiet"]);
    let alone = |stage: &str, settings: &[&str]| {
        let arguments =
            [&[stage], settings, &["--out", "alone", "--seed", "7", "--quiet"]].concat();
        project.seedbed(&arguments);
    };
    let labels = "examples=out/labels/examples";
    alone(
        "tokenize",
        &["documents=out/clean/documents", "vocabulary=out/vocab/vocabulary", "validation=0.1"],
    );
    alone(
        "pretrain",
        &[
            "shards=alone/tokenize/token-shards",
            "model.hidden_size=16",
            "model.num_hidden_layers=1",
            "model.num_attention_heads=2",
            "model.intermediate_size=32",
            "seq_len=32",
            "schedule={peak_lr=1e-3,warmup_steps=0,decay_steps=0,total_steps=2}",
        ],
    );
    alone("finetune", &["model=out/base/checkpoint", labels, "epochs=2", "seeds=[1,2]"]);
    alone("evaluate", &["models=[\"alone/finetune/checkpoint\"]", labels]);
    let same = |file: &str, other: &str| {
        assert!(fs::read(project.path(file)).unwrap() == fs::read(project.path(other)).unwrap());
    };
    same("alone/tokenize/token-shards/train-00000.bin", "out/shards/token-shards/train-00000.bin");
    let weights = "checkpoint/seed-1/model.safetensors";
    same(&format!("alone/finetune/{weights}"), &format!("out/tuned/{weights}"));
    assert!(project.path("alone/evaluate/results/results.json").exists());
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
