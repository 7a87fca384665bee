//! Labelled files to examples.

use crate::lab::Lab;
use pipelines::table::examples::{Example, Split};
use std::collections::{BTreeMap, BTreeSet};

const FILES: &str = r#"{"examples":{"files":"*.csv","task":"sequence-classification","group":"patient","id":"id"}}"#;

fn table(rows: std::ops::Range<usize>) -> String {
    let row = |at: usize| format!("{at},note {at},{},p{}\n", ["high", "low"][at % 2], at / 3);
    format!("id,text,label,patient\n{}", rows.map(row).collect::<String>())
}

fn splits(rows: &[Example]) -> BTreeMap<String, Split> {
    rows.iter().map(|row| (row.source_id.clone().unwrap(), row.split)).collect()
}

#[test]
fn a_group_is_in_one_split_and_stays_there_when_rows_come_and_go() {
    let lab = Lab::new();
    lab.write("a.csv", table(0..300));
    let rows = lab.run(FILES).unwrap().examples();
    assert_eq!(rows.len(), 300);
    let mut of_group: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in &rows {
        of_group.entry(row.group.clone()).or_default().insert(row.split);
    }
    assert!(of_group.values().all(|splits| splits.len() == 1));
    assert_eq!(rows.iter().map(|row| row.split).collect::<BTreeSet<_>>().len(), 3);
    lab.write("a.csv", table(3..300));
    lab.write("b.csv", table(300..600));
    let more = splits(&lab.run(FILES).unwrap().examples());
    assert_eq!(more.len(), 597);
    let before = splits(&rows);
    assert!(more.iter().all(|(row, split)| before.get(row).is_none_or(|before| before == split)));
}

