//! Training is a prefix, whatever happens on the way.

use crate::lab::{Lab, Shards, config};
use laboratory::Fate;
use model::{Checkpoint, ModelConfig};

/// A tiny run of `total` steps that decays over the last `decay`.
pub fn fields(total: u64, decay: u64) -> String {
    format!(
        "model = {{ hidden_size = 16, num_hidden_layers = 2, num_attention_heads = 2, num_key_value_heads = 1 }}\n\
         seq_len = 12\nmicro_batch_size = 3\nmicro_batches_per_step = 2\neval_every = 4\neval_sequences = 4\nlog_every = 5\n\
         save_every = 3\nschedule = {{ peak_lr = 0.01, warmup_steps = 2, decay_steps = {decay}, total_steps = {total} }}"
    )
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
    assert!(losses[0] > 5.0 && *losses.last().unwrap() < 3.0, "{losses:?}");
    let checkpoint = Checkpoint::read(&lab.dir()).unwrap();
    let ModelConfig::Llama(config) = &checkpoint.config else { unreachable!() };
    assert_eq!((config.eos_token_id.as_slice(), config.max_position_embeddings), (&[0][..], 12));
    let details = lab.artifact().details;
    assert_eq!(details["parameters"], checkpoint.weights.num_values());
    assert_eq!((&details["steps"], &details["tokens"]), (&30.into(), &(30 * 72).into()));
    let files: Vec<String> = lab.digests().into_keys().collect();
    assert_eq!(
        files,
        [
            "config.json",
            "generation_config.json",
            "metrics.jsonl",
            "model.safetensors",
            "state/state",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
}

#[test]
fn evaluations_stand_at_multiples_and_at_the_end() {
    let steps = |lab: &Lab, column: &str| -> Vec<u64> {
        let lines = lab.metrics();
        lines
            .iter()
            .filter(|line| line.get(column).is_some())
            .map(|line| line["step"].as_u64().unwrap())
            .collect()
    };
    let lab = finished(&fields(11, 4));
    assert_eq!(steps(&lab, "validation_loss"), [0, 4, 8, 11]);
    assert_eq!(steps(&lab, "train_loss"), [5, 10]);
    assert_eq!(steps(&finished(&fields(8, 0)), "validation_loss"), [0, 4, 8]);
    assert_eq!(steps(&finished(&fields(9, 0)), "validation_loss"), [0, 4, 8, 9]);
}

#[test]
fn a_longer_run_goes_on_where_the_decay_began_and_equals_one_from_nothing() {
    let lab = finished(&fields(15, 3));
    let short = lab.digests();
    assert_eq!(lab.run(&fields(25, 3)).unwrap(), [&[12][..], &[1; 10], &[1; 3]].concat());
    assert_eq!(lab.digests(), finished(&fields(25, 3)).digests());
    assert_eq!(lab.run(&fields(15, 3)).unwrap(), [0; 0]);
    assert_eq!(lab.digests(), short);
}

#[test]
fn a_run_without_decay_goes_on_at_its_end() {
    let lab = finished(&fields(15, 0));
    assert_eq!(lab.run(&fields(25, 0)).unwrap(), [&[15][..], &[1; 10]].concat());
    assert_eq!(lab.digests(), finished(&fields(25, 0)).digests());
    assert_eq!(lab.run(&fields(27, 2)).unwrap(), [1; 2]);
    assert_eq!(lab.digests(), finished(&fields(27, 2)).digests());
}

#[test]
fn interrupted_runs_end_as_if_nothing_had_happened() {
    let config = fields(14, 5);
    let expected = finished(&config).digests();
    // Of the state in the store: none, at 3, at 6; at the start of the decay, in it, at its end.
    for at in [1, 3, 7, 9, 11, 14] {
        let lab = Lab::new();
        let message = lab.interrupt(&config, Fate::Cancelled(at));
        assert!(message.contains("interrupted; run again"), "{message}");
        let resumed = lab.run(&config).unwrap();
        assert_eq!(resumed.iter().sum::<u64>(), if at <= 9 { 14 } else { 5 }, "{at}: {resumed:?}");
        assert_eq!(lab.digests(), expected, "cancelled at {at}");
        let lab = Lab::new();
        lab.interrupt(&config, Fate::Killed(at));
        lab.run(&config).unwrap();
        assert_eq!(lab.digests(), expected, "killed at {at}");
        assert_eq!(lab.run(&config).unwrap(), [0; 0]);
    }
}

#[test]
fn every_optimizer_goes_on_where_it_was_killed() {
    for optimizer in
        [r#"{ kind = "muon", lr_factor = 4.0 }"#, r#"{ kind = "sgd", weight_decay = 0.01 }"#]
    {
        let config = format!("{}\noptimizer = {optimizer}", fields(14, 5));
        let (lab, expected) = (Lab::new(), finished(&config).digests());
        lab.interrupt(&config, Fate::Killed(7));
        lab.run(&config).unwrap();
        assert_eq!(lab.digests(), expected, "{optimizer}");
        assert_ne!(expected, finished(&fields(14, 5)).digests(), "{optimizer}");
    }
}

#[test]
fn a_constant_of_another_optimizer_is_told_with_its_line() {
    let error = config("optimizer = { kind = \"sgd\", beta1 = 0.9 }").unwrap_err();
    assert!(error.contains("line 2"), "{error}");
    assert!(error.contains("`beta1` belongs to `kind = \"adamw\"` or `\"muon\"`"), "{error}");
}

#[test]
fn a_cancelled_run_loses_no_step() {
    let lab = Lab::new();
    lab.interrupt(&fields(14, 5), Fate::Cancelled(5));
    assert_eq!(lab.run(&fields(14, 5)).unwrap(), [&[5][..], &[1; 4], &[1; 5]].concat());
}

#[test]
fn threads_do_not_change_a_byte() {
    let run = |threads| {
        let lab = Lab::new();
        lab.run_with_threads(&fields(8, 2), threads);
        lab.digests()
    };
    let expected = run(1);
    assert_eq!(run(2), expected);
    assert_eq!(run(4), expected);
}

#[test]
fn how_often_states_are_saved_makes_no_difference() {
    let lab = finished(&fields(8, 2));
    let before = lab.digests();
    assert_eq!(lab.run(&fields(8, 2).replace("save_every = 3", "save_every = 1")).unwrap(), [0; 0]);
    assert_eq!(lab.digests(), before);
}

#[test]
fn activations_that_are_made_again_make_no_difference() {
    let again = format!("recompute = true\n{}", fields(8, 2));
    let lab = finished(&again);
    assert_eq!(lab.digests(), finished(&fields(8, 2)).digests());
    assert_eq!(lab.run(&fields(8, 2)).unwrap(), [0; 0]);
}

#[test]
fn what_is_dropped_is_the_same_after_an_interruption_and_on_more_threads() {
    for family in ["llama", "gpt2"] {
        let learns = |more: &str| {
            let shape =
                fields(14, 5).replace("num_key_value_heads = 1", &format!("family = \"{family}\""));
            format!("{more}\n{shape}")
        };
        let config = learns("dropout = 0.2");
        let lab = finished(&config);
        let expected = lab.digests();
        assert_ne!(expected, finished(&learns("")).digests());
        for at in [1, 7, 11] {
            let lab = Lab::new();
            lab.interrupt(&config, Fate::Killed(at));
            lab.run(&config).unwrap();
            assert_eq!(lab.digests(), expected, "{family} killed at {at}");
        }
        let threaded = Lab::new();
        threaded.run_with_threads(&learns("dropout = 0.2\nrecompute = true"), 3);
        assert_eq!(threaded.digests(), expected, "{family}");
        let losses: Vec<f64> =
            lab.metrics().iter().filter_map(|line| line["validation_loss"].as_f64()).collect();
        // A fresh model guesses among 265 tokens: ln 265 = 5.6 nats a token.
        assert!(losses[0] > 5.0 && *losses.last().unwrap() < 4.0, "{losses:?}");
        let is_said = match Checkpoint::read(&lab.dir()).unwrap().config {
            ModelConfig::Llama(config) => config.attention_dropout == 0.2,
            ModelConfig::Gpt2(config) => [config.attn_pdrop, config.embd_pdrop] == [0.2, 0.2],
            ModelConfig::Bert(_) => unreachable!(),
        };
        assert!(is_said, "{family}");
    }
}

#[track_caller]
fn check_error(shards: Shards, fields: &str, expected: &str) {
    let error = Lab::with(shards).run(fields).unwrap_err();
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn what_does_not_fit_is_an_error_that_names_found_and_expected() {
    let good = fields(4, 1);
    let shards = Shards { train: 9, validation: 2, wide: false, special: false };
    check_error(
        Shards { train: 0, ..shards },
        &good,
        "the train split holds 0 tokens, expected at least 13 for one sequence of `seq_len` and its targets",
    );
    check_error(
        Shards { wide: true, ..shards },
        &good,
        "train-00000.bin: tokens of 4 bytes, expected 2 bytes for the vocabulary of 265 tokens beside it",
    );
    check_error(shards, &good.replace("0.01", "1e30"), "expected a finite number");
    check_error(
        shards,
        &format!("{good}\nnumeric_profile = \"cuda\""),
        "numeric profile `cuda` was asked for",
    );
}

#[test]
fn a_validation_split_may_be_short_or_missing() {
    let lab = Lab::with(Shards { train: 9, validation: 0, wide: false, special: false });
    lab.run(&fields(5, 1)).unwrap();
    assert!(lab.metrics().iter().all(|line| line.get("validation_loss").is_none()));
    let lab = Lab::with(Shards { train: 9, validation: 1, wide: false, special: false });
    lab.run(&fields(5, 1).replace("seq_len = 12", "seq_len = 60")).unwrap();
    let tokens = lab.metrics()[0]["validation_tokens"].as_u64().unwrap();
    assert!((1..60).contains(&tokens), "{tokens}");
}
