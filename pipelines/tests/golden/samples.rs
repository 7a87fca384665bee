//! The rows of the golden files, and how the files are made of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use pipelines::digest::{Digest, text_id};
use pipelines::error::Result;
use pipelines::output::{Size, TaskOutput};
use pipelines::record::{Artifact, InputRecord, PartRecord, TaskRecord};
use pipelines::shard::{ShardDocument, ShardWriter, TokenWidth};
use pipelines::store::Store;
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::{Document, Edit, Extracted, Origin, Reading, RowKey};
use pipelines::table::examples::{Example, Split};
use pipelines::table::likelihoods::Likelihood;
use pipelines::table::predictions::Prediction;
use pipelines::table::signals::{Signals, SignalsWriter};
use pipelines::table::sources::SourceRow;
use pipelines::table::tag_predictions::TagPrediction;
use pipelines::table::{Row, TableWriter};
use serde_json::json;

/// Tokens of the documents in both shards; the second document is empty.
pub const TOKENS: [&[u32]; 3] = [&[17, 2, 301, 0], &[], &[65_499, 0]];
/// A token that needs 32 bits, which ends the wide shard.
pub const WIDE_TOKEN: u32 = 70_000;
/// Columns of the table of signals.
pub const SIGNALS: [&str; 2] = ["num_words", "mean_word_chars"];

/// Record `record` of the one unit that all rows come from.
pub fn key(record: u64) -> RowKey {
    RowKey { unit: Digest::of(b"unit").row_name(), record }
}

