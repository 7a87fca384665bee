//! Bytes of every phase on tiny inputs. A phase whose bytes change must raise its version; then the digests here are
//! written anew.

use crate::lab::{Lab, good, jsonl};
use serde_json::json;

#[track_caller]
fn check(lab: &Lab, config: &str, expected: &[(&str, u32, &str)]) {
    let found = lab.run(config).unwrap().golden();
    let found: Vec<_> =
        found.iter().map(|(phase, version, digest)| (*phase, *version, digest.as_str())).collect();
    assert_eq!(found, expected);
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
    ];
    lab.write("a.jsonl", jsonl(&rows));
    lab.write("b.md", good(2) + " -- né\n");
    let config =
        r#"{"inputs":"*","unreadable":"count","exclude":{"source_id_prefixes":["test/"]}}"#;
    check(
        &lab,
        config,
        &[
            ("extract", 2, "589470ca06f3"),
            ("measure", 1, "824ecac8fcc6"),
            ("deduplicate", 1, "4924c475a922"),
            ("decide", 1, "850f9ad9585d"),
            ("write", 1, "8dd98f1289db"),
        ],
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
    assert_eq!(ran.golden()[0], ("extract", 2, "512c00ce3a27".into()));
}

#[test]
fn phases_of_examples_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let row = |at: usize| format!("{at},\"note\n{at}\",{}\n", ["x", "y"][at % 2]);
    lab.write("a.csv", format!("id,text,label\n{}", (0..40).map(row).collect::<String>()));
    let config = r#"{"examples":{"files":"a.csv","task":"sequence-classification","id":"id"}}"#;
    check(&lab, config, &[("read-examples", 2, "e16c0dc7edd2"), ("label", 1, "ceea6c72a8f9")]);
}

#[test]
fn phases_of_tokens_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let sentence = |at: usize| format!("Ada{at} I-PER\nwrote O\n\n");
    let text = (0..20).map(|at| format!("-DOCSTART- O\n\n{}{}", sentence(at), sentence(at + 1)));
    lab.write("a.conll", text.collect::<String>());
    let config = r#"{"examples":{"files":"a.conll","task":"token-classification"}}"#;
    check(&lab, config, &[("read-examples", 2, "091701ce4f67"), ("label", 1, "4f5a6f4dc71c")]);
}
