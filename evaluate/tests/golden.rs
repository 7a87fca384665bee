//! `results.json` of every format version is read as it was meant, and written the same today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use evaluate::config::{EntityMode, Resampling};
use evaluate::results::{
    Classification, Comparison, Entities, Language, LanguageScores, Measured, ModelScores, Origin,
    SeedScores, TaggerScores, TaggerSeed, Unit, Verdict,
};
use evaluate::{EvaluateError, Metric, Results};
use metrics::{
    Confusion, Decoding, EntityAverage, EntityMetric, EntityScores, Estimate, IntervalMethod, Test,
    TestMethod,
};
use pipelines::table::examples::Split;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn good() -> String {
    fs::read_to_string(golden("results.json")).unwrap()
}

fn measured(unit: Unit, value: f64, method: IntervalMethod) -> Measured {
    let (low, high) = (value - 0.125, value + 0.1);
    Measured { unit, estimate: Estimate { value, low, high, level: 0.95, units: 3, method } }
}

fn share(value: f64) -> Measured {
    measured(Unit::Share, value, IntervalMethod::PercentileBootstrap)
}

fn seed(seed: u64, counts: [[u64; 2]; 2]) -> SeedScores {
    let confusion = Confusion { counts: counts.map(Vec::from).to_vec() };
    SeedScores { seed, accuracy: 0.75, macro_f1: 0.7, classes: confusion.classes(), confusion }
}

fn comparison(metric: Metric, method: TestMethod, verdict: Verdict) -> Comparison {
    Comparison {
        model: "tuned".into(),
        other: "tfidf".into(),
        metric,
        difference: measured(Unit::Share, -0.25, IntervalMethod::PairedBootstrap),
        test: Test { p: 0.03125, units: 3, method },
        p_adjusted: 0.0625,
        verdict,
    }
}

fn classification() -> Classification {
    let model = |name: &str, origin, sd, seeds| ModelScores {
        model: name.to_owned(),
        origin,
        accuracy: share(0.75),
        macro_f1: share(0.7),
        accuracy_sd: sd,
        macro_f1_sd: sd,
        seeds,
    };
    Classification {
        examples: "labels".into(),
        split: Split::Test,
        rows: 4,
        units: 3,
        labels: vec!["dry".into(), "wet".into()],
        majority_label: "wet".into(),
        majority_share: 0.5,
        models: vec![
            model(
                "tuned",
                Origin::Model,
                Some(0.1),
                vec![seed(1, [[2, 0], [1, 1]]), seed(u64::MAX, [[0, 2], [0, 2]])],
            ),
            model("tfidf", Origin::Baseline, None, vec![seed(0, [[1, 1], [0, 2]])]),
        ],
        comparisons: vec![
            comparison(Metric::Accuracy, TestMethod::Mcnemar, Verdict::Better),
            comparison(Metric::Accuracy, TestMethod::ExactRandomisation, Verdict::Worse),
            comparison(Metric::MacroF1, TestMethod::ApproximateRandomisation, Verdict::Tied),
        ],
    }
}

fn language() -> Language {
    let of = |unit, value| measured(unit, value, IntervalMethod::PercentileBootstrap);
    Language {
        shards: "shards".into(),
        documents: 3,
        tokens: 40,
        bytes: 120,
        unigram_entropy: 3.1,
        models: vec![LanguageScores {
            model: "base".into(),
            nats_per_token: of(Unit::NatsPerToken, 2.5),
            perplexity: of(Unit::Perplexity, 12.182493960703473),
            bits_per_byte: of(Unit::BitsPerByte, 1.2),
            below_unigram: 0.6,
        }],
    }
}

/// What the file means: every key, every unit, method and verdict.
fn meant() -> Results {
    Results {
        version: 1,
        seed: 7,
        bootstrap: Resampling { resamples: NonZeroU32::new(200).unwrap(), level: 0.95 },
        classification: Some(classification()),
        entities: None,
        language: Some(language()),
    }
}