fn origin() -> Origin {
    Origin {
        source_id: Some("doc-1".into()),
        source: Some("made up".into()),
        url: None,
        lang: Some("de".into()),
        metadata: Some(r#"{"year":1897}"#.into()),
    }
}

/// One row of every outcome of reading.
pub fn extracted() -> Vec<Extracted> {
    let text = "Grüße aus dem Wald.\n";
    let read = Reading::Read { id: text_id(text), text: text.into(), repaired_bytes: 1 };
    let excluded = Reading::Excluded { reason: "source_id starts with `test/`".into() };
    let unreadable = Reading::Unreadable { reason: "no JSON".into(), offset: 96 };
    vec![
        Extracted { key: key(0), origin: origin(), reading: read },
        Extracted { key: key(1), origin: origin(), reading: excluded },
        Extracted { key: key(2), origin: Origin::default(), reading: unreadable },
    ]
}

/// Measured values, and none for a record without text.
pub fn signals() -> Vec<Signals> {
    vec![
        Signals { key: key(0), id: Some(text_id("a b")), values: vec![Some(2.0), Some(0.1)] },
        Signals { key: key(1), id: None, values: vec![None, None] },
    ]
}

/// One row of every outcome.
pub fn decisions() -> Vec<Decision> {
    let outcomes = [
        Outcome::Kept,
        Outcome::Dropped { rule: "gopher_short_doc".into(), value: 3.0, threshold: 50.0 },
        Outcome::Duplicate { rule: "exact".into(), kept: key(0), similarity: 1.0 },
        Outcome::Excluded { reason: "source_id starts with `test/`".into() },
        Outcome::Unreadable { reason: "no JSON".into() },
    ];
    (0..)
        .zip(outcomes)
        .map(|(record, outcome)| Decision {
            key: key(record),
            id: (record < 3).then(|| text_id("a b")),
            outcome,
        })
        .collect()
}

/// A document with an edit, and one without anything. The first version of the table has no replacements.
pub fn documents(replacement: &str) -> Vec<Document> {
    let edit =
        Edit { rule: "email".into(), offset: 6, length: 14, replacement: replacement.into() };
    vec![
        Document {
            id: text_id("write me@example.org!"),
            key: key(0),
            origin: origin(),
            edits: vec![edit],
            text: "write !".into(),
        },
        Document {
            id: text_id(""),
            key: key(3),
            origin: Origin::default(),
            edits: Vec::new(),
            text: String::new(),
        },
    ]
}

/// One example a split.
pub fn examples() -> Vec<Example> {
    Split::ALL
        .into_iter()
        .zip(0..)
        .map(|(split, record)| Example {
            id: text_id("ham"),
            key: key(record),
            source_id: (record == 0).then(|| "row-0".into()),
            split,
            group: (record == 1).then(|| "patient 7".into()),
            text: "ham".into(),
            text_pair: (record == 2).then(|| "eggs".into()),
            labels: vec!["food".into()],
            tokens: Vec::new(),
            tags: Vec::new(),
        })
        .collect()
}

/// An example whose tokens carry tags, behind those with labels.
pub fn tagged_examples() -> Vec<Example> {
    let words = |words: &str| words.split(' ').map(String::from).collect();
    let tagged = Example {
        id: text_id("Ada Lovelace wrote"),
        key: key(3),
        source_id: None,
        split: Split::Train,
        group: Some("letter 9".into()),
        text: "Ada Lovelace wrote".into(),
        text_pair: None,
        labels: Vec::new(),
        tokens: words("Ada Lovelace wrote"),
        tags: words("B-PER I-PER O"),
    };
    examples().into_iter().chain([tagged]).collect()
}

/// A prediction with and one without a group.
pub fn predictions() -> Vec<Prediction> {
    let prediction = |record, group| Prediction {
        model: "tuned".into(),
        seed: 2,
        id: text_id("ham"),
        key: key(record),
        group,
        label: "food".into(),
        predicted: "drink".into(),
        probabilities: vec![0.75, 0.25],
    };
    vec![prediction(0, None), prediction(1, Some("patient 7".into()))]
}

/// A tagged row with and one without a group.
pub fn tag_predictions() -> Vec<TagPrediction> {
    let prediction = |record, group, predicted: &[&str]| TagPrediction {
        model: "tagger".into(),
        seed: 2,
        id: text_id("Ada Lovelace writes"),
        key: key(record),
        group,
        tags: ["B-PER", "I-PER", "O"].map(String::from).to_vec(),
        predicted: predicted.iter().copied().map(String::from).collect(),
    };
    vec![
        prediction(0, None, &["B-PER", "I-PER", "O"]),
        prediction(1, Some("letter 7".into()), &["O", "B-LOC", "O"]),
    ]
}

/// One model on two documents.
pub fn likelihoods() -> Vec<Likelihood> {
    [(0, 4, 21, 13.5), (1, 1, 0, 0.1)]
        .map(|(record, tokens, bytes, nats)| Likelihood {
            model: "base".into(),
            id: text_id("a b"),
            key: key(record),
            tokens,
            bytes,
            nats,
        })
        .to_vec()
}

/// The documents behind a shard of [`TOKENS`].
pub fn shard_documents() -> Vec<ShardDocument> {
    let document = |(record, tokens): (u64, &[u32])| ShardDocument {
        id: text_id("a b"),
        key: key(record),
        tokens: tokens.len() as u64,
        bytes: 3 * record,
    };
    (0..).zip(TOKENS).map(document).collect()
}

/// A file, and another with the same bytes.
pub fn sources() -> Vec<SourceRow> {
    [("data/a.jsonl", "read"), ("data/copy.jsonl", "duplicate_file")]
        .map(|(path, outcome)| SourceRow {
            path: path.into(),
            field: "inputs".into(),
            part: "bucket-01".into(),
            unit: key(0).unit,
            offset: 0,
            bytes: 128,
            outcome: outcome.into(),
        })
        .to_vec()
}

/// An artifact with every field.
pub fn artifact() -> Artifact {
    Artifact {
        kind: "token-shards".into(),
        format_version: Artifact::VERSION,
        stage: "tokenize".into(),
        config: json!({ "documents": "clean", "validation": 0.02, "vocabulary": "vocab" }),
        seed: 1337,
        numeric_profile: Some("x86-v4".into()),
        inputs: vec![InputRecord {
            field: "documents".into(),
            name: "clean".into(),
            kind: "documents".into(),
            digest: Digest::of(b"clean"),
        }],
        parts: vec![
            PartRecord {
                path: "train-00000.bin".into(),
                part: "bucket-01".into(),
                bytes: 12,
                blake3: Digest::of(b"bin"),
                rows: None,
                tokens: Some(6),
                task: Some(Digest::of(b"task")),
            },
            PartRecord {
                path: "tokenizer.json".into(),
                part: String::new(),
                bytes: 3,
                blake3: Digest::of(b"{}\n"),
                rows: Some(1),
                tokens: None,
                task: None,
            },
        ],
        counts: BTreeMap::from([("encode".into(), BTreeMap::from([("documents".into(), 3)]))]),
        details: json!({ "eos": 0, "vocab_size": 8192 }),
    }
}

/// The key of the task that writes the golden files.
pub fn task_key() -> Digest {
    Digest::of(b"task")
}

/// Writes every golden file into `dir`, under the version of its format, through a store in `scratch`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, scratch: &Path) -> Result<TaskRecord> {
    let store = Store::open(scratch)?;
    let mut out = TaskOutput::new(&store)?;
    write_outputs(&mut out)?;
    let record = out.commit(task_key())?;
    let place = |version: &str, name: &str, bytes: &[u8]| {
        let dir = dir.join(version);
        fs::create_dir_all(&dir)
            .and_then(|()| fs::write(dir.join(name), bytes))
            .expect("the directory of golden files can be written");
    };
    for (name, output) in &record.outputs {
        place("v1", name, &store.get(&output.digest)?);
    }
    let mut out = TaskOutput::new(&store)?;
    write_table(&mut out, "examples.parquet", tagged_examples())?;
    write_table(&mut out, "documents.parquet", documents("…"))?;
    for (name, output) in &out.commit(Digest::of(b"examples"))?.outputs {
        place("v2", name, &store.get(&output.digest)?);
    }
    // Apart, since the golden record lists the outputs of the first task.
    let mut out = TaskOutput::new(&store)?;
    write_table(&mut out, "tag_predictions.parquet", tag_predictions())?;
    for (name, output) in &out.commit(Digest::of(b"tags"))?.outputs {
        place("v1", name, &store.get(&output.digest)?);
    }
    let hex = task_key().hex();
    let stored = scratch.join("tasks").join(&hex[..2]).join(format!("{}.json", &hex[2..]));
    place("v2", "task.json", &fs::read(stored).expect("a finished task has a record"));
    place("v1", "artifact.json", &artifact().to_bytes());
    Ok(record)
}

