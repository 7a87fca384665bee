//! Raw text to documents.

use crate::lab::{Lab, good, gzip, jsonl};
use pipelines::table::decisions::Outcome;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

const COUNT: &str = r#"{"inputs":"*.*","unreadable":"count","invalid_utf8":"repair",
    "exclude":{"source_id_prefixes":["test/"]}}"#;

/// One record of every outcome.
fn every_outcome(lab: &Lab) {
    let rows = [
        json!({"id":"a","text":good(1),"lang":"en","extra":[1,{"b":2}]}),
        json!({"id":"b","text":"too short"}),
        json!({"id":"test/c","text":"a secret"}),
        json!({"id":"d","body":"no text"}),
        json!({"id":"e","text":good(1)}),
        json!({"id":"f","text":""}),
    ];
    lab.write("a.jsonl", jsonl(&rows));
    lab.write("b.txt", good(2));
    let cut = gzip(&jsonl(&[json!({"text":good(3)})]));
    lab.write("c.jsonl.gz", &cut[..cut.len() - 9]);
    lab.write("d.md", [good(4).as_bytes(), b"caf\xe9"].concat());
}

#[test]
fn every_record_has_one_outcome() {
    let lab = Lab::new();
    every_outcome(&lab);
    let ran = lab.run(COUNT).unwrap();
    let named =
        |name: &str| ran.decisions().iter().filter(|row| row.outcome.name() == name).count();
    let outcomes = ["kept", "dropped", "duplicate", "excluded", "unreadable"].map(named);
    assert_eq!(outcomes, [3, 2, 1, 1, 2]);
    assert_eq!(ran.extracted().len(), 9);
    assert_eq!(ran.documents().len(), 3);
    for phase in ["extract", "measure", "decide", "write"] {
        let counts = ran.counts(phase);
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("read"), 9, "{phase}");
        assert_eq!(
            count("read"),
            count("kept") + count("dropped") + count("unreadable"),
            "{phase}"
        );
    }
    let decide = ran.counts("decide");
    assert_eq!(decide["dropped/short_doc"], 2);
    assert_eq!((decide["dropped/duplicate"], decide["dropped/excluded"]), (1, 1));
    let extract = ran.counts("extract");
    assert_eq!((extract["repaired_documents"], extract["repaired_bytes"]), (1, 1));
    let deduplicate = ran.counts("deduplicate");
    assert_eq!((deduplicate["read"], deduplicate["kept"], deduplicate["dropped"]), (6, 5, 1));
}

#[test]
fn a_dropped_record_says_rule_value_and_threshold() {
    let lab = Lab::new();
    every_outcome(&lab);
    let ran = lab.run(COUNT).unwrap();
    let dropped: Vec<_> = ran
        .decisions()
        .into_iter()
        .map(|row| row.outcome)
        .filter(|outcome| outcome.name() == "dropped")
        .collect();
    let short = |value| Outcome::Dropped { rule: "short_doc".into(), value, threshold: 50.0 };
    assert_eq!(dropped, [short(2.0), short(0.0)]);
}

#[test]
fn a_duplicate_names_a_record_that_is_kept() {
    let lab = Lab::new();
    every_outcome(&lab);
    let ran = lab.run(COUNT).unwrap();
    let decisions = ran.decisions();
    let duplicate = decisions.iter().find(|row| row.outcome.name() == "duplicate").unwrap();
    let Outcome::Duplicate { kept, rule, similarity } = &duplicate.outcome else { unreachable!() };
    assert_eq!((rule.as_str(), *similarity), ("exact", 1.0));
    let kept = decisions.iter().find(|row| row.key == *kept).unwrap();
    assert_eq!(kept.outcome, Outcome::Kept);
    assert_eq!(kept.id, duplicate.id);
    assert!(kept.key < duplicate.key);
}

#[test]
fn records_without_text_keep_their_reason_and_nothing_of_their_text() {
    let lab = Lab::new();
    every_outcome(&lab);
    let ran = lab.run(COUNT).unwrap();
    let reasons: Vec<_> = ran
        .decisions()
        .into_iter()
        .filter_map(|row| match row.outcome {
            Outcome::Excluded { reason } | Outcome::Unreadable { reason } => Some(reason),
            _ => None,
        })
        .collect();
    assert!(reasons.contains(&"source_id starts with `test/`".into()), "{reasons:?}");
    assert!(reasons.contains(&"no field `text`; found `body`, `id`".into()), "{reasons:?}");
    let cut = reasons.iter().find(|reason| reason.starts_with("compressed byte")).unwrap();
    assert!(cut.contains("found the end of the file, expected the rest of a gzip member"), "{cut}");
    let rows = ran.extracted();
    assert!(rows.iter().all(|row| !row.text().unwrap_or_default().contains("secret")));
    assert_eq!(rows.iter().filter(|row| row.text().is_none()).count(), 3);
}

