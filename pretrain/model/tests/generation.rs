//! Generated tokens and what they are drawn from, against transformers; fixtures by `tests/reference/generation.py`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::PathBuf};

use model::{Candidate, Checkpoint, CpuModel, ModelError, Sampling};
use pipelines::seed::Seed;
use serde::{Deserialize, de::DeserializeOwned};

fn reference(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(reference(name)).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Warped {
    logits: Vec<Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    row: usize,
    temperature: f64,
    top_k: Option<std::num::NonZeroUsize>,
    top_p: f64,
    /// Ids in order, with their probabilities.
    kept: Vec<(u32, f64)>,
}

#[test]
fn candidates_are_those_behind_the_warpers_of_transformers() {
    let Warped { logits, cases } = read("sampling.json");
    for Case { row, temperature, top_k, top_p, kept } in cases {
        let sampling = Sampling { temperature, top_k, top_p };
        let mut found = sampling.candidates(&logits[row]).unwrap();
        assert!(found.is_sorted_by(|a, b| a.probability >= b.probability), "{row} {sampling:?}");
        found.sort_unstable_by_key(|candidate| candidate.id);
        let ids = |kept: &[(u32, f64)]| kept.iter().map(|&(id, _)| id).collect::<Vec<_>>();
        let found: Vec<_> = found.iter().map(|found| (found.id, found.probability)).collect();
        assert_eq!(ids(&found), ids(&kept), "{row} {sampling:?}");
        for ((_, found), (_, expected)) in found.iter().zip(&kept) {
            // They divide by the temperature in `f32`.
            assert!((found - expected).abs() < 1e-6, "{row} {sampling:?}: {found} {expected}");
        }
    }
}

#[derive(Deserialize)]
struct Continuation {
    model: String,
    prompt: Vec<u32>,
    max_tokens: usize,
    text: Vec<u32>,
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for Continuation { model, prompt, max_tokens, text } in read::<Vec<Continuation>>("greedy.json")
    {
        let mut model =
            CpuModel::from_checkpoint(Checkpoint::read(&reference(&model)).unwrap()).unwrap();
        let mut cache = model.kv_cache();
        let mut logits = model.next_logits(&prompt, &mut cache).unwrap();
        let mut found = Vec::new();
        while found.len() < max_tokens && found.last() != Some(&2) {
            let token = greedy.choose(&logits, 0.0).unwrap();
            found.push(token);
            if cache.len() < model.config().max_position_embeddings() {
                logits = model.next_logits(&[token], &mut cache).unwrap();
            }
        }
        assert_eq!(found, text);
    }
}

fn candidates(logits: &[f32], top_k: usize, top_p: f64) -> Vec<u32> {
    let sampling = Sampling { top_k: top_k.try_into().ok(), top_p, ..Sampling::default() };
    sampling.candidates(logits).unwrap().iter().map(|found| found.id).collect()
}

#[test]
fn the_smallest_set_that_reaches_top_p_is_kept() {
    // Probabilities of exactly 1/2, 1/4, 1/8, 1/8.
    let logits = [2.0f32, 8.0, 4.0, 2.0].map(f32::ln);
    assert_eq!(candidates(&logits, 0, 0.49), [1]);
    assert_eq!(candidates(&logits, 0, 0.51), [1, 2]);
    assert_eq!(candidates(&logits, 0, 0.74), [1, 2]);
    assert_eq!(candidates(&logits, 0, 0.76), [1, 2, 0]);
    assert_eq!(candidates(&logits, 0, 1.0), [1, 2, 0, 3]);
    assert_eq!(candidates(&logits, 1, 1e-9), [1]);
    // The last of the top three is tied, and top-p then counts among the four.
    assert_eq!(candidates(&logits, 3, 1.0), [1, 2, 0, 3]);
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.0, 1.0, -1.0, 0.5, -3.0];
    let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
    let seed = Seed::new(1, "draws");
    let mut counts = [0.0; 5];
    for at in 0..20_000 {
        counts[sampling.choose(&logits, seed.unit(0, at)).unwrap() as usize] += 1.0;
    }
    for Candidate { id, probability } in sampling.candidates(&logits).unwrap() {
        let found = counts[id as usize] / 20_000.0;
        // Five standard errors.
        let most = 5.0 * (probability * (1.0 - probability) / 20_000.0).sqrt();
        assert!((found - probability).abs() < most, "{id}: {found} {probability}");
    }
}

#[test]
fn a_tiny_temperature_takes_the_most_probable() {
    let logits = [0.5, -3.0, 7.0, 6.999, -1e30];
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for temperature in [1e-310, 5e-324, 1e-300, 1e-8] {
        for top_k in [None, 2.try_into().ok()] {
            let tiny = Sampling { temperature, top_k, top_p: 0.9 };
            for unit in [0.0, 0.5, 0.999_999] {
                let expected = greedy.choose(&logits, unit).unwrap();
                assert_eq!(tiny.choose(&logits, unit).unwrap(), expected, "{temperature}");
            }
            let found = tiny.candidates(&logits).unwrap();
            assert_eq!(found, [Candidate { id: 2, probability: 1.0 }], "{temperature}");
        }
    }
}

#[test]
fn temperature_0_takes_the_first_of_the_best_whatever_is_drawn() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for unit in [0.0, 0.5, 1.0 - f64::EPSILON] {
        assert_eq!(greedy.choose(&[1.0, 3.0, -2.0, 3.0], unit).unwrap(), 1);
    }
}

#[test]
fn what_cannot_be_drawn_from_is_refused() {
    let refused = |sampling: Sampling, words: &str| {
        assert_eq!(sampling.validate().unwrap_err().to_string(), words);
    };
    let plain = Sampling::default();
    plain.validate().unwrap();
    let words = "`temperature` is -1; expected a number from 0 on";
    refused(Sampling { temperature: -1.0, ..plain }, words);
    let words = "`temperature` is NaN; expected a number from 0 on";
    refused(Sampling { temperature: f64::NAN, ..plain }, words);
    let words = "`top_p` is 0; expected a number above 0 and up to 1";
    refused(Sampling { top_p: 0.0, ..plain }, words);
    let error = plain.choose(&[0.0, f32::NAN], 0.5).unwrap_err();
    assert!(matches!(error, ModelError::Logit { token: 1, .. }), "{error}");
}
