//! The stage as a whole, on tiny models: from checkpoints, examples and shards to results.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod lab;
mod tagging;

use std::fs;

use evaluate::results::Origin;
use laboratory::Step;
use pipelines::table::examples::Split;
use pipelines::table::likelihoods::Likelihood;
use pipelines::table::predictions::Prediction;

use lab::{ALL, Lab, classifier, examples, labelled, language_model, shards, steps};

#[test]
fn models_and_baselines_are_measured_on_the_same_rows() {
    let lab = Lab::run(steps(), ALL).unwrap();
    let found = lab.results().classification.unwrap();
    assert_eq!(
        (found.rows, found.units, found.labels.as_slice()),
        (40, 40, &["a".into(), "b".into()][..])
    );
    let models: Vec<_> = found
        .models
        .iter()
        .map(|model| (model.model.as_str(), model.origin, model.seeds.len()))
        .collect();
    assert_eq!(
        models,
        [
            ("triage", Origin::Model, 2),
            ("scratch", Origin::Model, 1),
            ("tfidf", Origin::Baseline, 1)
        ]
    );
    assert_eq!(found.models[2].accuracy.estimate.value, 1.0);
    assert!((found.majority_share - 0.5).abs() < 1e-12);
    assert_eq!(found.comparisons.len(), 6);
    assert_eq!(
        (found.comparisons[0].model.as_str(), found.comparisons[0].other.as_str()),
        ("triage", "scratch")
    );
    let rows: Vec<Prediction> = lab.rows("predictions.parquet");
    assert_eq!(rows.len(), 160);
    for row in &rows {
        assert!((row.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        let best = if row.probabilities[0] >= row.probabilities[1] { "a" } else { "b" };
        assert_eq!(row.predicted, best);
    }
}

#[test]
fn language_models_predict_every_token_of_every_document_once() {
    let lab = Lab::run(steps(), ALL).unwrap();
    let found = lab.results().language.unwrap();
    let rows: Vec<Likelihood> = lab.rows("likelihoods.parquet");
    assert_eq!((found.documents, rows.len()), (3, 3));
    assert!(rows[1].tokens > 16, "the second document is longer than the context");
    assert_eq!(found.tokens, rows.iter().map(|row| row.tokens).sum::<u64>());
    let loss = rows.iter().map(|row| row.nats).sum::<f64>() / found.tokens as f64;
    let scores = &found.models[0];
    assert!((scores.nats_per_token.estimate.value - loss).abs() < 1e-12);
    assert!((scores.perplexity.estimate.value - loss.exp()).abs() < 1e-9 * loss.exp());
    assert!((scores.below_unigram - (found.unigram_entropy - loss)).abs() < 1e-12);
    let table = evaluate::table(&lab.results());
    for part in ["triage - scratch", "tfidf", "bits/byte", "unigram entropy"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
}

#[test]
fn a_second_run_gives_the_same_bytes() {
    let bytes = || fs::read(Lab::run(steps(), ALL).unwrap().path("results.json")).unwrap();
    assert_eq!(bytes(), bytes());
}

#[track_caller]
fn refused(change: (&'static str, Step), config: &str, expected: &str) {
    let mut given = steps();
    given.extend([change]);
    let message = Lab::run(given, config).err().unwrap_or_default();
    assert!(message.contains(expected), "{message}");
}

fn one_row(text: &str, label: &str) -> Step {
    let mut rows = examples();
    rows.push((text.into(), label.into(), Split::Test));
    labelled(rows)
}

#[test]
fn what_cannot_be_measured_is_refused_by_name_and_place() {
    let models = r#"{"models":["triage"],"examples":"labels"}"#;
    let baseline = r#"{"baselines":["tfidf"],"examples":"labels"}"#;
    let language = r#"{"language_models":["base"],"shards":"shards"}"#;
    refused(
        ("labels", one_row("good", "c")),
        models,
        "(`row-60`): triage does not know the label `c`, expected one of b, a",
    );
    refused(("labels", one_row("good", "c")), baseline, "tfidf does not know the label `c`");
    refused(("labels", one_row(&"x ".repeat(40), "a")), models, "but triage reads 16 at most");
    refused(
        ("triage", language_model(1)),
        models,
        "is a LlamaForCausalLM, expected a LlamaForSequenceClassification",
    );
    refused(("base", classifier(&[1])), language, "holds no config.json");
    refused(("shards", shards(&[])), language, "has no document in validation");
    let train = examples().into_iter().filter(|row| row.2 == Split::Train).collect();
    refused(("labels", labelled(train)), models, "has no row in test");
    let wordless = examples().into_iter().map(|row| ("!".to_owned(), row.1, row.2)).collect();
    refused(("labels", labelled(wordless)), baseline, "hold no word of two characters");
}

#[test]
fn long_texts_are_cut_where_the_config_says_so() {
    let mut given = steps();
    given.insert("labels", one_row(&"x ".repeat(40), "a"));
    let config = r#"{"models":["triage"],"examples":"labels","too_long":"truncate","bootstrap":{"resamples":50}}"#;
    assert_eq!(Lab::run(given, config).unwrap().results().classification.unwrap().rows, 41);
}
