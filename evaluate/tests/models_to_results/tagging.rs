//! Token classifiers on tagged rows.

use std::fs;

use evaluate::results::Entities;
use laboratory::{Step, keys, short};
use model::NumericProfile;
use pipelines::table::tag_predictions::TagPrediction;

use crate::lab::{
    Lab, TAGGING, classifier, examples, labelled, sentences, tagged_examples, tagger, tagging_steps,
};

fn with(more: &str) -> String {
    TAGGING.replacen('{', &format!("{{{more},"), 1)
}

fn entities(config: &str) -> Entities {
    Lab::run(tagging_steps(), config).unwrap().results().entities.unwrap()
}

#[test]
fn phases_have_the_keys_of_their_version() {
    let key = |text: &str| keys(&serde_json::from_str::<evaluate::Config>(text).unwrap());
    assert_eq!(key(TAGGING), ["tag 2 f65391b81deb", "compare 1 b62664983145"]);
    let said = with(r#""entity_mode":"default","decoding":"legal","too_long":"windows""#);
    assert_eq!(key(&said), key(TAGGING));
    assert_ne!(key(&with(r#""entity_mode":"strict""#))[1], key(TAGGING)[1]);
    assert_eq!(key(&with(r#""entity_mode":"strict""#))[0], key(TAGGING)[0]);
    assert_ne!(key(&with(r#""decoding":"argmax""#))[0], key(TAGGING)[0]);
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn phases_write_the_bytes_of_their_version() {
    let found = NumericProfile::resolve();
    if found != NumericProfile::X86V4 {
        eprintln!("skipped: the digests are those of the profile x86-v4, not {found}");
        return;
    }
    let lab = Lab::run(tagging_steps(), TAGGING).unwrap();
    assert_eq!(
        short(&lab.ran.outputs("report")),
        [
            "compare/compare/results 5a09f469808e",
            "compare/compare/tag-predictions 74d279f90034",
            "tag/ner.seed-1/tag-predictions 03c2289e8c87",
            "tag/ner.seed-2/tag-predictions b52d439c4b7e",
            "tag/scratch.seed-3/tag-predictions 9fc75cf78113",
        ]
    );
}

#[test]
fn models_are_measured_on_the_same_entities() {
    let lab = Lab::run(tagging_steps(), TAGGING).unwrap();
    let found = lab.results().entities.unwrap();
    // The long row is a unit of its own.
    assert_eq!((found.rows, found.units, found.words, found.entities), (25, 13, 140, 36));
    let models: Vec<_> = found.models.iter().map(|m| (m.model.as_str(), m.seeds.len())).collect();
    assert_eq!(models, [("ner", 2), ("scratch", 1)]);
    let per = found.models[0].seeds[0].types.iter().find(|scores| scores.name == "PER").unwrap();
    assert_eq!(per.support, 28);
    assert_eq!(found.comparisons.len(), 2);
    assert_eq!(found.comparisons[0].model, "ner");
    let rows: Vec<TagPrediction> = lab.rows("tag_predictions.parquet");
    assert_eq!(rows.len(), 75);
    for row in &rows {
        assert_eq!(row.tags.len(), row.predicted.len());
        let before = ["O".to_owned()];
        let steps = before.iter().chain(&row.predicted).zip(&row.predicted);
        for (before, tag) in steps {
            let opened = tag != "I-PER" || ["B-PER", "I-PER"].contains(&before.as_str());
            assert!(opened, "{:?}", row.predicted);
        }
    }
    let table = evaluate::table(&lab.results());
    for part in ["entity F1", "ner - scratch", "36 entities", "PER", "in 13 groups"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
}

#[test]
fn illegal_tags_count_in_the_default_mode_alone() {
    let predicted = |more: &str| -> u64 {
        let found = entities(&with(&format!(r#""decoding":"argmax",{more}"#)));
        let precision = &found.models[0].precision.estimate;
        precision.value.to_bits()
    };
    assert_ne!(predicted(r#""entity_mode":"default""#), predicted(r#""entity_mode":"strict""#));
    let legal = |more: &str| entities(&with(more)).models;
    assert_eq!(legal(r#""entity_mode":"default""#), legal(r#""entity_mode":"strict""#));
}

#[test]
fn a_second_run_gives_the_same_bytes() {
    let bytes = || {
        let lab = Lab::run(tagging_steps(), TAGGING).unwrap();
        fs::read(lab.path("results.json")).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn words_without_an_answer_are_outside() {
    let mut steps = tagging_steps();
    steps.insert("sentences", sentences(vec![("/B-PER good/B-PER".into(), None)]));
    let lab = Lab::run(steps, TAGGING).unwrap();
    let rows: Vec<TagPrediction> = lab.rows("tag_predictions.parquet");
    assert!(rows.iter().all(|row| row.predicted[0] == "O"), "{rows:?}");
    let cut = with(r#""too_long":"truncate","max_length":4"#);
    let lab = Lab::run(tagging_steps(), &cut).unwrap();
    let rows: Vec<TagPrediction> = lab.rows("tag_predictions.parquet");
    assert!(rows.iter().all(|row| row.predicted[3..].iter().all(|tag| tag == "O")));
}

#[track_caller]
fn refused(change: (&'static str, Step), config: &str, expected: &str) {
    let mut given = tagging_steps();
    given.extend([change]);
    let message = Lab::run(given, config).err().unwrap_or_default();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn what_cannot_be_measured_is_refused_by_name_and_place() {
    let row = |words: &str| sentences(vec![(words.to_owned(), None)]);
    refused(
        ("sentences", row("good/B-ORG")),
        TAGGING,
        "(`row-0`): ner does not know entities of the tag `B-ORG`, expected tags of LOC, PER",
    );
    refused(("sentences", row("")), TAGGING, "0 tokens and 0 tags, expected at least one token");
    refused(("sentences", labelled(examples())), TAGGING, "0 tokens and 0 tags");
    refused(
        ("ner", classifier(&[1])),
        TAGGING,
        "is a LlamaForSequenceClassification, expected a LlamaForTokenClassification",
    );
    refused(("ner", tagger(&[1], &["O", "S-PER"])), TAGGING, "cannot measure ner");
    let same = || ("sentences", sentences(tagged_examples()));
    refused(same(), &with(r#""too_long":"refuse""#), "reads them in windows");
    refused(same(), &with(r#""max_length":1"#), "ner reads 1 tokens at most, expected at least 2");
}
