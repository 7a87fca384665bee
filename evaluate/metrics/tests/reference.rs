//! Numbers of scikit-learn and SciPy, from `reference/sklearn_scipy.py`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{num::NonZeroU64, sync::LazyLock};

use metrics::{
    Confusion, Metric, Randomisation, Rows, Runs, TestMethod, brier, log_loss, mcnemar,
    unigram_entropy, wilson,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    classification: Vec<Classification>,
    wilson: Vec<Wilson>,
    mcnemar: Vec<Mcnemar>,
    sign_flip: Vec<SignFlip>,
    entropy: Entropy,
}

#[derive(Deserialize)]
struct Classification {
    labels: u32,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    accuracy: f64,
    macro_f1: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    confusion: Vec<Vec<u64>>,
    probabilities: Vec<f64>,
    log_loss: f64,
    brier: f64,
    brier_sklearn: f64,
}

#[derive(Deserialize)]
struct Wilson {
    successes: u64,
    trials: u64,
    level: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Mcnemar {
    only_model: usize,
    only_other: usize,
    p: f64,
}

#[derive(Deserialize)]
struct SignFlip {
    differences: Vec<f64>,
    p: f64,
}

#[derive(Deserialize)]
struct Entropy {
    counts: Vec<u64>,
    nats: f64,
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_str(include_str!("reference/sklearn_scipy.json")).unwrap());

#[track_caller]
fn check(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} {expected}");
}

#[test]
fn scores_are_those_of_scikit_learn() {
    for case in &REFERENCE.classification {
        let rows = Rows::new(case.truth.clone(), case.labels).unwrap();
        let model = Runs::new(&rows, vec![case.predicted.clone()]).unwrap();
        check(Metric::Accuracy.score(&rows, &model), case.accuracy);
        check(Metric::MacroF1.score(&rows, &model), case.macro_f1);
        let confusion = Confusion::of(&rows, &case.predicted).unwrap();
        assert_eq!(confusion.counts, case.confusion);
        for (at, class) in confusion.classes().into_iter().enumerate() {
            assert_eq!((class.label as usize, class.support), (at, case.support[at]));
            check(class.precision, case.precision[at]);
            check(class.recall, case.recall[at]);
            check(class.f1, case.f1[at]);
        }
    }
}

#[test]
fn losses_are_those_of_scikit_learn() {
    for case in &REFERENCE.classification {
        let rows = Rows::new(case.truth.clone(), case.labels).unwrap();
        check(log_loss(&rows, &case.probabilities).unwrap(), case.log_loss);
        check(brier(&rows, &case.probabilities).unwrap(), case.brier);
        check(brier(&rows, &case.probabilities).unwrap(), case.brier_sklearn);
    }
}

#[test]
fn wilson_intervals_are_those_of_scipy() {
    for case in &REFERENCE.wilson {
        let found = wilson(case.successes, case.trials, case.level).unwrap();
        check(found.low, case.low);
        check(found.high, case.high);
    }
}

#[test]
fn mcnemar_is_the_binomial_test_of_scipy() {
    for case in &REFERENCE.mcnemar {
        let (model, other) = (case.only_model, case.only_other);
        // Two rows that both have right stand for all on which they agree.
        let right = |before: usize, own: usize, after: usize| {
            let mut run = vec![0; before];
            run.extend(vec![1; own]);
            run.extend(vec![0; after]);
            run.extend([1, 1]);
            run
        };
        let rows = Rows::new(vec![1; model + other + 2], 2).unwrap();
        let found = mcnemar(&rows, &right(0, model, other), &right(model, other, 0)).unwrap();
        check(found.p, case.p);
        assert_eq!(found.method, TestMethod::Mcnemar);
    }
}

#[test]
fn exact_randomisation_is_the_permutation_test_of_scipy() {
    for case in &REFERENCE.sign_flip {
        let found = Randomisation::new(1).sign_flip(&case.differences).unwrap();
        check(found.p, case.p);
        assert_eq!(found.method, TestMethod::ExactRandomisation);
        assert_eq!(found.units, case.differences.len() as u64);
    }
}

#[test]
fn approximate_randomisation_comes_near_the_exact_one() {
    let case = &REFERENCE.sign_flip[3];
    let few = Randomisation { seed: 1, swaps: NonZeroU64::new(4000).unwrap() };
    let found = few.sign_flip(&case.differences).unwrap();
    assert_eq!(found.method, TestMethod::ApproximateRandomisation);
    // Four standard errors of a share over 4,000 draws.
    let tolerance = 4.0 * (case.p * (1.0 - case.p) / 4000.0).sqrt();
    assert!((found.p - case.p).abs() < tolerance, "{} {}", found.p, case.p);
}

#[test]
fn entropy_is_that_of_scipy() {
    check(unigram_entropy(&REFERENCE.entropy.counts), REFERENCE.entropy.nats);
}
