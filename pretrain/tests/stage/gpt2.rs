//! A GPT-2 that learns to predict the next token.

use laboratory::{Fate, keys};
use model::{Checkpoint, ModelConfig};

use crate::lab::{Lab, config};
use crate::training;

fn fields(total: u64, decay: u64) -> String {
    let llama = training::fields(total, decay);
    llama.replace("num_key_value_heads = 1", "family = \"gpt2\"")
}

fn finished(fields: &str) -> Lab {
    let lab = Lab::new();
    lab.run(fields).unwrap();
    lab
}

#[test]
fn a_model_learns_and_loads() {
    let lab = finished(&fields(30, 6));
    let losses: Vec<f64> =
        lab.metrics().iter().filter_map(|line| line["validation_loss"].as_f64()).collect();
    // A fresh model guesses among 265 tokens: ln 265 = 5.6 nats a token.
    assert!(losses[0] > 5.0 && *losses.last().unwrap() < 3.2, "{losses:?}");
    let checkpoint = Checkpoint::read(&lab.dir()).unwrap();
    assert_eq!(checkpoint.config.architecture(), "GPT2LMHeadModel");
    let ModelConfig::Gpt2(config) = &checkpoint.config else { unreachable!() };
    assert_eq!(
        (config.n_positions, config.n_inner, config.tie_word_embeddings),
        (12, Some(64), true)
    );
    assert_eq!(config.eos_token_id, [0]);
    assert!(lab.digests().contains_key("generation_config.json"));
}

#[test]
fn the_output_projection_may_be_its_own() {
    let untied = fields(4, 0).replace("family", "tie_word_embeddings = false, family");
    let checkpoint = Checkpoint::read(&finished(&untied).dir()).unwrap();
    assert!(checkpoint.weights.get("lm_head.weight").is_some());
}

#[test]
fn interrupted_longer_and_threaded_runs_end_as_if_nothing_had_happened() {
    let config = fields(14, 5);
    let expected = finished(&config).digests();
    for at in [1, 7, 11] {
        let lab = Lab::new();
        lab.interrupt(&config, Fate::Cancelled(at));
        lab.run(&config).unwrap();
        assert_eq!(lab.digests(), expected, "cancelled at {at}");
    }
    let lab = finished(&fields(8, 5));
    lab.run(&config).unwrap();
    assert_eq!(lab.digests(), expected);
    let lab = Lab::new();
    lab.run_with_threads(&config, 3);
    assert_eq!(lab.digests(), expected);
}

#[test]
fn phases_have_the_keys_of_their_version() {
    let found = keys(&config(&fields(15, 3)).unwrap());
    assert_eq!(found, ["train 3 be0b5b7014e4", "decay 3 521d70b11eda"]);
}
