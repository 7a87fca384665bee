//! What does not fit is refused by name.

use crate::lab::{Lab, TestRow, row};
use pipelines::table::examples::Split;
use serde_json::{Value, json};

#[track_caller]
fn check(change: impl FnOnce(&mut Vec<TestRow>), fields: Value, expected: &str) {
    let mut lab = Lab::new();
    change(&mut lab.rows);
    let error = lab.run(fields).unwrap_err();
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn rows_that_do_not_fit_are_named() {
    check(
        |rows| rows.push(row(Split::Validation, "a", "neutral")),
        json!({}),
        "the label `neutral` of row `row-80` is in validation and on no row of train; found in train: `negative`, `positive`",
    );
    check(
        |rows| rows.push(row(Split::Train, &"x".repeat(24), "positive")),
        json!({}),
        "row `row-80` has 25 tokens with special ones, expected at most 24; `too_long = \"truncate\"` would cut it off",
    );
    check(
        |rows| rows[3].labels.push("other".into()),
        json!({}),
        "row `row-3` has 2 labels, expected one",
    );
    check(
        |rows| rows[3].text_pair = Some("b".into()),
        json!({}),
        "row `row-3` has a second text, expected one text a row",
    );
    check(
        |rows| rows.retain(|row| row.labels[0] == "negative"),
        json!({}),
        "the train split has 1 labels (`negative`), expected at least two",
    );
    check(|rows| rows.clear(), json!({}), "the train split has 0 labels (), expected at least two");
}

#[test]
fn a_config_that_does_not_fit_the_model_is_refused() {
    check(
        |_| {},
        json!({ "max_length": 25 }),
        "`max_length` is 25 tokens, expected at most 24, the model's context (max_position_embeddings)",
    );
    check(|_| {}, json!({ "numeric_profile": "cuda" }), "numeric profile `cuda` was asked for");
    check(|_| {}, json!({ "peak_lr": 1e30 }), "expected a finite number");
    check(|_| {}, json!({ "model": "labels" }), "checkpoint");
}

#[test]
fn a_text_as_long_as_the_context_fits_and_longer_ones_may_be_cut() {
    let mut lab = Lab::new();
    lab.rows.push(row(Split::Train, &"x".repeat(23), "positive"));
    lab.run(json!({ "epochs": 1, "seeds": [1] })).unwrap();
    lab.rows.push(row(Split::Train, &"x".repeat(24), "positive"));
    lab.rows.push(row(Split::Test, &"x".repeat(99), "unheard of"));
    lab.run(json!({ "epochs": 1, "seeds": [1], "too_long": "truncate" })).unwrap();
    let counts = &lab.artifact().counts;
    let text = serde_json::to_string(counts).unwrap();
    assert!(text.contains("\"truncated_rows\":1"), "{text}");
}
