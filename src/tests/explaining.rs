//! `seedbed explain-document` says of a document what the run said, and of a text what a run would say.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::project::Project;

const MANIFEST: &str = r#"
name = "explained"

[steps.clean.corpus-prep]
inputs = ["texts/*.jsonl"]
filters = "c4"
rules = { c4 = { too_few_sentences = 2 } }
"#;

fn good() -> String {
    "The river that we have come to is wide.\nMenu\nIt was cold, and the boat could not be seen.\n"
        .to_owned()
}

fn project() -> Project {
    let project = Project::new(MANIFEST);
    let rows = [
        serde_json::json!({ "id": "good", "text": good() }),
        serde_json::json!({ "id": "short", "text": "Too short." }),
    ];
    project.write("texts/a.jsonl", rows.map(|row| format!("{row}\n")).concat().as_bytes());
    project
}

fn piped(project: &Project, arguments: &[&str], text: &str) -> Output {
    let mut command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_document_is_explained_by_its_id_as_it_was_decided() {
    let project = project();
    project.seedbed(&["run", "--quiet"]);
    let id = |text: &str| pipelines::digest::text_id(text);
    let explain = |id: &str| -> Value {
        serde_json::from_str(&project.seedbed(&["explain-document", id, "--json"])).unwrap()
    };
    let found = explain(&id(&good()));
    assert_eq!((&found["source_id"], &found["on_record"]), (&"good".into(), &"kept".into()));
    assert_eq!(found["dropped_by"], Value::Null);
    assert_eq!(found["edited_text"], good().replace("\nMenu", "").trim_end());
    assert_eq!(found["edits"][0]["rule"], "no_terminal_punc");
    let found = explain(&id("Too short.")[..8]);
    assert_eq!(
        (&found["on_record"], &found["dropped_by"]),
        (&"dropped".into(), &"too_few_sentences".into())
    );
    let said = project.seedbed(&["explain-document", &id("Too short.")]);
    assert!(
        said.contains("on record: dropped by too_few_sentences: 0 against the bound 2"),
        "{said}"
    );
    assert!(said.contains("<- fails") && said.contains("at least 2"), "{said}");
    assert!(project.refused(&["explain-document", "0123456789"]).contains("found no document"));
    assert!(project.refused(&["explain-document", "xyz"]).contains("8 to 32 hexadecimal digits"));
}

#[test]
fn a_text_is_explained_before_any_run() {
    let project = project();
    let output = piped(&project, &["explain-document", "--json"], "no");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["on_record"], Value::Null);
    assert_eq!(found["signals"]["num_words"], 1.0);
    let wrong = piped(&project, &["explain-document", "--step", "cleam"], "no");
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(error.contains("found `cleam`, expected a step that cleans: clean"), "{error}");
}
