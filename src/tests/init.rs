//! What `init` writes: a manifest that can be planned, and whose steps on raw and labelled files run, whatever their format.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::project::{Project, documents, labelled};

const ROWS: u64 = 60;

/// The texts of made-up documents.
fn texts() -> Vec<String> {
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].clone();
    documents(0, ROWS).lines().map(|line| text(line).as_str().unwrap().to_owned()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn strings(values: &[String]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn lists(rows: &[Vec<&str>]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        builder.append_value(row.iter().map(|word| Some(*word)));
    }
    Arc::new(builder.finish())
}

fn separated(header: &str, delimiter: char, rows: &[[String; 3]]) -> Vec<u8> {
    let line = |row: &[String; 3]| format!("{}\n", row.join(&delimiter.to_string()));
    format!("{header}\n{}", rows.iter().map(line).collect::<String>()).into_bytes()
}

/// Writes a manifest for `data`, which must say `words`; plans it and runs its steps on files.
#[track_caller]
fn check(data: (&str, &[u8]), labels: Option<(&str, &[u8])>, words: &[&str]) {
    let project = Project::new("");
    project.write(data.0, data.1);
    let mut init = vec!["init", "data", "--manifest", "made.toml"];
    if let Some((name, bytes)) = labels {
        project.write(name, bytes);
        init.extend(["--labels", name]);
    }
    project.seedbed(&init);
    let manifest = fs::read_to_string(project.path("made.toml")).unwrap();
    for word in words {
        assert!(manifest.contains(word), "{manifest} does not say {word}");
    }
    project.seedbed(&["plan", "made.toml"]);
    for (step, kind) in
        [("clean", "documents")].into_iter().chain(labels.map(|_| ("labels", "examples")))
    {
        project.seedbed(&["run", "made.toml", "--quiet", "--only", step]);
        let record = fs::read(project.path(&format!("out/{step}/{kind}/artifact.json"))).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let rows =
            record["parts"].as_array().unwrap().iter().filter_map(|part| part["rows"].as_u64());
        assert_eq!(rows.sum::<u64>(), ROWS, "{step}: {record}");
    }
}

#[test]
fn raw_text_of_every_format_has_its_column_named() {
    let texts = texts();
    let rows: Vec<[String; 3]> =
        (0..).zip(&texts).map(|(at, text)| [format!("{at}"), text.clone(), "en".into()]).collect();
    let columns = |at: usize| rows.iter().map(|row| row[at].clone()).collect::<Vec<_>>();
    let objects =
        |row: &[String; 3]| format!("{}\n", serde_json::json!({ "id": row[0], "body": row[1] }));
    let csv = separated("id, body , lang", ',', &rows);
    let tsv = separated("id\tbody\tlang", '\t', &rows);
    let jsonl = rows.iter().map(objects).collect::<String>();
    let table = parquet(vec![("id", strings(&columns(0))), ("body", strings(&columns(1)))]);
    for (name, bytes) in [
        ("data/a.csv.gz", gzip(&csv)),
        ("data/a.csv", csv),
        ("data/a.tsv", tsv),
        ("data/a.jsonl.gz", gzip(jsonl.as_bytes())),
        ("data/a.jsonl", jsonl.into_bytes()),
        ("data/a.parquet", table),
    ] {
        check((name, &bytes), None, &["fields = { text = \"body\" }"]);
    }
}

#[test]
fn labelled_texts_of_every_format_are_read() {
    let row = |at: usize| {
        let (word, label) = [("river", "high"), ("stone", "low")][at % 2];
        [format!("{at}"), format!("a note of the {word} {at}"), label.to_owned()]
    };
    let rows: Vec<[String; 3]> = (0..60).map(row).collect();
    let columns = |at: usize| rows.iter().map(|row| row[at].clone()).collect::<Vec<_>>();
    let csv = separated("id, note, urgency", ',', &rows);
    let tsv = separated("id\tnote\turgency", '\t', &rows);
    let object = |row: &[String; 3]| {
        format!("{}\n", serde_json::json!({ "id": row[0], "note": row[1], "urgency": row[2] }))
    };
    let jsonl = rows.iter().map(object).collect::<String>();
    let table = parquet(vec![("note", strings(&columns(1))), ("urgency", strings(&columns(2)))]);
    let raw = documents(0, ROWS);
    for (name, bytes) in [
        ("triage.csv.gz", gzip(&csv)),
        ("triage.csv", csv),
        ("triage [1].tsv", tsv),
        ("triage.jsonl.gz", gzip(jsonl.as_bytes())),
        ("triage.jsonl", jsonl.into_bytes()),
        ("triage.parquet", table),
    ] {
        let words = ["text = \"note\", label = \"urgency\"", "(60 looked at, 2 labels)", "tfidf"];
        check(("data/a.jsonl", raw.as_bytes()), Some((name, &bytes)), &words);
    }
}

#[test]
fn tagged_words_of_every_format_make_a_tagger() {
    let numbers: Vec<String> = (0..60).map(|at| at.to_string()).collect();
    let tokens = |at: usize| vec!["the", ["river", "stone"][at % 2], &numbers[at]];
    let tags = |at: usize| vec!["O", ["B-RIVER", "B-STONE"][at % 2], "O"];
    let sentence = |at: usize| {
        let words = tokens(at).into_iter().zip(tags(at));
        words.map(|(token, tag)| format!("{token} {tag}\n")).collect::<String>() + "\n"
    };
    let conll = (0..60).map(sentence).collect::<String>();
    let object = |at: usize| {
        let document = at / 2;
        let row =
            serde_json::json!({ "tokens": tokens(at), "tags": tags(at), "document": document });
        format!("{row}\n")
    };
    let jsonl = (0..60).map(object).collect::<String>();
    let table = parquet(vec![
        ("tokens", lists(&(0..60).map(tokens).collect::<Vec<_>>())),
        ("tags", lists(&(0..60).map(tags).collect::<Vec<_>>())),
    ]);
    let raw = documents(0, ROWS);
    for (name, bytes, group) in [
        ("names.conll.gz", gzip(conll.as_bytes()), ""),
        ("names.conll", conll.into_bytes(), ""),
        ("names.jsonl.gz", gzip(jsonl.as_bytes()), ", group = \"document\""),
        ("names.jsonl", jsonl.into_bytes(), ", group = \"document\""),
        ("names.parquet", table, ""),
    ] {
        let examples = format!("task = \"token-classification\"{group} }}");
        let words = ["family = \"bert\"", "(60 looked at, 2 types of entities)", &examples];
        check(("data/a.jsonl", raw.as_bytes()), Some((name, &bytes)), &words);
    }
}

#[test]
fn no_glob_names_what_runs_will_write() {
    let project = Project::new("");
    project.write("a.jsonl", documents(0, 20).as_bytes());
    project.write("notes/deep/b.jsonl", documents(20, 40).as_bytes());
    project.write("notes/c.md", b"# Heading\n\nText.\n");
    project.seedbed(&["init", ".", "--manifest", "made.toml"]);
    let manifest = fs::read_to_string(project.path("made.toml")).unwrap();
    let inputs = "inputs = [\"*.jsonl\", \"notes/**/*.jsonl\", \"notes/**/*.md\"]";
    assert!(manifest.contains(inputs), "{manifest}");
    project.seedbed(&["run", "made.toml", "--quiet", "--only", "clean"]);
    project.seedbed(&["init", ".", "--manifest", "again.toml"]);
    let again = fs::read_to_string(project.path("again.toml")).unwrap();
    assert_eq!(again, manifest);
}

#[test]
fn what_no_step_could_read_is_refused_at_once() {
    let project = Project::new("");
    project.write("data/a.csv", b"id,body\n1,one text\n");
    project.write("data/b.jsonl", b"{\"text\": \"another text\"}\n");
    let error = project.refused(&["init", "data", "--manifest", "made.toml"]);
    for words in ["no field of text that all records have", "`body` in 1", "`text` in 1"] {
        assert!(error.contains(words), "{error}");
    }
    fs::remove_file(project.path("data/b.jsonl")).unwrap();
    project.write("labels.docx", b"PK");
    let labelled_by = |name: &str| {
        project.refused(&["init", "data", "--manifest", "made.toml", "--labels", name])
    };
    let error = labelled_by("labels.docx");
    assert!(error.contains("labels.docx") && error.contains(".conll"), "{error}");
    project.write("labels.conll", b"Ada O\nwrote\n");
    let error = labelled_by("labels.conll");
    assert!(error.contains("labels.conll:2: 1 columns, expected 2"), "{error}");
    project.write("labels.conll", b"Ada O\nwrote O\n");
    let error = labelled_by("labels.conll");
    assert!(error.contains("no tag of an entity"), "{error}");
    project.write("labels.jsonl", b"{\"tokens\": [\"Ada\"], \"tags\": [\"PER\"]}\n");
    let error = labelled_by("labels.jsonl");
    assert!(error.contains("labels.jsonl:1: the tag `PER`, expected `O`"), "{error}");
    assert!(!project.path("made.toml").exists());
}

#[test]
fn only_the_head_of_a_labelled_file_is_read() {
    let project = Project::new("");
    project.write("data/a.jsonl", documents(0, 5).as_bytes());
    // Rows behind those that are looked at tell nothing, whatever they are.
    let rows = [labelled(0, 2000).as_bytes(), b"\xff no UTF-8\n"].concat();
    project.write("labels.jsonl", &rows);
    project.seedbed(&["init", "data", "--labels", "labels.jsonl", "--manifest", "made.toml"]);
    let manifest = fs::read_to_string(project.path("made.toml")).unwrap();
    assert!(manifest.contains("(2000 looked at, 2 labels)"), "{manifest}");
}
