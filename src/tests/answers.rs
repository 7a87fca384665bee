//! Models at work: labels and entities for rows, texts that go on, masks that are filled. The models are tiny and random,
//! since what is promised here holds whatever they say.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use codec::{CodecError, PretokenCounts, Vocabulary};
use model::{BertConfig, Checkpoint, Head, LlamaConfig, ModelConfig};
use serde_json::{Value, json};

use crate::project::Project;

const LETTERS: &str = "[PAD] [UNK] [CLS] [SEP] [MASK] river stone the ##s . , ' é zoe 日 本";

/// A project with models: `labels` of texts and `tags` of words in WordPiece, `seeds` of labels, and a `causal` one.
fn project() -> Project {
    let project = Project::new("");
    let labels = || ["wet", "dry", "ni, \"né\""].map(str::to_owned).to_vec();
    let tags = ["O", "B-RIVER", "I-RIVER", "B-STONE", "I-STONE"].map(str::to_owned).to_vec();
    bert(&project.path("labels"), Head::SequenceClassification { labels: labels() }, 1);
    bert(&project.path("tags"), Head::TokenClassification { labels: tags }, 2);
    for seed in [3, 12] {
        let dir = project.path(&format!("out/seeds/checkpoint/seed-{seed}"));
        bert(&dir, Head::SequenceClassification { labels: labels() }, seed);
    }
    llama(&project.path("causal"));
    project
}

fn bert(dir: &Path, head: Head, seed: u64) {
    let vocabulary: Vec<&str> = LETTERS.split(' ').collect();
    let config = BertConfig {
        vocab_size: vocabulary.len(),
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        max_position_embeddings: 16,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 2.0,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head,
    };
    write(dir, config.into(), seed);
    fs::write(dir.join("vocab.txt"), vocabulary.join("\n") + "\n").unwrap();
}

fn llama(dir: &Path) {
    let mut counts = PretokenCounts::default();
    counts.count("the river finds the old stone, and the stone finds the river").unwrap();
    let vocabulary = Vocabulary::train(&counts, 275, |_| Ok::<_, CodecError>(())).unwrap();
    let config = LlamaConfig {
        vocab_size: vocabulary.tokens().len(),
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 64,
        rope_theta: 1e4,
        rms_norm_eps: 1e-5,
        initializer_range: 0.3,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: false,
        bos_token_id: None,
        eos_token_id: Vec::new(),
        pad_token_id: None,
        head: Head::CausalLm,
    };
    write(dir, config.into(), 5);
    for file in vocabulary.files() {
        fs::write(dir.join(file.name), file.bytes).unwrap();
    }
}

/// A Parquet file `name` with these columns.
fn parquet(project: &Project, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = fs::File::create(project.path(name)).unwrap();
    let writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None);
    let mut writer = writer.unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write(dir: &Path, config: ModelConfig, seed: u64) {
    fs::create_dir_all(dir).unwrap();
    Checkpoint::fresh(config, seed).unwrap().write(dir).unwrap();
}

const TEXTS: [&str; 6] = [
    "the river",
    "",
    "Zoë's stones, the 日本 river.",
    "\"q\",\nstone",
    "é e\u{301}",
    "the the the",
];

fn jsonl(texts: &[&str]) -> String {
    let row = |(at, text): (usize, &&str)| format!("{}\n", json!({ "id": at * 10, "text": text }));
    texts.iter().enumerate().map(row).collect()
}