#[test]
fn a_document_keeps_what_its_record_said_of_itself() {
    let lab = Lab::new();
    every_outcome(&lab);
    let documents = lab.run(COUNT).unwrap().documents();
    let document =
        documents.iter().find(|row| row.origin.source_id.as_deref() == Some("a")).unwrap();
    assert_eq!(document.text, good(1));
    assert_eq!(document.id, pipelines::digest::text_id(&good(1)));
    assert_eq!(document.origin.lang.as_deref(), Some("en"));
    assert_eq!(document.origin.metadata.as_deref(), Some(r#"{"extra":[1,{"b":2}]}"#));
    let repaired = documents.iter().find(|row| row.text.contains("caf")).unwrap();
    assert!(repaired.text.ends_with("caf\u{fffd}"));
}

#[test]
fn many_members_and_frames_are_read_like_one() {
    let rows: Vec<_> = (0..4).map(|at| json!({"text":good(at)})).collect();
    let (head, tail) = (jsonl(&rows[..2]), jsonl(&rows[2..]));
    let texts = |name: &str, bytes: Vec<u8>| {
        let lab = Lab::new();
        lab.write(name, bytes);
        let documents = lab.run(r#"{"inputs":"*.*"}"#).unwrap().documents();
        documents.into_iter().map(|row| row.text).collect::<Vec<_>>()
    };
    let plain = texts("a.jsonl", jsonl(&rows));
    assert_eq!(plain.len(), 4);
    assert_eq!(texts("a.jsonl.gz", [gzip(&head), gzip(&tail)].concat()), plain);
    let frames = [head, tail].map(|bytes| zstd::encode_all(&bytes[..], 3).unwrap());
    assert_eq!(texts("a.jsonl.zst", frames.concat()), plain);
}

#[test]
fn a_changed_bound_runs_decide_and_write_alone() {
    let lab = Lab::new();
    every_outcome(&lab);
    lab.run(COUNT).unwrap();
    let config = COUNT.replace(
        r#""inputs""#,
        r#""rules":{"gopher_quality":{"short_doc":2,"below_avg":"off","enough_stop_words":0}},"inputs""#,
    );
    let ran = lab.run(&config).unwrap();
    let started = ran.started();
    let phases: std::collections::BTreeSet<_> =
        started.iter().map(|task| task.split_once('/').unwrap().0).collect();
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), ["decide", "write"]);
    let again = lab.run(&config).unwrap();
    assert_eq!(again.started(), [""; 0]);
    assert_eq!(again.digests(), ran.digests());
}

#[test]
fn without_filters_only_duplicates_are_dropped() {
    let lab = Lab::new();
    every_outcome(&lab);
    let ran = lab.run(&COUNT.replace(r#""inputs""#, r#""filters":"none","inputs""#)).unwrap();
    assert_eq!((ran.counts("decide")["kept"], ran.counts("decide")["dropped"]), (5, 2));
}

#[test]
fn threads_parts_and_ranges_do_not_change_documents() {
    let lab = Lab::new();
    every_outcome(&lab);
    for at in 10..40 {
        lab.write(&format!("more{at}.txt"), good(at % 17));
    }
    let expected = lab.run(COUNT).unwrap();
    let other = lab.fresh().with_threads(1).run(COUNT).unwrap();
    assert_eq!(other.digests(), expected.digests());
    let rows = |config: &str| {
        let mut rows = lab.fresh().run(config).unwrap().decisions();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    };
    assert_eq!(rows(&COUNT.replace(r#""inputs""#, r#""ranges":1,"inputs""#)), rows(COUNT));
    assert_eq!(rows(&COUNT.replace(r#""inputs""#, r#""part_size":"1 kB","inputs""#)), rows(COUNT));
}

#[test]
fn an_edit_is_measured_once_and_judged_as_often_as_bounds_change() {
    let lab = Lab::new();
    let text =
        "It was cold when we came.\nMenu\nThe boat could not be seen. [1]\r\nIt was there.\n";
    lab.write("a.txt", text);
    lab.write("b.txt", "Lorem ipsum is all that we have.\nAnd it is not enough for us.");
    let config = |bounds: &str, lines: &str| {
        format!(
            r#"{{"inputs":"*","filters":"c4","rules":{{"c4":{{{bounds}}}}},"c4_lines":{{{lines}}}}}"#
        )
    };
    let ran = lab.run(&config(r#""too_few_sentences":2"#, "")).unwrap();
    let documents = ran.documents();
    assert_eq!(documents.len(), 1);
    let kept = &documents[0];
    // Behind its citation a line ends in white space, and so in no mark.
    assert_eq!(kept.text, "It was cold when we came.\nIt was there.");
    let edits: Vec<_> =
        kept.edits.iter().map(|it| (it.rule.as_str(), it.offset, it.length)).collect();
    assert_eq!(edits, [("no_terminal_punc", 26, 38), ("strip", 77, 1)]);
    assert_eq!(ran.counts("decide")["dropped/lorem_ipsum"], 1);
    assert_eq!(ran.counts("decide")["fails/lorem_ipsum"], 1);
    assert_eq!(ran.counts("remeasure")["read"], 2);
    let one = lab.fresh().with_threads(1).run(&config(r#""too_few_sentences":2"#, "")).unwrap();
    assert_eq!(one.digests(), ran.digests());
    let phases = |bounds: &str, lines: &str| -> BTreeSet<String> {
        let started = lab.run(&config(bounds, lines)).unwrap().started();
        started.iter().map(|task| task.split('/').next().unwrap().to_owned()).collect()
    };
    let strict = phases(r#""too_few_sentences":3"#, "");
    assert_eq!(strict, ["decide", "write"].map(String::from).into());
    let lines = phases(r#""too_few_sentences":3"#, r#""end_marks":false"#);
    assert_eq!(lines, ["decide", "remeasure", "write"].map(String::from).into());
}

#[track_caller]
fn check_error(name: &str, bytes: impl AsRef<[u8]>, expected: &str) {
    let lab = Lab::new();
    lab.write(name, bytes);
    let error = lab.run(r#"{"inputs":"*.*"}"#).err().expect("an error").replace(&lab.prefix(), "");
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn bad_input_is_an_error_that_names_file_place_found_and_expected() {
    check_error(
        "a.jsonl",
        "{\"text\":\"a\"}\n\n{\"body\":\"a\"}\n",
        "a.jsonl:3: no field `text`; found `body`",
    );
    check_error(
        "a.jsonl",
        "{\"text\":\"a\"}\n{\"text\":\n",
        "a.jsonl:2: found broken JSON at column 8 (EOF while parsing a value), expected one JSON object a line",
    );
    check_error(
        "a.jsonl",
        b"{\"text\":\"a\"}\n{\"text\":\"caf\xe9\"}\n",
        "a.jsonl:2: byte 25 of the file is 0xe9, expected UTF-8",
    );
    check_error(
        "a.txt",
        b"\xef\xbb\xbfcaf\xe9",
        "a.txt: byte 6 of the file is 0xe9, expected UTF-8",
    );
    let whole = gzip(b"{\"text\":\"a\"}\n");
    check_error(
        "a.jsonl.gz",
        &whole[..whole.len() - 1],
        &format!(
            "a.jsonl.gz:2: compressed byte {}: found the end of the file, expected the rest of a gzip member",
            whole.len() - 1
        ),
    );
    let mut corrupt = gzip(b"{\"text\":\"a\"}\n{\"text\": broken\n");
    let checksum = corrupt.len() - 8;
    corrupt[checksum] ^= 1;
    check_error("a.jsonl.gz", corrupt, "expected a sound gzip member");
    check_error("a.docx", "x", "the end of its name tells no format; expected one of .jsonl");
}

#[test]
fn no_record_of_a_corrupt_member_is_kept_where_broken_streams_are_counted() {
    let lab = Lab::new();
    let member = |text: &str| gzip(&jsonl(&[json!({ "text": text })]));
    let mut second = member("garbage");
    let checksum = second.len() - 8;
    second[checksum] ^= 1;
    let first = member("sound");
    lab.write("a.jsonl.gz", [first.clone(), second].concat());
    let ran = lab.run(r#"{"inputs":"*.gz","unreadable":"count","filters":"none"}"#).unwrap();
    let counts = ran.counts("extract");
    assert_eq!((counts["read"], counts["kept"], counts["unreadable"]), (2, 1, 1));
    assert_eq!(ran.extracted()[0].text(), Some("sound"));
    let reason = format!("a sound gzip member from compressed byte {} on", first.len());
    let decisions = ran.decisions();
    let found = format!("{decisions:?}");
    assert!(found.contains(&reason), "{found}");
}

#[test]
fn equal_bytes_that_would_be_read_in_two_ways_are_refused() {
    let lab = Lab::new();
    lab.write("a.jsonl", "{\"text\":\"a\"}\n");
    lab.write("b.txt", "{\"text\":\"a\"}\n");
    let error = lab.run(r#"{"inputs":"*.*"}"#).err().expect("an error");
    assert!(error.contains("hold the same bytes, but are read as"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_corpus_is_accounted_for_in_any_order(
        rows in prop::collection::vec(prop_oneof![
            (0usize..6).prop_map(|at| json!({"text":good(at)})),
            "[a ]{0,9}".prop_map(|text| json!({"text":text})),
            Just(json!({"id":"test/x","text":"gone"})),
            Just(json!(null)),
        ], 1..24),
    ) {
        let lab = Lab::new();
        for (at, file) in rows.chunks(3).enumerate() {
            lab.write(&format!("{at}.jsonl"), jsonl(file));
        }
        let ran = lab.run(COUNT).unwrap();
        let counts = ran.counts("decide");
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        prop_assert_eq!(count("read"), count("kept") + count("dropped") + count("unreadable"));
        let texts: std::collections::BTreeSet<_> = ran.documents().into_iter().map(|row| row.text).collect();
        prop_assert_eq!(texts.len() as u64, count("kept"));

        let reversed = lab.fresh();
        for (at, file) in rows.chunks(3).rev().enumerate() {
            reversed.write(&format!("{at}.jsonl"), jsonl(file));
        }
        prop_assert_eq!(reversed.run(COUNT).unwrap().digests(), ran.digests());
    }
}