fn entities() -> Entities {
    let average = |f1| EntityAverage { precision: 1.0, recall: 0.5, f1 };
    let types = |name: &str| EntityScores {
        name: name.into(),
        precision: 1.0,
        recall: 0.5,
        f1: 0.625,
        support: 2,
    };
    let seed = |seed| TaggerSeed {
        seed,
        micro: average(0.625),
        r#macro: average(0.5),
        types: vec![types("LOC"), types("PER")],
    };
    let model = |name: &str, sd, seeds| TaggerScores {
        model: name.to_owned(),
        micro_f1: share(0.625),
        precision: share(1.0),
        recall: share(0.5),
        macro_f1: share(0.5),
        micro_f1_sd: sd,
        macro_f1_sd: sd,
        seeds,
    };
    let comparison = |metric| Comparison {
        model: "tagger".into(),
        other: "scratch".into(),
        metric,
        difference: measured(Unit::Share, 0.25, IntervalMethod::PairedBootstrap),
        test: Test { p: 0.03125, units: 3, method: TestMethod::ExactRandomisation },
        p_adjusted: 0.0625,
        verdict: Verdict::Better,
    };
    Entities {
        examples: "sentences".into(),
        split: Split::Validation,
        rows: 4,
        words: 17,
        entities: 4,
        units: 3,
        mode: EntityMode::Strict,
        decoding: Decoding::Argmax,
        models: vec![
            model("tagger", Some(0.1), vec![seed(1), seed(2)]),
            model("scratch", None, vec![seed(0)]),
        ],
        comparisons: vec![comparison(EntityMetric::MicroF1), comparison(EntityMetric::MacroF1)],
    }
}

/// What the file of entities means.
fn tagged() -> Results {
    Results { classification: None, language: None, entities: Some(entities()), ..meant() }
}

#[test]
#[ignore = "writes the golden file anew, which is right only before a version is released"]
fn write_golden() {
    fs::write(golden("results.json"), meant().to_json()).unwrap();
    fs::write(golden("entities.json"), tagged().to_json()).unwrap();
}

#[test]
fn results_are_read_as_they_were_meant_and_written_the_same() {
    assert_eq!(Results::from_json(good().as_bytes()).unwrap(), meant());
    let written = String::from_utf8(meant().to_json()).unwrap();
    assert!(written == good(), "results are written with other bytes: raise their version");
}

#[test]
fn entities_are_read_as_they_were_meant_and_written_the_same() {
    let good = fs::read(golden("entities.json")).unwrap();
    assert_eq!(Results::from_json(&good).unwrap(), tagged());
    assert!(
        tagged().to_json() == good,
        "results are written with other bytes: raise their version"
    );
}

#[test]
fn keys_of_later_builds_are_passed_over() {
    let more = good().replacen("{\n", "{\n  \"later\": [1, {\"rows\": 2}],\n", 1);
    assert_ne!(more, good());
    assert_eq!(Results::from_json(more.as_bytes()).unwrap(), meant());
}

#[test]
fn cut_foreign_and_newer_results_are_refused() {
    let refused = |text: &str| Results::from_json(text.as_bytes()).unwrap_err();
    let good = good();
    for foreign in [&good[..good.len() / 2], "", "{\"kind\":\"results\",\"format_version\":1}"] {
        let error = refused(foreign);
        assert!(matches!(error, EvaluateError::BadResults(_)), "{error:?}");
        assert_eq!(error.to_string(), "not results of an evaluation");
    }
    let newer = refused(&good.replacen("\"version\": 1", "\"version\": 2", 1));
    assert!(matches!(newer, EvaluateError::ResultsTooNew { found: 2, supported: 1 }), "{newer:?}");
    assert_eq!(
        newer.to_string(),
        "results version 2; this build reads up to 1: use a newer seedbed"
    );
}
