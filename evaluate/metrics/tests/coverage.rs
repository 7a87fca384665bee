//! How often intervals at level 0.95 hold the true number, over simulated data sets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{
    Bootstrap, EntityMetric, EntityMode, EntityRuns, Metric, Rows, Runs, Sentences, TagSet, wilson,
};
use pipelines::seed::Seed;

const DATA_SETS: u64 = 400;

/// Share of data sets whose interval `[low, high]` holds `truth`.
fn coverage(truth: f64, interval: impl Fn(u64) -> (f64, f64)) -> f64 {
    let holds = |&data_set: &u64| {
        let (low, high) = interval(data_set);
        low <= truth && truth <= high
    };
    (0..DATA_SETS).filter(holds).count() as f64 / DATA_SETS as f64
}

fn quick(seed: u64) -> Bootstrap {
    Bootstrap { resamples: 400.try_into().unwrap(), ..Bootstrap::new(seed) }
}

/// Whether each of 80 rows is right, each with probability 0.8.
fn right(data_set: u64) -> impl Iterator<Item = bool> {
    let seed = Seed::new(1, "coverage of accuracy");
    (0..80).map(move |row| seed.unit(data_set, row) < 0.8)
}

// The tolerance below is three standard errors of the share over the data sets, 0.033, plus 0.02 for what a percentile
// bootstrap of so few units is known to be too narrow by.

#[test]
fn bootstrap_of_accuracy_covers() {
    let share = coverage(0.8, |data_set| {
        let rows = Rows::new(vec![1; 80], 2).unwrap();
        let model = Runs::new(&rows, vec![right(data_set).map(u32::from).collect()]).unwrap();
        let accuracy = quick(data_set).score(Metric::Accuracy, &rows, &model).unwrap();
        (accuracy.low, accuracy.high)
    });
    assert!((share - 0.95).abs() < 0.053, "{share}");
}

#[test]
fn bootstrap_of_bits_per_byte_covers() {
    // Documents of 50 to 149 bytes at 0.5 to 1.5 nats a byte, independent of their length: one nat a byte.
    let seed = Seed::new(1, "coverage of bits per byte");
    let share = coverage(1.0 / std::f64::consts::LN_2, |data_set| {
        let (nats, bytes): (Vec<f64>, Vec<u64>) = (0..60)
            .map(|document| {
                let bytes = 50 + seed.below(100, data_set, 2 * document);
                (bytes as f64 * (0.5 + seed.unit(data_set, 2 * document + 1)), bytes)
            })
            .unzip();
        let bits = quick(data_set).bits_per_byte(&nats, &bytes).unwrap();
        (bits.low, bits.high)
    });
    assert!((share - 0.95).abs() < 0.053, "{share}");
}

#[test]
fn bootstrap_of_entity_f1_covers() {
    // Sentences of none to three entities; each is found with probability 0.7, and each brings a false one with 0.2.
    let seed = Seed::new(1, "coverage of entity F1");
    let share = coverage(2.0 * 0.7 / (1.0 + 0.7 + 0.2), |data_set| {
        let slots = |sentence| 4 * sentence..4 * sentence + seed.below(4, data_set, sentence);
        let found = |slot, below| u32::from(seed.unit(data_set, slot) < below);
        let (truth, predicted): (Vec<_>, Vec<_>) = (0..80)
            .map(|sentence| {
                let predicted =
                    slots(sentence).flat_map(|at| [found(1000 + at, 0.7), found(2000 + at, 0.2)]);
                (slots(sentence).flat_map(|_| [1, 0]).collect(), predicted.collect())
            })
            .unzip();
        let tags = TagSet::new(&["O", "B-A"], EntityMode::Lenient).unwrap();
        let sentences = Sentences::new(tags, &truth).unwrap();
        let model = EntityRuns::new(&sentences, &[predicted]).unwrap();
        let f1 = quick(data_set).entity_score(EntityMetric::MicroF1, &model).unwrap();
        (f1.low, f1.high)
    });
    assert!((share - 0.95).abs() < 0.053, "{share}");
}

#[test]
fn wilson_covers() {
    let share = coverage(0.8, |data_set| {
        let successes = right(data_set).filter(|&right| right).count();
        let share = wilson(successes as u64, 80, 0.95).unwrap();
        (share.low, share.high)
    });
    // Wilson's interval is not too narrow on average: the sampling error alone.
    assert!((share - 0.95).abs() < 0.033, "{share}");
}