fn objects(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs the program with `input` on its standard input.
fn with_stdin(project: &Project, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
    let mut command: Command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    // It may refuse before it reads.
    let _ = program.stdin.take().unwrap().write_all(input.as_ref());
    program.wait_with_output().unwrap()
}

#[track_caller]
fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn predictions_do_not_depend_on_batches_threads_or_formats() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(jsonl(&TEXTS).as_bytes()).unwrap();
    project.write("rows.jsonl.gz", &gzip.finish().unwrap());
    for model in ["labels", "tags"] {
        let expected = project.seedbed(&["predict", model, "--input", "rows.jsonl", "--quiet"]);
        assert_eq!(objects(&expected).len(), TEXTS.len());
        let same = |arguments: &[&str]| {
            let found = project.seedbed(&[&["predict", model, "--quiet"], arguments].concat());
            assert_eq!(found, expected, "{arguments:?}");
        };
        same(&["--input", "rows.jsonl", "--batch-size", "1", "--threads", "1"]);
        same(&["--input", "rows.jsonl", "--batch-size", "4", "--threads", "3"]);
        same(&["--input", "rows.jsonl.gz"]);
        let streamed = ["predict", model, "--input", "-", "--quiet"];
        assert_eq!(text(with_stdin(&project, &streamed, jsonl(&TEXTS))), expected);
    }
    // In CSV and Parquet, ids are texts.
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["id", "text"]).unwrap();
    for (at, text) in TEXTS.iter().enumerate() {
        rows.write_record([&(at * 10).to_string(), *text]).unwrap();
    }
    project.write("rows.csv", &rows.into_inner().unwrap());
    let expected = project.seedbed(&["predict", "labels", "--input", "rows.jsonl"]);
    let found = project.seedbed(&["predict", "labels", "--input", "rows.csv"]);
    let probabilities = |said: &str| {
        objects(said).iter().map(|row| row["probabilities"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(probabilities(&found), probabilities(&expected));
    assert_eq!(objects(&found)[3]["id"], "30");
    let lines = ["predict", "labels", "--input", "-", "--format", "lines"];
    let found = text(with_stdin(&project, &lines, "the river\nthe the the\n"));
    let (found, expected) = (probabilities(&found), probabilities(&expected));
    assert_eq!(found, [expected[0].clone(), expected[5].clone()]);
}

#[test]
fn texts_of_parquet_are_read_as_texts_whatever_holds_them() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let expected = project.seedbed(&["predict", "labels", "--input", "rows.jsonl"]);
    let ids = || -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..6).map(|at| at * 10))) };
    let bytes = BinaryArray::from_iter_values(TEXTS.map(str::as_bytes));
    parquet(&project, "rows.parquet", vec![("id", ids()), ("text", Arc::new(bytes))]);
    assert_eq!(project.seedbed(&["predict", "labels", "--input", "rows.parquet"]), expected);
    let predict = |more: &[&str], words: &str| {
        let arguments = ["predict", "tags", "--input", "rows.parquet"];
        refused(&project, &[&arguments[..], more].concat(), words);
    };
    let words = "rows.parquet: column `id` is of type Int64, expected strings";
    predict(&["--text", "id"], words);
    let words = "rows.parquet: column `text` is of type Binary, expected lists of strings";
    predict(&["--tokens", "text"], words);
    let nulls = StringArray::from(vec![Some("a"), None]);
    let names = StringArray::from(vec![None, Some("b")]);
    parquet(&project, "rows.parquet", vec![("n", Arc::new(names)), ("text", Arc::new(nulls))]);
    predict(&[], "rows.parquet: row 2: field `text` is null, expected a string");
    predict(
        &["--id", "n"],
        "rows.parquet: row 1: field `n` is null, expected a string or a number",
    );
    let broken: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"a\xff"]));
    parquet(&project, "rows.parquet", vec![("text", broken)]);
    predict(&[], "rows.parquet: row 1: field `text` has the byte 0xff, expected UTF-8");
}

#[test]
fn ids_come_back_as_they_are_written() {
    let project = project();
    let rows = ["12345678901234567890123", "1.10", "-0.0", "7", "\"a b\"", "[1]", "true"];
    let row = |id: &&str| format!("{{\"n\": {id}, \"id\": {id}, \"text\": \"the\"}}\n");
    project.write("rows.jsonl", rows.iter().map(row).collect::<String>().as_bytes());
    project.write("good.jsonl", rows[..5].iter().map(row).collect::<String>().as_bytes());
    let said = project.seedbed(&["predict", "labels", "--input", "rows.jsonl"]);
    let begins = |said: &str, of: &[&str]| {
        for (at, (line, id)) in said.lines().zip(of).enumerate() {
            assert!(line.starts_with(&format!("{{\"id\":{id},\"record\":{at},")), "{line}");
        }
    };
    begins(&said, &rows[..5]);
    // What is no name is none, where none is asked for.
    assert!(objects(&said)[5..].iter().all(|row| row.get("id").is_none()), "{said}");
    let asked = ["predict", "labels", "--id", "n", "--input"];
    begins(&project.seedbed(&[&asked[..], &["good.jsonl"]].concat()), &rows[..5]);
    let words = "rows.jsonl:6: field `n` is an array, expected a string or a number";
    refused(&project, &[&asked[..], &["rows.jsonl"]].concat(), words);
    let asked = ["predict", "labels", "--id", "nosuch", "--input", "rows.jsonl"];
    refused(&project, &asked, "rows.jsonl:1: no field `nosuch`; found `id`, `n`, `text`");
    let output = ["predict", "labels", "--input", "rows.jsonl", "--output", "p.csv"];
    project.seedbed(&output);
    let table = fs::read_to_string(project.path("p.csv")).unwrap();
    assert!(
        table.contains("\n12345678901234567890123,0,") && table.contains("\n1.10,1,"),
        "{table}"
    );
}