fn write_outputs(out: &mut TaskOutput) -> Result<()> {
    write_table(out, "extracted.parquet", extracted())?;
    write_table(out, "decisions.parquet", decisions())?;
    write_first(out, "documents.parquet", include_bytes!("v1/documents.parquet"), 2)?;
    write_first(out, "examples.parquet", include_bytes!("v1/examples.parquet"), 3)?;
    write_table(out, "predictions.parquet", predictions())?;
    write_table(out, "likelihoods.parquet", likelihoods())?;
    write_table(out, "sources.parquet", sources())?;
    let mut table = SignalsWriter::create(out, "signals.parquet", &SIGNALS)?;
    signals().into_iter().try_for_each(|row| table.push(row))?;
    table.finish(out)?;
    write_shard(out, "narrow", TokenWidth::Narrow)?;
    write_shard(out, "wide", TokenWidth::Wide)?;
    write_sections(out)?;
    out.count("read", 5);
    out.count("dropped/gopher_short_doc", 1);
    out.details(json!({ "labels": ["drink", "food"] }));
    Ok(())
}

fn write_table<R: Row>(out: &mut TaskOutput, name: &str, rows: Vec<R>) -> Result<()> {
    let mut table = TableWriter::create(out, name)?;
    rows.into_iter().try_for_each(|row| table.push(row))?;
    table.finish(out)
}

/// The first version of a table, which is no longer written: the task records name its bytes.
fn write_first(out: &mut TaskOutput, name: &str, bytes: &[u8], rows: u64) -> Result<()> {
    let mut file = out.create(name)?;
    file.write_all(bytes).expect("a new file takes a few bytes");
    out.finish(file, Size::Rows(rows))
}

fn write_shard(out: &mut TaskOutput, name: &str, width: TokenWidth) -> Result<()> {
    let mut shard = ShardWriter::create(out, name, width)?;
    for (document, tokens) in shard_documents().iter().zip(tokens(width)) {
        shard.push(&document.id, &document.key, document.bytes, &tokens)?;
    }
    shard.finish(out)
}

/// The tokens of each document of a shard.
pub fn tokens(width: TokenWidth) -> Vec<Vec<u32>> {
    let mut documents: Vec<Vec<u32>> = TOKENS.map(<[u32]>::to_vec).to_vec();
    if width == TokenWidth::Wide {
        documents[2][1] = WIDE_TOKEN;
    }
    documents
}

/// A file in two sections, between which one is empty.
fn write_sections(out: &mut TaskOutput) -> Result<()> {
    let mut file = out.create("sections")?;
    for (section, bytes) in [("range-0", "first"), ("range-1", ""), ("range-2", "third")] {
        file.section(section);
        file.write_all(bytes.as_bytes()).expect("a new file takes a few bytes");
    }
    out.finish(file, Size::Rows(2))
}
