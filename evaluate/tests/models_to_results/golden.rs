//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use laboratory::{check_close, keys, short};
use model::NumericProfile;
use pipelines::table::likelihoods::Likelihood;
use pipelines::table::predictions::Prediction;

use crate::lab::{ALL, Lab, steps};

#[test]
fn phases_have_the_keys_of_their_version() {
    let config: evaluate::Config = serde_json::from_str(ALL).unwrap();
    let expected = [
        "classify 2 706604cf7096",
        "baseline 1 2c577ad6eb6f",
        "likelihood 2 0a9cd58c0a25",
        "compare 1 074f5d93766b",
    ];
    assert_eq!(keys(&config), expected);
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn phases_with_tensors_write_the_bytes_of_their_version() {
    let found = NumericProfile::resolve();
    if found != NumericProfile::X86V4 {
        eprintln!("skipped: the digests are those of the profile x86-v4, not {found}");
        return;
    }
    let lab = Lab::run(steps(), ALL).unwrap();
    assert_eq!(
        short(&lab.ran.outputs("report")),
        [
            "baseline/tfidf/predictions 8f0b65ffc992",
            "classify/scratch.seed-3/predictions 506e7c4d3574",
            "classify/triage.seed-1/predictions 47d87ebe9780",
            "classify/triage.seed-2/predictions d852db31c1a2",
            "compare/compare/likelihoods 41b7f3da5e11",
            "compare/compare/predictions af1b7427bc8e",
            "compare/compare/results f95e2ddac89f",
            "likelihood/base/likelihoods 41b7f3da5e11",
        ]
    );
}

#[test]
fn phases_without_tensors_write_the_bytes_of_their_version() {
    let config = r#"{"baselines":["tfidf"],"examples":"labels","bootstrap":{"resamples":50}}"#;
    let lab = Lab::run(steps(), config).unwrap();
    assert_eq!(
        short(&lab.ran.outputs("report")),
        [
            "baseline/tfidf/predictions 8f0b65ffc992",
            "compare/compare/predictions 8f0b65ffc992",
            "compare/compare/results ef7d052ce967",
        ]
    );
}

/// Nothing is trained here, so rounding is all that can differ.
const TOLERANCE: f64 = 1e-5;

#[test]
fn every_machine_measures_the_same_but_for_rounding() {
    let lab = Lab::run(steps(), ALL).unwrap();
    let documents = lab.rows::<Likelihood>("likelihoods.parquet");
    let nats: Vec<f64> = documents.iter().map(|row| row.nats).collect();
    let expected = [16.31627539695465, 112.5864001300244, 16.335791276791443];
    check_close("nats", &nats, &expected, TOLERANCE);
    let rows = lab.rows::<Prediction>("predictions.parquet");
    let first = |seed| rows.iter().find(|row| row.seed == seed).unwrap().probabilities[0];
    let expected = [0.7948538424612205, 0.22915237729712448, 0.8959411698810424];
    check_close("probabilities", &[1, 2, 3].map(first), &expected, TOLERANCE);
}
