//! Token classifiers learn what is in their rows, and depend on nothing else.

use laboratory::{Fate, check_close, keys, short};
use model::{Checkpoint, Head, NumericProfile};
use pipelines::table::examples::Split;
use serde_json::{Value, json};

use crate::lab::{Base, Lab, TestRow, config, tagged};

/// Fields of a config of this task.
fn fields(more: &Value) -> Value {
    let mut fields = json!({ "task": "token-classification", "epochs": 12, "batch_size": 8 });
    let (Some(known), Some(more)) = (fields.as_object_mut(), more.as_object()) else {
        unreachable!()
    };
    known.extend(more.clone());
    fields
}

fn finished(base: Base, more: &Value) -> Lab {
    let lab = Lab::tagging(base);
    lab.run(fields(more)).unwrap();
    lab
}

#[test]
fn the_phase_has_the_key_of_its_version() {
    let key = |more: Value| keys(&config(fields(&more)));
    let golden = key(json!({}));
    assert_eq!(golden, ["train 4 c0745991dfec"]);
    assert_eq!(key(json!({ "labelled_tokens": "first", "too_long": "windows" })), golden);
    assert_ne!(key(json!({ "labelled_tokens": "all" })), golden);
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn the_phase_writes_the_bytes_of_its_version() {
    let found = NumericProfile::resolve();
    if found != NumericProfile::X86V4 {
        eprintln!("skipped: the digests are those of the profile x86-v4, not {found}");
        return;
    }
    let lab = finished(Base::TaggingBert, &json!({ "seeds": [1], "epochs": 2 }));
    assert_eq!(
        short(&lab.digests()),
        [
            "seed-1/config.json c3fc6e18993f",
            "seed-1/metrics.jsonl e53303a4264f",
            "seed-1/model.safetensors 03833289c682",
            "seed-1/tokenizer.json d516fcb03b9c",
            "seed-1/tokenizer_config.json 01364390e006",
        ]
    );
}

/// A wrong rate, another order of the rows or a lost step show far above this.
const TOLERANCE: f64 = 1e-4;

#[test]
fn every_machine_measures_the_same_but_for_rounding() {
    let lab = finished(Base::TaggingBert, &json!({ "epochs": 2 }));
    let losses = |name| [1, 2].map(|seed| lab.last(seed)[name].as_f64().unwrap());
    let check = |name, expected: [f64; 2]| check_close(name, &losses(name), &expected, TOLERANCE);
    check("train_loss", [0.5322835224576281, 0.5602479278819179]);
    check("validation_loss", [0.40836597496110766, 0.43186503746972865]);
}

#[test]
fn a_tagger_learns_and_loads_whatever_it_starts_from() {
    for (base, class) in [
        (Base::TaggingBert, "BertForTokenClassification"),
        (Base::TaggingLlama, "LlamaForTokenClassification"),
        (Base::TaggingGpt2, "GPT2ForTokenClassification"),
    ] {
        for more in [json!({}), json!({ "init": "scratch", "labelled_tokens": "all" })] {
            let lab = finished(base, &more);
            for seed in [1, 2] {
                let last = lab.last(seed);
                assert_eq!(last["validation_rows"], 20);
                for score in ["validation_f1", "validation_precision", "validation_recall"] {
                    assert_eq!(last[score], 1.0, "{class} {more}: {last}");
                }
                let checkpoint = Checkpoint::read(&lab.dir().join(format!("seed-{seed}"))).unwrap();
                let labels = ["O", "B-LOC", "B-PER", "I-PER"].map(String::from).to_vec();
                assert_eq!(checkpoint.config.head(), &Head::TokenClassification { labels });
                assert_eq!(checkpoint.config.architecture(), class);
            }
        }
    }
}

#[test]
fn shuffled_tags_cannot_be_learnt() {
    let loss = |more| finished(Base::TaggingBert, &more).last(1)["train_loss"].as_f64().unwrap();
    let fair = loss(json!({ "seeds": [1], "epochs": 6 }));
    let shuffled = loss(json!({ "seeds": [1], "epochs": 6, "shuffle_labels": true }));
    assert!(fair < 0.3 && shuffled > 0.9, "{fair} {shuffled}");
}

#[test]
fn threads_do_not_change_a_byte() {
    let more = json!({ "epochs": 2 });
    let expected = finished(Base::TaggingLlama, &more).digests();
    for threads in [1, 2, 4] {
        let lab = Lab::tagging(Base::TaggingLlama);
        lab.run_with_threads(fields(&more), threads);
        assert_eq!(lab.digests(), expected, "{threads} threads");
    }
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_a_calm_one() {
    // Two epochs, each of eight steps and a validation.
    let more = json!({ "epochs": 2, "seeds": [1] });
    let calm = finished(Base::TaggingBert, &more).digests();
    for (fate, from) in [
        (Fate::Cancelled(3), 3),
        (Fate::Cancelled(8), 8),
        (Fate::Cancelled(11), 11),
        (Fate::Killed(5), 0),
        (Fate::Killed(12), 8),
    ] {
        let lab = Lab::tagging(Base::TaggingBert);
        lab.interrupt(fields(&more), fate);
        let advances = lab.run(fields(&more)).unwrap().advances();
        assert_eq!(advances.iter().sum::<u64>(), 16, "{fate:?}");
        assert_eq!(advances[0], if from > 0 { from } else { 1 }, "{fate:?}");
        assert_eq!(lab.digests(), calm, "{fate:?}");
    }
}

/// What a run of one epoch counts, with a row more in train.
fn counts(more: &Value, row: TestRow) -> String {
    let mut lab = Lab::tagging(Base::TaggingBert);
    lab.rows.push(row);
    let one = json!({ "epochs": 1, "seeds": [1] });
    let mut fields = fields(more);
    fields.as_object_mut().unwrap().extend(one.as_object().unwrap().clone());
    lab.run(fields).unwrap();
    serde_json::to_string(&lab.artifact().counts).unwrap()
}

#[test]
fn a_long_sentence_is_read_in_windows_or_cut() {
    // 30 tokens; a window has 22 of them, and the next begins 17 later.
    let long = || tagged(Split::Train, &"Ada/B-PER met/O the/O ".repeat(10));
    let windows = counts(&json!({}), long());
    assert!(
        windows.contains(r#""train_rows":61,"train_windows":62,"truncated_rows":0"#),
        "{windows}"
    );
    let cut = counts(&json!({ "too_long": "truncate" }), long());
    assert!(cut.contains(r#""train_rows":61,"train_windows":61,"truncated_rows":1"#), "{cut}");
    let fits = tagged(Split::Train, &"Ada/B-PER met/O ".repeat(11));
    let whole = counts(&json!({ "too_long": "refuse" }), fits);
    assert!(whole.contains(r#""train_windows":61"#), "{whole}");
}

#[test]
fn a_word_without_tokens_and_a_sentence_of_them_are_outside() {
    let row = tagged(Split::Validation, "/B-PER");
    let found = counts(&json!({}), row);
    assert!(found.contains(r#""validation_rows":21,"validation_windows":20"#), "{found}");
    let row = tagged(Split::Validation, "Ada/B-PER /I-PER met/O");
    let found = counts(&json!({}), row);
    assert!(found.contains(r#""validation_rows":21,"validation_windows":21"#), "{found}");
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<TestRow>), more: &Value, expected: &str) {
    let mut lab = Lab::tagging(Base::TaggingBert);
    change(&mut lab.rows);
    let error = lab.run(fields(more)).unwrap_err();
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn rows_that_do_not_fit_are_named() {
    refused(
        |rows| rows.push(tagged(Split::Validation, "Ada/B-ORG")),
        &json!({}),
        "the tag `B-ORG` of row `row-80` is in validation and on no token of train; found in train: `O`, `B-LOC`, `B-PER`, `I-PER`",
    );
    refused(
        |rows| _ = rows[3].tags.pop(),
        &json!({}),
        "row `row-3` has 4 tokens and 3 tags, expected at least one token and a tag for each",
    );
    refused(
        |rows| rows.push(tagged(Split::Train, "")),
        &json!({}),
        "row `row-80` has 0 tokens and 0 tags, expected at least one token",
    );
    refused(
        |rows| rows.push(tagged(Split::Train, &"Ada/B-PER ".repeat(23))),
        &json!({ "too_long": "refuse" }),
        "row `row-80` has 25 tokens with special ones, expected at most 24; `too_long = \"windows\"` would read it",
    );
    refused(
        |rows| rows.retain(|row| row.split != Split::Train),
        &json!({}),
        "the train split has no tag of an entity",
    );
}

#[test]
fn a_config_that_does_not_fit_is_refused() {
    refused(
        |_| {},
        &json!({ "max_length": 2 }),
        "`max_length` is 2 tokens, expected at least 3: the special ones and one of the text",
    );
    refused(
        |_| {},
        &json!({ "task": "sequence-classification" }),
        "row `row-0` has 0 labels, expected one",
    );
}