#[test]
fn the_label_list_is_sorted_and_counted() {
    let lab = Lab::new();
    lab.write("a.csv", table(0..300));
    let ran = lab.run(FILES).unwrap();
    assert_eq!(ran.labels(), r#"{"labels":["high","low"],"task":"sequence-classification"}"#);
    let counts = ran.counts("read-examples");
    assert_eq!((counts["read"], counts["kept"]), (300, 300));
    assert_eq!(
        ["train", "validation", "test"]
            .map(|split| counts[&format!("kept/{split}")])
            .iter()
            .sum::<u64>(),
        300
    );
}

#[test]
fn texts_of_train_in_other_splits_are_counted() {
    let lab = Lab::new();
    lab.write("train.tsv", "label\ttext\nx\tone\ny\ttwo\n");
    lab.write("test.tsv", "text\tlabel\none\tx\nthree\ty\n");
    lab.write("dev.tsv", "text\tlabel\ntwo\tx\n");
    let config = r#"{"examples":{"train":"train.tsv","validation":"dev.tsv","test":["test.tsv"],
        "task":"sequence-classification"}}"#;
    let ran = lab.run(config).unwrap();
    assert_eq!(ran.counts("label")["text_in_train_too"], 2);
    let rows = ran.examples();
    let found: BTreeSet<_> =
        rows.iter().map(|row| (row.split, row.text.as_str(), row.labels[0].as_str())).collect();
    let expected = [
        (Split::Train, "one", "x"),
        (Split::Train, "two", "y"),
        (Split::Validation, "two", "x"),
        (Split::Test, "one", "x"),
        (Split::Test, "three", "y"),
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn folders_are_labels_and_equal_texts_may_have_two() {
    let lab = Lab::new();
    for (file, text) in
        [("spam/1", "buy"), ("spam/2", "same"), ("ham/1.txt", "hello"), ("ham/2", "same")]
    {
        lab.write(&format!("train/{file}"), text);
    }
    let config =
        r#"{"examples":{"train":"train/*/*","task":"sequence-classification","format":"folder"}}"#;
    let rows = lab.run(config).unwrap().examples();
    let found: BTreeSet<_> =
        rows.iter().map(|row| (row.labels[0].as_str(), row.text.as_str())).collect();
    assert_eq!(
        found,
        BTreeSet::from([("ham", "hello"), ("ham", "same"), ("spam", "buy"), ("spam", "same")])
    );
    assert_eq!(rows.iter().map(|row| &row.key).collect::<BTreeSet<_>>().len(), 4);
}

/// Two documents of two sentences in IOB1, then what `more` adds.
fn conll(more: &str) -> String {
    let documents = "-DOCSTART- -X- O\n\nAda I-PER\nand O\nBob I-PER\nCo B-PER\n\nin O\nRiga I-LOC\n\n\
         -DOCSTART- -X- O\n\nnot O\nRiga I-LOC\n\n";
    documents.replace(" -X- ", " ") + more
}

#[test]
fn tokens_with_tags_are_rows_of_entities() {
    let lab = Lab::new();
    lab.write("train.txt", conll(""));
    lab.write("test.txt", "Riga S-LOC\n");
    let config = r#"{"examples":{"train":"train.txt","test":"test.txt","format":"conll","task":"token-classification"}}"#;
    let ran = lab.run(config).unwrap();
    assert_eq!(
        ran.labels(),
        r#"{"entity_types":["LOC","PER"],"labels":["O","B-LOC","I-LOC","B-PER","I-PER"],"task":"token-classification"}"#
    );
    assert_eq!(ran.details("label")["scheme"], "mixed");
    assert_eq!(ran.details("label")["entities"]["PER"]["train"], 3);
    let counts = ran.counts("read-examples");
    let expected = [
        ("kept", 4),
        ("documents", 2),
        ("tokens/train", 8),
        ("entities/train", 5),
        ("tokens/test", 1),
    ];
    assert_eq!(expected.map(|(name, _)| (name, counts[name])), expected);
    let mut rows = ran.examples();
    rows.sort_by(|a, b| (a.split, &a.key).cmp(&(b.split, &b.key)));
    assert_eq!((rows[0].text.as_str(), rows[0].labels.len()), ("Ada and Bob Co", 0));
    assert_eq!(rows[0].tags, ["B-PER", "O", "B-PER", "B-PER"]);
    assert_eq!(rows[0].group, rows[1].group);
    assert_ne!(rows[1].group, rows[2].group);
    assert_eq!(rows[3].group, None);
}

#[test]
fn a_document_is_in_one_split() {
    let lab = Lab::new();
    let document = |at: usize| format!("-DOCSTART- O\n\nAda{at} B-PER\n\nwrote{at} O\n\n");
    lab.write("a.conll", (0..60).map(document).collect::<String>());
    let config =
        r#"{"examples":{"files":"a.conll","task":"token-classification","scheme":"iob2"}}"#;
    let rows = lab.run(config).unwrap().examples();
    let mut of_group: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in &rows {
        of_group.entry(row.group.clone().unwrap()).or_default().insert(row.split);
    }
    assert_eq!((rows.len(), of_group.len()), (120, 60));
    assert!(of_group.values().all(|splits| splits.len() == 1));
}

#[track_caller]
fn check_error(files: &[(&str, &str)], config: &str, expected: &str) {
    let lab = Lab::new();
    for (name, text) in files {
        lab.write(name, text);
    }
    let task =
        if config.contains("\"task\"") { "" } else { "\"task\":\"sequence-classification\"," };
    let config = format!(r#"{{"examples":{{{task}{config}}}}}"#);
    let error = lab.run(&config).err().expect("an error").replace(&lab.prefix(), "");
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn bad_rows_and_labels_are_errors_that_name_file_and_line() {
    let train = ("train.label", "x one\ny two\n");
    let format = r#""train":"train.label","test":"test.label","format":"label-text""#;
    check_error(
        &[train, ("test.label", "x one\nz three\n")],
        format,
        "test.label:2: the label `z` is in test and on no row of train; found in train: `x`, `y`",
    );
    check_error(
        &[train, ("test.label", "x one\n\n  two\n")],
        format,
        "test.label:3: no label in `label`, expected one in every row",
    );
    check_error(
        &[train, ("test.label", "x one\ny two\n")],
        format,
        "train.label (`examples.train`) and test.label (`examples.test`) hold the same bytes",
    );
    check_error(
        &[("a.csv", "text,lable\na,x\n")],
        r#""files":"a.csv""#,
        "a.csv: no column `label`; found `text`, `lable`",
    );
    check_error(&[("a.dat", "")], r#""files":"a.dat""#, "the end of its name tells no format");
}

#[test]
fn bad_tokens_and_tags_are_errors_that_name_file_and_line() {
    let tokens = r#""train":"train.conll","test":"test.conll","task":"token-classification""#;
    let train = ("train.conll", "Ada I-PER\n");
    check_error(
        &[train, ("test.conll", "in O\n\nRiga I-LOC\n")],
        tokens,
        "test.conll:3: the label `LOC` is in test and on no row of train; found in train: `PER`",
    );
    check_error(
        &[("train.conll", "in O\n"), ("test.conll", "on O\n")],
        tokens,
        "no entity is in train; found 2 rows in all, expected at least one entity in train",
    );
    check_error(
        &[train, ("test.conll", "in O\nRiga NNP O\n")],
        tokens,
        "test.conll:2: 3 columns, expected 2 as on the lines before",
    );
    check_error(
        &[("a.csv", "tokens,tags\n")],
        r#""files":"a.csv","task":"token-classification""#,
        "a.csv is read as `csv`, which does not hold what `token-classification` learns from; expected tokens with tags",
    );
    check_error(
        &[train],
        r#""files":"train.conll""#,
        "train.conll is read as `conll`, which does not hold what `sequence-classification` learns from; expected a text",
    );
}

#[test]
fn given_splits_draw_nothing() {
    let config: corpus_prep::Config =
        serde_json::from_str(r#"{"examples":{"train":"a","task":"sequence-classification"}}"#)
            .unwrap();
    use pipelines::stage::Stage;
    let keyed = |seed| config.phases(seed).iter().map(|phase| phase.config()).collect::<Vec<_>>();
    assert_eq!(keyed(1), keyed(2));
}
