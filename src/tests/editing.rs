//! What helps while one writes a manifest: labelled files named where they are used, the schema, completions.

use crate::project::{Project, labelled};
use crate::training;

#[test]
fn a_labelled_file_may_be_named_where_it_is_used() {
    let project = training::project(10, 2);
    project.seedbed(&["run", "--quiet", "--only", "clean"]);
    project.write("data/triage.jsonl", labelled(0, 120).as_bytes());
    let manifest = std::fs::read_to_string(project.path("pipeline.toml")).unwrap();
    let labels = "[steps.labels.corpus-prep]";
    let (before, rest) = manifest.split_once(labels).unwrap();
    let rest = rest.split_once("\n\n").unwrap().1.replace("\"labels\"", "\"data/triage.jsonl\"");
    let corpus = before.replace("data/*.jsonl", "data/?.jsonl");
    let short = format!("{corpus}{rest}");
    project.write("short.toml", short.as_bytes());
    project.seedbed(&["run", "short.toml", "--quiet", "--out", "short"]);
    let written = "[steps.triage-examples.corpus-prep]\n\
                   examples = { task = \"sequence-classification\", files = \"data/triage.jsonl\" }\n";
    let long = short.replace("\"data/triage.jsonl\"", "\"triage-examples\"") + written;
    project.write("long.toml", long.as_bytes());
    project.seedbed(&["run", "long.toml", "--quiet", "--out", "long"]);
    assert!(project.artifacts("short") == project.artifacts("long"));
    let plan = project.seedbed(&["plan", "short.toml", "--out", "short"]);
    assert!(plan.contains("triage-examples (corpus-prep)"), "{plan}");
}

#[test]
fn an_implied_step_is_pinned_and_given_resources_as_any_other() {
    let project = training::project(10, 2);
    let manifest = std::fs::read_to_string(project.path("pipeline.toml")).unwrap();
    let labels = "[steps.labels.corpus-prep]";
    let (before, rest) = manifest.split_once(labels).unwrap();
    let rest = rest.split_once("\n\n").unwrap().1.replace("\"labels\"", "\"triage.jsonl\"");
    let resources = "[engine.triage-examples]\nworkers = 1\nmemory = \"64 MB\"\n";
    let short = format!("{before}{rest}\n{resources}");
    project.write("short.toml", short.as_bytes());
    project.write("triage.jsonl", labelled(0, 120).as_bytes());
    project.seedbed(&["run", "short.toml", "--quiet", "--only", "triage-examples"]);
    let record = std::fs::read(project.path("out/triage-examples/examples/artifact.json")).unwrap();
    let pin = pipelines::digest::Digest::of(&record);
    let pins = format!("[pins]\ntriage-examples = \"{pin}\"\n");
    project.write("short.toml", format!("{short}{pins}").as_bytes());
    project.write("triage.jsonl", labelled(0, 100).as_bytes());
    let plan = project.seedbed(&["plan", "short.toml"]);
    assert!(plan.contains(&format!("pinned to {pin}; that hides")), "{plan}");
    let strange = resources.replace("triage-examples", "triage");
    project.write("short.toml", format!("{short}{strange}").as_bytes());
    let error = project.refused(&["plan", "short.toml"]);
    assert!(error.contains("`[engine]` names it") && error.contains("triage-examples"), "{error}");
}

#[test]
fn a_file_that_is_none_of_labelled_rows_is_told_with_the_endings_that_are() {
    let tuned = |model: &str, examples: &str| {
        format!(
            "name = \"short\"\n[steps.tuned.finetune]\nmodel = \"{model}\"\nexamples = \"{examples}\"\n"
        )
    };
    let project = Project::new(&tuned("models/base", "./a.txt"));
    project.write("a.txt", b"text");
    let error = project.refused(&["run"]);
    for words in
        ["pipeline.toml: step `tuned`", "`examples = \"./a.txt\"` is a file", ".csv", ".conll"]
    {
        assert!(error.contains(words), "{error}");
    }
    project.write("pipeline.toml", tuned("./a.txt", "./a.csv").as_bytes());
    project.write("a.csv", b"text,label\na,b\n");
    let error = project.refused(&["run"]);
    let words = "a.txt: found a file, expected the name of a step, or a directory with an artifact of checkpoint";
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_labelled_file_without_the_column_says_which_there_are() {
    let project = Project::new(
        "name = \"short\"\n[steps.tuned.finetune]\nmodel = \"models/base\"\nexamples = \"a.csv\"\n",
    );
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        project.write(&format!("models/base/{name}"), b"{}");
    }
    project.write("a.csv", b"note,urgency\nfever,high\n");
    let error = project.refused(&["run"]);
    assert!(error.contains("a.csv") && error.contains("note") && error.contains("text"), "{error}");
}

#[test]
fn the_schema_and_completions_are_printed() {
    let project = Project::new("");
    let schema = project.seedbed(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["steps"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        let script = project.seedbed(&["completions", shell]);
        assert!(script.contains("seedbed") && script.contains("corpus-prep"), "{script}");
    }
}
