//! The stage as a whole, on tiny corpora: from documents to a vocabulary, and to token shards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod lab;

use std::collections::BTreeSet;
use std::fs;

use codec::Codec;
use laboratory::Laboratory;
use pipelines::digest::text_id;

use lab::{parts, run, run_on, shard};

#[test]
fn every_document_is_in_one_shard_with_its_tokens() {
    let lab = Laboratory::default();
    let parts = parts();
    run(&lab, &parts, "validation = 0.3").unwrap();
    let shards = lab.path("shards/token-shards");
    let read = |file: &str| fs::read(shards.join(file)).unwrap();
    let codec = Codec::load(&read("tokenizer.json"), Some(&read("tokenizer_config.json"))).unwrap();
    let eos = codec.eos().unwrap();
    let mut split_of = [BTreeSet::new(), BTreeSet::new()];
    for (number, texts) in parts.iter().enumerate() {
        let mut found = Vec::new();
        for (split, ids) in ["train", "validation"].iter().zip(&mut split_of) {
            let documents = shard(&shards, &format!("{split}-{number:05}"));
            assert!(documents.iter().map(|(row, _)| &row.key).is_sorted(), "input order is kept");
            ids.extend(documents.iter().map(|(row, _)| row.id.clone()));
            found.extend(documents);
        }
        found.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        assert_eq!(found.len(), texts.len());
        for ((row, tokens), text) in found.iter().zip(texts) {
            assert_eq!((&row.id, row.bytes), (&text_id(text), text.len() as u64));
            assert_eq!(row.tokens, tokens.len() as u64);
            let (last, body) = tokens.split_last().unwrap();
            assert_eq!(*last, eos);
            assert!(!body.contains(&eos), "{text:?}");
            assert_eq!(codec.decode(body).unwrap(), *text);
        }
    }
    let [train, validation] = split_of;
    assert!(train.is_disjoint(&validation), "copies stay together");
    assert!(!train.is_empty() && !validation.is_empty());
}

#[test]
fn counts_add_up() {
    let lab = Laboratory::default();
    run(&lab, &parts(), "validation = 0.3").unwrap();
    let shards = lab.artifact("shards/token-shards");
    let count = |name: &str| shards.counts["encode"][name];
    assert_eq!(count("documents"), 60);
    assert_eq!(count("train_documents") + count("validation_documents"), 60);
    let bytes: usize = parts().concat().iter().map(String::len).sum();
    assert_eq!(count("train_bytes") + count("validation_bytes"), bytes as u64);
    let tokens: u64 = shards.parts.iter().filter_map(|part| part.tokens).sum();
    assert_eq!(count("train_tokens") + count("validation_tokens"), tokens);
    let vocab = lab.artifact("vocab/vocabulary");
    assert_eq!(shards.details["vocab_size"], vocab.details["vocab_size"]);
    assert_eq!(shards.details["engine"], "byte-level-bpe");
    assert_eq!(shards.config["validation"], 0.3);
}

#[test]
fn a_changed_part_is_counted_and_encoded_alone() {
    let lab = Laboratory::default();
    let mut parts = parts();
    let first = run(&lab, &parts, "").unwrap().summary;
    assert_eq!(
        (first.ran["vocab/count"], first.ran["vocab/merge"], first.ran["shards/encode"]),
        (2, 1, 2)
    );
    assert!(run(&lab, &parts, "").unwrap().summary.ran.is_empty());
    // The same pre-tokens in another order: counts and vocabulary stay, and one shard changes.
    parts[1].swap(1, 3);
    let again = run(&lab, &parts, "").unwrap().summary;
    assert_eq!(again.ran["vocab/count"], 1);
    assert_eq!(again.ran.get("vocab/merge"), None);
    assert_eq!(again.ran["shards/encode"], 1);
    let fresh = Laboratory::default();
    assert_eq!(run(&fresh, &parts, "").unwrap().summary.artifacts, again.artifacts);
}

#[test]
fn another_split_leaves_the_vocabulary() {
    let lab = Laboratory::default();
    run(&lab, &parts(), "validation = 0.1").unwrap();
    for change in ["validation = 0.2", "validation = 0.1\nseed = 8"] {
        let ran = run(&lab, &parts(), change).unwrap().summary.ran;
        assert_eq!(ran.into_iter().collect::<Vec<_>>(), [("shards/encode".to_owned(), 2)]);
    }
}

#[test]
fn one_thread_and_many_write_the_same_bytes() {
    let artifacts = [1, 4].map(|threads| {
        let lab = Laboratory::default();
        run_on(threads, &lab, &parts(), "validation = 0.3").unwrap().summary.artifacts
    });
    assert_eq!(artifacts[0], artifacts[1]);
}

#[test]
fn nothing_held_out_is_an_empty_shard() {
    let lab = Laboratory::default();
    run(&lab, &parts(), "validation = 0.0").unwrap();
    assert_eq!(shard(&lab.path("shards/token-shards"), "validation-00001"), []);
}

#[track_caller]
fn check_error(parts: &[Vec<String>], fields: &str, expected: &str) {
    let lab = Laboratory::default();
    let error = run(&lab, parts, fields).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(!lab.path("shards").exists(), "nothing is published");
}

#[test]
fn what_cannot_be_done_is_said() {
    check_error(
        &[vec![String::new()]],
        "",
        "the documents hold no text to learn a vocabulary from",
    );
    check_error(
        &parts(),
        "validation = 1.5",
        "`validation` is 1.5; expected at least 0 and below 1",
    );
    check_error(&parts(), "validaton = 0.5", "unknown field `validaton`");
    check_error(
        &parts(),
        "train = { documents = \"clean\", size = 300 }",
        "`train` excludes `documents` and `vocabulary`",
    );
}
