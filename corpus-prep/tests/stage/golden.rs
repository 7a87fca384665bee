//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use crate::lab::{Lab, good, jsonl};
use corpus_prep::Config;
use laboratory::keys;
use serde_json::json;

const CORPUS: &str =
    r#"{"inputs":"*","unreadable":"count","exclude":{"source_id_prefixes":["test/"]}}"#;

const EXAMPLES: &str =
    r#"{"examples":{"files":"a.csv","task":"sequence-classification","id":"id"}}"#;

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

#[test]
fn phases_have_the_keys_of_their_version() {
    let corpus = [
        "extract 3 1cc341f0a46e",
        "measure 1 2c3abafb3781",
        "deduplicate 1 4fcbfcffe605",
        "decide 1 5acbd6d8e82c",
        "write 1 5c35b5d768e5",
    ];
    assert_eq!(keys(&config(CORPUS)), corpus);
    assert_eq!(keys(&config(EXAMPLES)), ["read-examples 3 e6d8e46b1fe7", "label 1 3969b6bf7216"]);
}

#[test]
fn phases_of_a_corpus_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let rows = [
        json!({"id":1,"text":good(1),"url":"u","more":{"b":1,"a":2}}),
        json!({"text":"short"}),
        json!({"id":"x","text":good(1)}),
        json!({"id":"test/1","text":"gone"}),
        json!({"id":"y"}),
        json!({"id":"z","text":good(1)}),
    ];
    lab.write("a.jsonl", jsonl(&rows));
    lab.write("b.md", good(2) + " -- né\n");
    assert_eq!(
        lab.run(CORPUS).unwrap().golden(),
        [
            "extract 325d41761f89",
            "measure 1617bc7d33d3",
            "deduplicate 2ef3b669d36e",
            "decide 00c2c0cde8de",
            "write f2228652f10b",
        ]
    );
}

#[test]
fn rows_of_csv_and_pages_are_the_bytes_of_their_version() {
    let lab = Lab::new();
    lab.write("a.csv", "id,text,n\n1,\"a\nb\",2\n,c,\n4\n");
    let page =
        "<title>T</title><body><nav>Menu</nav><article><h1>Head</h1><p>PARAGRAPH</p></article>";
    lab.write("b.html", page.replace("PARAGRAPH", &good(1)));
    let ran = lab.run(r#"{"inputs":"*","unreadable":"count"}"#).unwrap();
    assert_eq!(ran.golden()[0], "extract 512c00ce3a27");
}

#[test]
fn phases_of_examples_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let row = |at: usize| format!("{at},\"note\n{at}\",{}\n", ["x", "y"][at % 2]);
    lab.write("a.csv", format!("id,text,label\n{}", (0..40).map(row).collect::<String>()));
    let golden = lab.run(EXAMPLES).unwrap().golden();
    assert_eq!(golden, ["read-examples 16b38c123ea2", "label ceea6c72a8f9"]);
}

#[test]
fn phases_of_tokens_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let sentence = |at: usize| format!("Ada{at} I-PER\nwrote O\n\n");
    let text = (0..20).map(|at| format!("-DOCSTART- O\n\n{}{}", sentence(at), sentence(at + 1)));
    lab.write("a.conll", text.collect::<String>());
    let config = r#"{"examples":{"files":"a.conll","task":"token-classification"}}"#;
    let golden = lab.run(config).unwrap().golden();
    assert_eq!(golden, ["read-examples 369a57a4c197", "label 4b2494356ca7"]);
}
