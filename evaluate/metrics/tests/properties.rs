//! What holds for any model and any rows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{
    Bootstrap, IntervalMethod, Metric, MetricsError, Randomisation, Rows, Runs, TestMethod,
    bits_per_byte, holm, mcnemar, perplexity, unigram_entropy, wilson,
};
use proptest::prelude::*;

const METRICS: [Metric; 2] = [Metric::Accuracy, Metric::MacroF1];

/// True labels and the predictions of two models, by row.
fn answers() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
    prop::collection::vec((0..4u32, 0..4u32, 0..4u32), 1..40)
}

fn models(answers: &[(u32, u32, u32)]) -> (Rows, Runs, Runs) {
    let rows = Rows::new(answers.iter().map(|row| row.0).collect(), 4).unwrap();
    let model = Runs::new(&rows, vec![answers.iter().map(|row| row.1).collect()]).unwrap();
    let other = Runs::new(&rows, vec![answers.iter().map(|row| row.2).collect()]).unwrap();
    (rows, model, other)
}

fn quick() -> Bootstrap {
    Bootstrap { resamples: 100.try_into().unwrap(), ..Bootstrap::new(7) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scores_do_not_depend_on_the_order_of_rows(answers in answers(), turn in 0..40usize) {
        let mut turned = answers.clone();
        turned.rotate_left(turn % answers.len());
        let ((rows, model, other), (rows2, model2, other2)) = (models(&answers), models(&turned));
        for metric in METRICS {
            prop_assert_eq!(metric.score(&rows, &model), metric.score(&rows2, &model2));
        }
        let p = |rows, model: &Runs, other: &Runs| {
            mcnemar(rows, &model.predicted()[0], &other.predicted()[0]).unwrap().p
        };
        prop_assert_eq!(p(&rows, &model, &other), p(&rows2, &model2, &other2));
    }

    #[test]
    fn a_model_ties_with_itself(answers in answers()) {
        let (rows, model, _) = models(&answers);
        for metric in METRICS {
            let difference = quick().difference(metric, &rows, &model, &model).unwrap();
            prop_assert_eq!((difference.low, difference.value, difference.high), (0.0, 0.0, 0.0));
            let swaps = Randomisation { swaps: 100.try_into().unwrap(), ..Randomisation::new(7) };
            prop_assert_eq!(swaps.compare(metric, &rows, &model, &model).unwrap().p, 1.0);
        }
        let run = &model.predicted()[0];
        prop_assert_eq!(mcnemar(&rows, run, run).unwrap().p, 1.0);
    }

    #[test]
    fn tests_do_not_depend_on_which_model_comes_first(answers in answers()) {
        let (rows, model, other) = models(&answers);
        let swaps = Randomisation { swaps: 100.try_into().unwrap(), ..Randomisation::new(7) };
        for metric in METRICS {
            prop_assert_eq!(
                swaps.compare(metric, &rows, &model, &other),
                swaps.compare(metric, &rows, &other, &model)
            );
        }
    }

    #[test]
    fn randomisation_of_accuracy_flips_signs(answers in prop::collection::vec((0..2u32, 0..2u32, 0..2u32), 1..9)) {
        let (rows, model, other) = models(&answers);
        let compared = Randomisation::new(7).compare(Metric::Accuracy, &rows, &model, &other).unwrap();
        let right = |a: u32, b: u32| f64::from(u8::from(a == b));
        let differences: Vec<f64> = answers.iter().map(|&(t, a, b)| right(t, a) - right(t, b)).collect();
        prop_assert_eq!(compared, Randomisation::new(7).sign_flip(&differences).unwrap());
        prop_assert_eq!(compared.method, TestMethod::ExactRandomisation);
    }

    #[test]
    fn exact_randomisation_of_single_rows_is_mcnemar(answers in prop::collection::vec((0..2u32, 0..2u32, 0..2u32), 1..9)) {
        let (rows, model, other) = models(&answers);
        let exact = Randomisation::new(7).compare(Metric::Accuracy, &rows, &model, &other).unwrap();
        let mcnemar = mcnemar(&rows, &model.predicted()[0], &other.predicted()[0]).unwrap();
        prop_assert!((exact.p - mcnemar.p).abs() < 1e-12, "{} {}", exact.p, mcnemar.p);
    }

    #[test]
    fn repeating_a_run_changes_nothing(answers in answers()) {
        let (rows, model, other) = models(&answers);
        let twice = |model: &Runs| Runs::new(&rows, [model.predicted(), model.predicted()].concat()).unwrap();
        for metric in METRICS {
            prop_assert_eq!(
                quick().difference(metric, &rows, &model, &other),
                quick().difference(metric, &rows, &twice(&model), &twice(&other))
            );
        }
    }

    #[test]
    fn intervals_hold_their_value(answers in answers(), successes in 0..30u64) {
        let (rows, model, _) = models(&answers);
        // Macro F1 is biased under resampling, so its percentile interval need not.
        let accuracy = Bootstrap::new(7).score(Metric::Accuracy, &rows, &model).unwrap();
        prop_assert!(accuracy.low <= accuracy.value && accuracy.value <= accuracy.high);
        let share = wilson(successes, 30, 0.9).unwrap();
        prop_assert!(0.0 <= share.low && share.low <= share.value);
        prop_assert!(share.value <= share.high && share.high <= 1.0);
    }

    #[test]
    fn holm_keeps_the_order_and_never_lowers(p_values in prop::collection::vec(0.0..1.0f64, 0..9)) {
        let adjusted = holm(&p_values).unwrap();
        for (a, p) in p_values.iter().enumerate() {
            prop_assert!(*p <= adjusted[a] && adjusted[a] <= 1.0);
            for (b, q) in p_values.iter().enumerate() {
                prop_assert!(p > q || adjusted[a] <= adjusted[b]);
            }
        }
    }
}

#[test]
fn holm_is_that_of_r() {
    // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R gives 0.03 0.06 0.06 0.02.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]).unwrap();
    for (found, expected) in adjusted.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn equal_seeds_give_equal_intervals() {
    let (rows, model, other) = models(&[(0, 0, 1), (1, 1, 1), (2, 0, 2), (3, 3, 3), (0, 1, 1)]);
    let interval = |seed| Bootstrap::new(seed).difference(Metric::MacroF1, &rows, &model, &other);
    assert_eq!(interval(1), interval(1));
    assert_eq!(interval(1).unwrap().method, IntervalMethod::PairedBootstrap);
}

#[test]
fn grouped_rows_are_drawn_together() {
    // Two patients, one all right, one all wrong: half of the resamples hold only one of them.
    let rows = Rows::new(vec![1; 100], 2).unwrap();
    let predicted: Vec<u32> = (0..100).map(|row| row % 2).collect();
    let groups = predicted.clone();
    let model = Runs::new(&rows, vec![predicted]).unwrap();
    let alone = quick().score(Metric::Accuracy, &rows, &model).unwrap();
    let grouped = rows.grouped_by(&groups).unwrap();
    let together = quick().score(Metric::Accuracy, &grouped, &model).unwrap();
    assert_eq!((alone.units, together.units), (100, 2));
    assert!(alone.high - alone.low < 0.3);
    assert_eq!((together.low, together.value, together.high), (0.0, 0.5, 1.0));
}

#[test]
fn ratios_are_of_sums() {
    let (nats, bytes) = ([2.0, 6.0], [4, 4]);
    let bpb = quick().bits_per_byte(&nats, &bytes).unwrap();
    assert_eq!(bpb.value, bits_per_byte(8.0, 8));
    assert_eq!((bpb.low, bpb.high), (bits_per_byte(4.0, 8), bits_per_byte(12.0, 8)));
    assert_eq!(quick().perplexity(&nats, &bytes).unwrap().value, perplexity(8.0, 8));
    assert!((bits_per_byte(std::f64::consts::LN_2, 1) - 1.0).abs() < 1e-15);
}

#[test]
fn entropy_of_equal_counts_is_the_logarithm() {
    assert!((unigram_entropy(&[5; 8]) - 8f64.ln()).abs() < 1e-15);
    assert_eq!(unigram_entropy(&[0, 9, 0]).to_bits(), 0);
    assert_eq!(unigram_entropy(&[]).to_bits(), 0);
}

#[test]
fn what_cannot_be_measured_is_named() {
    let rows = Rows::new(vec![0, 1], 2).unwrap();
    let message = |error: MetricsError| error.to_string();
    assert_eq!(message(Rows::new(vec![], 2).unwrap_err()), "no rows to measure");
    assert_eq!(
        message(Runs::new(&rows, vec![vec![0]]).unwrap_err()),
        "1 predictions, but 2 are expected"
    );
    assert_eq!(
        message(Runs::new(&rows, vec![vec![0, 2]]).unwrap_err()),
        "row 1 has label 2, but there are 2 labels"
    );
    assert_eq!(
        message(quick().bits_per_byte(&[1.0], &[0]).unwrap_err()),
        "bits_per_byte has no finite value"
    );
    assert_eq!(message(wilson(1, 2, 1.0).unwrap_err()), "level is 1, expected above 0 and below 1");
    assert_eq!(
        message(wilson(3, 2, 0.9).unwrap_err()),
        "successes is 3, expected at most the trials"
    );
    assert_eq!(message(holm(&[f64::NAN]).unwrap_err()), "p-value is NaN, expected from 0 to 1");
}
