//! A BERT that learns to guess masked tokens.

use laboratory::{Fate, keys};
use model::Checkpoint;

use crate::lab::{Lab, Shards, config};

const SHARDS: Shards = Shards { train: 40, validation: 6, wide: false, special: true };

fn fields(total: u64, decay: u64) -> String {
    format!(
        "objective = \"masked\"\nmodel = {{ family = \"bert\", hidden_size = 16, num_hidden_layers = 1, \
         num_attention_heads = 2 }}\nseq_len = 14\nmicro_batch_size = 3\nmicro_batches_per_step = 2\neval_every = 4\n\
         eval_sequences = 4\nlog_every = 5\nsave_every = 3\n\
         schedule = {{ peak_lr = 0.01, warmup_steps = 2, decay_steps = {decay}, total_steps = {total} }}"
    )
}

fn finished(fields: &str) -> Lab {
    let lab = Lab::with(SHARDS);
    lab.run(fields).unwrap();
    lab
}

#[test]
fn a_model_learns_and_loads() {
    let lab = finished(&fields(60, 6));
    let lines: Vec<_> = lab.metrics();
    let lines: Vec<_> = lines.iter().filter(|line| line["validation_loss"].is_f64()).collect();
    let losses: Vec<f64> =
        lines.iter().map(|line| line["validation_loss"].as_f64().unwrap()).collect();
    // A fresh model guesses among 268 tokens: ln 268 = 5.6 nats a token.
    assert!(losses[0] > 5.0 && *losses.last().unwrap() < 3.6, "{losses:?}");
    let counted: Vec<_> = lines.iter().map(|line| line["validation_tokens"].as_u64()).collect();
    assert!(
        counted.iter().all(|tokens| *tokens == counted[0]),
        "validation masks differ: {counted:?}"
    );
    assert!(lines.iter().all(|line| line.get("validation_bits_per_byte").is_none()));
    let checkpoint = Checkpoint::read(&lab.dir()).unwrap();
    assert_eq!(checkpoint.config.architecture(), "BertForMaskedLM");
    assert_eq!(
        (checkpoint.config.vocab_size(), checkpoint.config.max_position_embeddings()),
        (268, 14)
    );
    let files: Vec<String> = lab.digests().into_keys().collect();
    assert_eq!(
        files,
        [
            "config.json",
            "metrics.jsonl",
            "model.safetensors",
            "state/state",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
}

#[test]
fn interrupted_longer_and_threaded_runs_end_as_if_nothing_had_happened() {
    let config = fields(14, 5);
    let expected = finished(&config).digests();
    for at in [1, 7, 11] {
        let lab = Lab::with(SHARDS);
        lab.interrupt(&config, Fate::Cancelled(at));
        lab.run(&config).unwrap();
        assert_eq!(lab.digests(), expected, "cancelled at {at}");
    }
    let lab = finished(&fields(8, 5));
    lab.run(&config).unwrap();
    assert_eq!(lab.digests(), expected);
    let lab = Lab::with(SHARDS);
    lab.run_with_threads(&config, 3);
    assert_eq!(lab.digests(), expected);
}

#[test]
fn words_may_be_masked_whole() {
    let whole = fields(4, 0) + "\nmask = { probability = 0.3, whole_word = true }";
    assert_ne!(finished(&whole).digests(), finished(&fields(4, 0)).digests());
}

#[test]
fn a_vocabulary_without_a_mask_is_refused() {
    let error = Lab::new().run(&fields(4, 0)).unwrap_err();
    assert!(error.contains("the vocabulary names no cls_token, expected one"), "{error}");
}

#[test]
fn phases_have_the_keys_of_their_version() {
    let found = keys(&config(&fields(15, 3)).unwrap());
    assert_eq!(found, ["train 3 4cc9ec0ca2d7", "decay 3 8f4182961fad"]);
}