#[test]
fn every_label_has_a_probability_and_the_largest_names_the_row() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let said = project.seedbed(&["predict", "labels", "--input", "rows.jsonl"]);
    for (at, row) in objects(&said).iter().enumerate() {
        assert_eq!((&row["record"], &row["id"]), (&json!(at), &json!(at * 10)));
        let all = row["probabilities"].as_object().unwrap();
        let sum: f64 = all.values().map(|value| value.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-12 && all.len() == 3, "{row}");
        let best = all.iter().max_by(|a, b| a.1.as_f64().partial_cmp(&b.1.as_f64()).unwrap());
        assert_eq!(row["label"], **best.unwrap().0, "{row}");
    }
}

#[test]
fn entities_are_slices_of_the_text_in_characters() {
    let project = project();
    let long = "the old river finds é 日本 and the stone. ".repeat(20);
    let texts: Vec<&str> = TEXTS.into_iter().chain([long.as_str()]).collect();
    project.write("rows.jsonl", jsonl(&texts).as_bytes());
    // Of a model without tags that go on, every word is an entity of its own, or none.
    let tags = ["O", "B-RIVER", "B-STONE"].map(str::to_owned).to_vec();
    bert(&project.path("begins"), Head::TokenClassification { labels: tags }, 2);
    let mut num_entities = 0;
    for (model, rule) in [("tags", "unicode"), ("begins", "unicode"), ("begins", "whitespace")] {
        let arguments = ["predict", model, "--input", "rows.jsonl", "--words", rule];
        let said = objects(&project.seedbed(&arguments));
        for (row, text) in said.iter().zip(&texts) {
            let characters: Vec<char> = text.chars().collect();
            let mut last = 0;
            for entity in row["entities"].as_array().unwrap() {
                let place = |name: &str| usize::try_from(entity[name].as_u64().unwrap()).unwrap();
                let (start, end) = (place("start"), place("end"));
                let slice: String = characters[start..end].iter().collect();
                assert_eq!(entity["text"], slice, "{entity}");
                assert!(last <= start && start < end && slice.trim() == slice, "{entity}");
                assert!(["RIVER", "STONE"].contains(&entity["type"].as_str().unwrap()));
                assert!((0.0..=1.0).contains(&entity["score"].as_f64().unwrap()));
                last = end;
                num_entities += 1;
            }
        }
        assert_eq!(said[1], json!({ "id": 10, "record": 1, "entities": [] }));
        // It is read in windows, to its end.
        let last = said[6]["entities"].as_array().unwrap().last().unwrap();
        assert!(last["end"].as_u64().unwrap() > 700, "{last}");
    }
    assert!(num_entities > 20, "{num_entities}");
}

#[test]
fn words_that_are_given_get_tags_that_are_legal() {
    let project = project();
    let words = json!({ "words": ["the", "São", "stone", "", "river", "."] });
    project.write("rows.jsonl", format!("{words}\n{}\n", json!({ "words": [] })).as_bytes());
    let said = project.seedbed(&["predict", "tags", "--input", "rows.jsonl", "--tokens", "words"]);
    let rows = objects(&said);
    let tags: Vec<&str> =
        rows[0]["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    assert_eq!(tags.len(), 6);
    // A word without a token is outside.
    assert_eq!(tags[3], "O");
    let mut before = "O";
    for tag in &tags {
        let goes_on = tag.strip_prefix("I-").is_none_or(|kind| before.ends_with(kind));
        assert!(goes_on, "{tags:?}");
        before = tag;
    }
    let begun = tags.iter().filter(|tag| tag.starts_with("B-")).count();
    assert_eq!(rows[0]["entities"].as_array().unwrap().len(), begun);
    assert_eq!(rows[1], json!({ "record": 1, "tags": [], "entities": [] }));
}

#[test]
fn tables_hold_what_the_objects_say() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    for model in ["labels", "tags"] {
        let predict = |output: &str| {
            project.seedbed(&["predict", model, "--input", "rows.jsonl", "--output", output])
        };
        for output in ["p.jsonl", "p.csv", "p.parquet"] {
            assert_eq!(predict(output), "");
        }
        let said = project.seedbed(&["predict", model, "--input", "rows.jsonl"]);
        assert_eq!(fs::read_to_string(project.path("p.jsonl")).unwrap(), said);
        let mut cells = csv::Reader::from_path(project.path("p.csv")).unwrap();
        let header: Vec<String> = cells.headers().unwrap().iter().map(str::to_owned).collect();
        let rows: Vec<csv::StringRecord> = cells.records().map(Result::unwrap).collect();
        let expected: Vec<Value> = if model == "labels" {
            objects(&said)
        } else {
            let of_row = |row: &Value| row["entities"].as_array().unwrap().clone();
            objects(&said).iter().flat_map(of_row).collect()
        };
        assert_eq!(rows.len(), expected.len());
        let column = |name: &str| header.iter().position(|known| known == name).unwrap();
        for (row, expected) in rows.iter().zip(&expected) {
            if model == "labels" {
                assert_eq!(row[column("label")], *expected["label"].as_str().unwrap());
                let found: f64 = row[column("probability.ni, \"né\"")].parse().unwrap();
                assert_eq!(json!(found), expected["probabilities"]["ni, \"né\""]);
                assert_eq!(row[column("id")], expected["id"].to_string());
            } else {
                assert_eq!(row[column("text")], *expected["text"].as_str().unwrap());
                assert_eq!(row[column("start")], expected["start"].to_string());
            }
        }
        let file = fs::File::open(project.path("p.parquet")).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = reader.unwrap();
        let names: Vec<&String> =
            reader.schema().fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, header.iter().collect::<Vec<_>>());
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows.len());
    }
    // What was written can be read again.
    project.write("again.jsonl", jsonl(&TEXTS).as_bytes());
    project.seedbed(&["predict", "tags", "--input", "again.jsonl", "--output", "t.parquet"]);
    project.seedbed(&["predict", "labels", "--input", "t.parquet", "--output", "again.jsonl"]);
}

#[test]
fn no_rows_give_tables_without_rows() {
    let project = project();
    project.write("rows.jsonl", b"");
    project.seedbed(&["predict", "labels", "--input", "rows.jsonl", "--output", "p.csv"]);
    let found = fs::read_to_string(project.path("p.csv")).unwrap();
    assert!(found.starts_with("id,record,label,probability.wet") && found.lines().count() == 1);
    assert_eq!(project.seedbed(&["predict", "tags", "--input", "rows.jsonl"]), "");
}

#[test]
fn of_several_seeds_one_predicts() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let predict = |model: &str, more: &[&str]| {
        project.seedbed(&[&["predict", model, "--input", "rows.jsonl"], more].concat())
    };
    let third = predict("out/seeds/checkpoint/seed-3", &[]);
    assert_eq!(predict("out/seeds/checkpoint", &[]), third);
    assert_eq!(predict("out/seeds", &["--seed", "3"]), third);
    assert_ne!(predict("out/seeds", &["--seed", "12"]), third);
    let refused = project.refused(&[
        "predict",
        "out/seeds/checkpoint",
        "--input",
        "rows.jsonl",
        "--seed",
        "4",
    ]);
    assert_eq!(refused, "error: out/seeds/checkpoint: found the seeds 3, 12, expected 4\n");
    // A seed has one name.
    let at = |name: &str| project.path(&format!("out/seeds/checkpoint/{name}"));
    fs::rename(at("seed-3"), at("seed-003")).unwrap();
    assert_eq!(predict("out/seeds", &[]), predict("out/seeds", &["--seed", "12"]));
}

#[track_caller]
fn refused(project: &Project, arguments: &[&str], words: &str) {
    let error = project.refused(arguments);
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_bad_row_stops_all_and_leaves_what_stood_there() {
    let project = project();
    project.write("p.csv", b"before");
    project.write("rows.jsonl", format!("{}{{\"text\": 3}}\n", jsonl(&TEXTS)).as_bytes());
    let arguments = ["predict", "labels", "--input", "rows.jsonl", "--output", "p.csv"];
    let words = "rows.jsonl:7: field `text` is a number, expected a string";
    refused(&project, &[&arguments[..], &["--batch-size", "2"]].concat(), words);
    assert_eq!(fs::read(project.path("p.csv")).unwrap(), b"before");
    let left = fs::read_dir(project.path(".")).unwrap();
    let names: Vec<String> =
        left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("partial")), "{names:?}");
    // The rows before it are answered, however many are asked for together.
    let said = |batch: &str| {
        let arguments = ["predict", "labels", "--input", "rows.jsonl", "--batch-size", batch];
        let output = project.command(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    project.write("good.jsonl", jsonl(&TEXTS).as_bytes());
    let good = project.seedbed(&["predict", "labels", "--input", "good.jsonl"]);
    let long = json!({ "text": "river ".repeat(40) });
    for bad in ["{\"text\": 3}".to_owned(), "{".to_owned(), long.to_string()] {
        let rows = format!("{}{bad}\n{}", jsonl(&TEXTS), jsonl(&TEXTS));
        project.write("rows.jsonl", rows.as_bytes());
        for batch in ["1", "4", "5", "256"] {
            assert_eq!(said(batch), good, "{bad} {batch}");
        }
    }
    for (row, words) in [
        ("{\"note\": \"a\", \"n\": 1}", "rows.jsonl:1: no field `text`; found `n`, `note`"),
        ("{\"text\": null}", "rows.jsonl:1: field `text` is null, expected a string"),
        ("{\"text\": \"a\"", "rows.jsonl:1: found broken JSON at column 12"),
        ("\"a\"", "rows.jsonl:1: found a string, expected one JSON object a line"),
    ] {
        project.write("rows.jsonl", row.as_bytes());
        refused(&project, &["predict", "labels", "--input", "rows.jsonl"], words);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_what_was_found() {
    let project = project();
    let predict = |input: &str, more: &[&str], words: &str| {
        refused(&project, &[&["predict", "labels", "--input", input], more].concat(), words);
    };
    project.write("rows.csv", b"note,label\na,b\n");
    predict("rows.csv", &[], "rows.csv: no column `text`; found `note`, `label`");
    predict(
        "rows.csv",
        &["--text", "note", "--id", "x"],
        "rows.csv: no column `x`; found `note`, `label`",
    );
    predict("rows.txt", &[], "rows.txt: --format says how to read it");
    predict("none.csv", &[], "none.csv");
    project.write("rows.parquet", b"PAR1");
    predict("rows.parquet", &[], "expected a Parquet file");
    predict("-", &["--format", "parquet"], "expected a file and not standard input");
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    predict("rows.jsonl", &["--output", "p.xls"], "p.xls: the end of its name tells no format");
    predict("rows.jsonl", &["--output", "none/p.csv"], "cannot write none/p.csv");
    predict("rows.jsonl", &["--tokens", "words"], "--tokens is for models that tag words");
    predict("rows.jsonl", &["--too-long", "windows"], "--too-long windows is for models that tag");
    predict("rows.jsonl", &["--words", "whitespace"], "--words is for models that tag words");
    let words = "--max-length is 17 tokens, expected at most 16, the context of labels";
    predict("rows.jsonl", &["--max-length", "17"], words);
    let words = "labels reads 2 tokens at most, expected at least 3: the special ones and one";
    predict("rows.jsonl", &["--max-length", "2", "--too-long", "truncate"], words);
    let utf16 = "\u{feff}text,n\na,b\n".encode_utf16().flat_map(u16::to_le_bytes);
    project.write("rows.csv", &utf16.collect::<Vec<u8>>());
    predict("rows.csv", &[], "rows.csv:1: found the byte-order mark of UTF-16, expected UTF-8");
    project.write("rows.csv", b"t\0ext,\x1b[31mn\na,b\n");
    predict("rows.csv", &[], "rows.csv: no column `text`; found `t\\u{0}ext`, `\\u{1b}[31mn`\n");
    let words = "--text-pair is for classifiers";
    refused(&project, &["predict", "tags", "--input", "rows.jsonl", "--text-pair", "b"], words);
    let words = "field `text` is a string, expected a list of strings";
    refused(&project, &["predict", "tags", "--input", "rows.jsonl", "--tokens", "text"], words);
}

#[test]
fn a_text_that_is_too_long_is_refused_or_cut_and_counted() {
    let project = project();
    let long = "river ".repeat(40);
    project.write("rows.jsonl", jsonl(&["the", &long]).as_bytes());
    let arguments = ["predict", "labels", "--input", "rows.jsonl"];
    let words = "rows.jsonl:2: 42 tokens, expected at most 16, the context of labels; \
                 --too-long truncate reads the first 16\n";
    refused(&project, &arguments, words);
    let words = "expected at most 4, as --max-length says; --too-long truncate reads the first 4\n";
    refused(&project, &[&arguments[..], &["--max-length", "4"]].concat(), words);
    let words = "rows.jsonl:2: 42 tokens, expected at most 16, the context of tags; \
                 --too-long windows reads them in windows\n";
    let tags = ["predict", "tags", "--input", "rows.jsonl", "--too-long", "refuse"];
    refused(&project, &tags, words);
    // A model's record says what it was fine-tuned with.
    let record = json!({ "stage": "finetune", "config": { "max_length": 8 } });
    project.write("out/seeds/checkpoint/artifact.json", record.to_string().as_bytes());
    for model in ["out/seeds", "out/seeds/checkpoint/seed-3"] {
        let words =
            "42 tokens, expected at most 8, what out/seeds/checkpoint/seed-3 was fine-tuned with;";
        refused(&project, &["predict", model, "--input", "rows.jsonl"], words);
    }
    let cut = project.command(&[&arguments[..], &["--too-long", "truncate"]].concat()).output();
    let cut = cut.unwrap();
    let said = String::from_utf8(cut.stderr.clone()).unwrap();
    assert!(said.contains("of 1 text only the first tokens were read"), "{said}");
    assert_eq!(objects(&text(cut)).len(), 2);
}

#[test]
fn models_that_cannot_do_it_are_refused_by_name() {
    let project = project();
    bert(&project.path("masked"), Head::MaskedLm, 1);
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let words = "masked: found a model with the head BertForMaskedLM, expected a classifier \
                 (…ForSequenceClassification or …ForTokenClassification) for `seedbed predict`; \
                 `seedbed fill` guesses masked tokens with this one";
    refused(&project, &["predict", "masked", "--input", "rows.jsonl"], words);
    let words = "expected a causal language model (…ForCausalLM, …LMHeadModel) for \
         `seedbed generate`; `seedbed predict`";
    refused(&project, &["generate", "tags", "--prompt", "a"], words);
    let words =
        "expected a masked language model (…ForMaskedLM) for `seedbed fill`; `seedbed generate`";
    refused(&project, &["fill", "causal", "--text", "[MASK]"], words);
    refused(&project, &["generate", "none", "--prompt", "a"], "none: found nothing, expected");
    refused(&project, &["generate", "out", "--prompt", "a"], "out: found no config.json, expected");
    let words = "rows.jsonl: found a file, expected the directory";
    refused(&project, &["generate", "rows.jsonl", "--prompt", "a"], words);
    fs::rename(project.path("causal/model.safetensors"), project.path("causal/pytorch_model.bin"))
        .unwrap();
    let words = "causal: found pytorch_model.bin, expected the weights in model.safetensors";
    refused(&project, &["generate", "causal", "--prompt", "a"], words);
    fs::remove_file(project.path("tags/vocab.txt")).unwrap();
    let words = "tags: found neither tokenizer.json nor vocab.txt";
    refused(&project, &["predict", "tags", "--input", "rows.jsonl"], words);
}

/// Most memory that the process `id` has had, in bytes, as Linux counts it.
fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// It writes a model of 118 MB.
#[test]
fn weights_are_in_memory_once() {
    let project = project();
    let config = LlamaConfig {
        vocab_size: 275,
        hidden_size: 512,
        intermediate_size: 4096,
        num_hidden_layers: 4,
        num_attention_heads: 8,
        num_key_value_heads: 8,
        head_dim: 64,
        max_position_embeddings: 64,
        rope_theta: 1e4,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: Vec::new(),
        pad_token_id: None,
        head: Head::CausalLm,
    };
    write(&project.path("causal"), config.into(), 1);
    let weights = fs::metadata(project.path("causal/model.safetensors")).unwrap().len();
    let many = usize::MAX.to_string();
    let arguments = ["generate", "causal", "--prompt", "the", "--max-tokens", "1"];
    let mut command = project.command(&[&arguments[..], &["--num-samples", &many]].concat());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut program = command.spawn().unwrap();
    let mut first = [0];
    // Once it writes, it has loaded the model.
    program.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let peak = peak_memory(program.id());
    program.kill().unwrap();
    program.wait().unwrap();
    let Some(peak) = peak else { return };
    assert!(peak < weights + weights / 2, "{peak} bytes of memory for {weights} of weights");
}

#[test]
fn damaged_weights_are_told_and_not_answered() {
    let project = project();
    for (model, weight) in [("labels", "classifier.weight"), ("tags", "classifier.weight")] {
        let mut damaged = Checkpoint::read(&project.path(model)).unwrap();
        for entry in damaged.weights.iter_mut().filter(|entry| entry.name == weight) {
            entry.value.fill(f32::NAN);
        }
        damaged.write(&project.path(model)).unwrap();
        project.write("rows.jsonl", jsonl(&["the river"]).as_bytes());
        let arguments = ["predict", model, "--input", "rows.jsonl"];
        let output = project.command(&arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{error}");
        assert!(error.contains(model), "{error}");
    }
    let words =
        "cannot use the model labels: the logit of class 0 is NaN; expected a finite number";
    refused(&project, &["predict", "labels", "--input", "rows.jsonl"], words);
}

#[test]
fn predictions_go_through_links_and_are_their_owners() {
    let project = project();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    let expected = project.seedbed(&["predict", "labels", "--input", "rows.jsonl"]);
    fs::create_dir(project.path("elsewhere")).unwrap();
    symlink("elsewhere/p.jsonl", project.path("link.jsonl")).unwrap();
    project.seedbed(&["predict", "labels", "--input", "rows.jsonl", "--output", "link.jsonl"]);
    assert!(project.path("link.jsonl").is_symlink());
    let target = project.path("elsewhere/p.jsonl");
    assert_eq!(fs::read_to_string(&target).unwrap(), expected);
    assert_eq!(fs::metadata(target).unwrap().permissions().mode() & 0o777, 0o600);
    let fifo = project.path("fifo.jsonl");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let read = std::thread::spawn(move || fs::read_to_string(fifo).unwrap());
    project.seedbed(&["predict", "labels", "--input", "rows.jsonl", "--output", "fifo.jsonl"]);
    assert_eq!(read.join().unwrap(), expected);
}

#[test]
fn what_cannot_be_written_or_read_is_told_with_its_place() {
    let project = project();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/reference/fill");
    let fixture = fixture.to_str().unwrap();
    project.write("rows.jsonl", jsonl(&TEXTS).as_bytes());
    for arguments in [
        &["predict", "labels", "--input", "rows.jsonl"][..],
        &["generate", "causal", "--prompt", "the"],
        &["generate", "causal", "--prompt", "the", "--json"],
        &["fill", fixture, "--text", "The [MASK] sat."],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = project.command(arguments).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("cannot write standard output: "), "{error}");
    }
    let refused = with_stdin(&project, &["generate", "causal"], b"the \xff");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(error, "error: standard input: found the byte 0xff at 4, expected UTF-8\n");
}

#[test]
fn texts_end_when_nobody_reads_them_any_more() {
    let project = project();
    let (many, one) = (usize::MAX.to_string(), "1");
    for form in ["--json", "--quiet"] {
        let arguments = [
            "generate",
            "causal",
            form,
            "--prompt",
            "the",
            "--num-samples",
            &many,
            "--max-tokens",
            one,
        ];
        let mut command = project.command(&arguments);
        let mut program = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut read = std::io::BufReader::new(program.stdout.take().unwrap());
        read.read_line(&mut first).unwrap();
        drop(read);
        let output = program.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn an_interrupted_prediction_leaves_no_file() {
    let project = project();
    let arguments =
        ["predict", "labels", "--input", "-", "--output", "p.jsonl", "--batch-size", "1"];
    let mut command = project.command(&arguments);
    let mut program =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = program.stdin.take().unwrap();
    let names = || -> Vec<String> {
        let entries = fs::read_dir(project.path(".")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let is_written = |name: &String| name.contains("p.jsonl");
    while !names().iter().any(is_written) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // It has been asked nothing, and waits.
    let id = program.id().to_string();
    let code = loop {
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        std::thread::sleep(std::time::Duration::from_millis(100));
        if let Some(status) = program.try_wait().unwrap() {
            break status.code();
        }
    };
    drop(stdin);
    let mut said = String::new();
    program.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    // No run of it goes on from there.
    assert_eq!((code, &*said), (Some(130), "error: interrupted\n"));
    assert!(!names().iter().any(is_written), "{:?}", names());
}

#[test]
fn the_same_seed_gives_the_same_text_on_any_number_of_threads() {
    let project = project();
    let generate = |more: &[&str]| {
        let arguments =
            ["generate", "causal", "--prompt", "the river", "--max-tokens", "20", "--json"];
        objects(&project.seedbed(&[&arguments[..], more].concat()))
    };
    let first = generate(&["--num-samples", "3", "--seed", "7"]);
    assert_eq!(first, generate(&["--num-samples", "3", "--seed", "7", "--threads", "1"]));
    // A text does not depend on how many others are asked for.
    assert_eq!(first[..1], generate(&["--seed", "7", "--threads", "3"]));
    let texts = |said: &[Value]| said.iter().map(|text| text["text"].clone()).collect::<Vec<_>>();
    assert_ne!(texts(&first)[0], texts(&first)[1]);
    assert_ne!(texts(&first)[0], texts(&generate(&["--seed", "8"]))[0]);
    let greedy = generate(&["--temperature", "0", "--num-samples", "2"]);
    assert_eq!(texts(&greedy)[0], texts(&greedy)[1]);
    assert_eq!(texts(&greedy)[..1], texts(&generate(&["--top-k", "1", "--seed", "9"])));
    assert_eq!(texts(&greedy)[..1], texts(&generate(&["--top-p", "1e-9"])));
}

#[test]
fn what_streams_is_the_text_in_whole_characters() {
    let project = project();
    for seed in 0..5 {
        let seed = seed.to_string();
        let arguments = ["generate", "causal", "--prompt", "é", "--seed", &seed];
        let streamed = project.command(&arguments).output().unwrap();
        let said = objects(&project.seedbed(&[&arguments[..], &["--json"]].concat()));
        let streamed = String::from_utf8(streamed.stdout).unwrap();
        assert_eq!(streamed, said[0]["text"].as_str().unwrap().to_owned() + "\n");
        assert_eq!((&said[0]["prompt"], &said[0]["sample"]), (&json!("é"), &json!(0)));
    }
    let piped = ["generate", "causal", "--temperature", "0", "--json"];
    let piped = objects(&text(with_stdin(&project, &piped, "the\n")));
    let given = ["generate", "causal", "--temperature", "0", "--json", "--prompt", "the"];
    assert_eq!(piped, objects(&project.seedbed(&given)));
}

#[test]
fn a_text_ends_where_it_must_and_says_why() {
    let project = project();
    let generate = |more: &[&str]| {
        let arguments = ["generate", "causal", "--prompt", "the river", "--temperature", "0"];
        project.command(&[&arguments[..], more].concat()).output().unwrap()
    };
    let said = |output: Output| String::from_utf8(output.stderr).unwrap();
    let short = said(generate(&["--max-tokens", "4"]));
    assert!(short.starts_with("4 tokens, ") && short.contains("--max-tokens allows"), "{short}");
    let full = objects(&text(generate(&["--max-tokens", "1000", "--json"])));
    assert_eq!(full[0]["end"], "context-full");
    let prompt = 64 - full[0]["tokens"].as_u64().unwrap();
    let full = said(generate(&["--max-tokens", "1000"]));
    assert!(full.contains("the context is full: with the prompt it holds 64 tokens"), "{full}");
    // The prompt is one token shorter without the one that begins it.
    let bare = objects(&text(generate(&["--max-tokens", "1000", "--json", "--no-bos"])));
    assert_eq!(bare[0]["tokens"], 64 - prompt + 1);
    assert_eq!(said(generate(&["--quiet"])), "");
    // A model whose every logit is the same draws the end of the text sooner or later.
    let ended = (0..40).any(|seed| {
        let seed = seed.to_string();
        let arguments = [
            "generate",
            "causal",
            "--prompt",
            "a",
            "--temperature",
            "1e6",
            "--seed",
            &seed,
            "--json",
        ];
        let said = objects(&project.seedbed(&arguments));
        assert!(!said[0]["text"].as_str().unwrap().contains("<|endoftext|>"));
        said[0]["end"] == "end-of-text"
    });
    assert!(ended);
}

#[test]
fn prompts_and_settings_that_cannot_be_are_refused() {
    let project = project();
    let generate = |more: &[&str], words: &str| {
        refused(&project, &[&["generate", "causal"], more].concat(), words);
    };
    let long = "q".repeat(70);
    let words = "found a prompt of 71 tokens with the one that begins a text, expected at most 64";
    generate(&["--prompt", &long], words);
    generate(&["--prompt", "", "--no-bos"], "found an empty prompt");
    generate(&["--prompt", "a", "--top-p", "0"], "`top_p` is 0; expected a number above 0");
    generate(&["--prompt", "a", "--temperature", "NaN"], "`temperature` is NaN; expected");
    // Without a prompt, the model begins a text.
    assert_eq!(
        objects(&project.seedbed(&["generate", "causal", "--prompt", "", "--json"])).len(),
        1
    );
}

// The fixture is made by `reference/fill.py`.
#[test]
fn masks_are_filled_as_by_the_pipeline_of_transformers() {
    let project = Project::new("");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/reference/fill");
    let expected: Vec<Value> =
        serde_json::from_slice(&fs::read(fixture.join("expected.json")).unwrap()).unwrap();
    let fixture = fixture.to_str().unwrap();
    for case in expected {
        let text = case["text"].as_str().unwrap();
        let said = objects(&project.seedbed(&["fill", fixture, "--text", text, "--json"]));
        let masks = case["masks"].as_array().unwrap().iter().enumerate();
        let guesses: Vec<(usize, &Value)> = masks
            .flat_map(|(mask, guesses)| {
                guesses.as_array().unwrap().iter().map(move |one| (mask, one))
            })
            .collect();
        assert_eq!(said.len(), guesses.len());
        for (found, (mask, expected)) in said.iter().zip(guesses) {
            assert_eq!(found["mask"], mask + 1);
            assert_eq!(found["token_id"], expected["token"], "{text}");
            assert_eq!(found["token"], expected["token_str"], "{text}");
            let difference =
                found["probability"].as_f64().unwrap() - expected["score"].as_f64().unwrap();
            assert!(difference.abs() < 1e-6, "{text}: {found} {expected}");
        }
    }
    let best = |text: &str| {
        let said =
            objects(&project.seedbed(&["fill", fixture, "--text", text, "--json", "--top", "1"]));
        said.iter().map(|guess| guess["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(best("The [MASK] sat."), ["The é sat."]);
    assert_eq!(best("A [MASK] on [MASK].").len(), 2);
    assert!(best("A [MASK] on [MASK].")[1].starts_with("A [MASK] on "));
    let table = project.seedbed(&["fill", fixture, "--text", "The [MASK] sat.", "--top", "2"]);
    let first = "1  0.4211  \"é\"               The é sat.\n";
    assert!(table.starts_with(first) && table.lines().count() == 2, "{table}");
    let words = "found no [MASK] in the text, expected at least one";
    refused(&project, &["fill", fixture, "--text", "The cat sat."], words);
    let long = "cat ".repeat(30) + "[MASK]";
    let words = "found a text of 33 tokens, expected at most 24";
    refused(&project, &["fill", fixture, "--text", &long], words);
}
