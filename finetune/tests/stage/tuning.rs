//! What learns, how fast, and in which pieces.

use laboratory::Fate;
use model::{Checkpoint, ModelConfig, Part};
use serde_json::{Value, json};

use crate::lab::{Base, Lab};

fn finished(fields: Value) -> Lab {
    let lab = Lab::new();
    lab.run(fields).unwrap();
    lab
}

#[test]
fn what_is_frozen_is_that_of_the_checkpoint() {
    let freeze = json!({ "embeddings": true, "layers": 1 });
    let tags = Lab::tagging(Base::TaggingBert);
    for (lab, task) in [(Lab::new(), "sequence-classification"), (tags, "token-classification")] {
        lab.run(json!({ "epochs": 1, "task": task, "freeze": freeze })).unwrap();
        // Each seed has an order and a head of its own, so that what both have is what both came from.
        let [first, second] =
            [1, 2].map(|seed| Checkpoint::read(&lab.dir().join(format!("seed-{seed}"))).unwrap());
        for (first, second) in first.weights.iter().zip(second.weights.iter()) {
            let is_frozen = matches!(first.part, Part::Embeddings | Part::Layer(0));
            assert_eq!(first.value == second.value, is_frozen, "{}", first.name);
        }
    }
}

#[test]
fn more_layers_than_there_are_cannot_be_frozen() {
    let error = Lab::new().run(json!({ "freeze": { "layers": 9 } })).unwrap_err();
    assert!(error.contains("`freeze.layers` is 9; expected at most"), "{error}");
}

#[test]
fn a_step_in_pieces_is_the_same_but_for_rounding() {
    let losses = [json!({}), json!({ "micro_batch_size": 3 })].map(|mut fields| {
        fields["epochs"] = json!(2);
        let last = finished(fields).last(1);
        ["train_loss", "validation_loss"].map(|name| last[name].as_f64().unwrap())
    });
    for (whole, pieces) in losses[0].iter().zip(losses[1]) {
        assert!((whole / pieces - 1.0).abs() < 1e-3, "{losses:?}");
    }
    assert_ne!(losses[0], losses[1]);
}

#[test]
fn activations_that_are_made_again_make_no_difference() {
    let fields = |recompute: bool| json!({ "epochs": 2, "seeds": [1], "recompute": recompute });
    let lab = finished(fields(true));
    assert_eq!(lab.digests(), finished(fields(false)).digests());
    assert!(lab.run(fields(false)).unwrap().advances().is_empty());
}

#[test]
fn what_the_config_says_is_dropped_unless_the_manifest_says_otherwise() {
    let run = |base: Base, fields: Value| {
        let lab = Lab::classifying(base);
        lab.run(fields).unwrap();
        let config = Checkpoint::read(&lab.dir().join("seed-1")).unwrap().config;
        (lab.last(1)["train_loss"].as_f64().unwrap(), config)
    };
    let fields = |dropout: Value| json!({ "epochs": 1, "seeds": [1], "dropout": dropout });
    let (of_config, _) = run(Base::Gpt2, fields(Value::Null));
    let (same, _) = run(Base::Gpt2, fields(json!(0.1)));
    let (none, config) = run(Base::Gpt2, fields(json!(0.0)));
    assert_eq!(of_config, same, "its config says 0.1 everywhere");
    assert_ne!(of_config, none);
    let ModelConfig::Gpt2(config) = config else { unreachable!() };
    assert_eq!([config.attn_pdrop, config.embd_pdrop, config.resid_pdrop], [0.0; 3]);
    let (of_config, _) = run(Base::Llama(1), fields(Value::Null));
    assert_eq!(of_config, run(Base::Llama(1), fields(json!(0.0))).0, "its config says 0");
    assert_ne!(of_config, run(Base::Llama(1), fields(json!(0.3))).0);
}

#[test]
fn what_is_dropped_is_the_same_after_an_interruption_and_on_more_threads() {
    let fields = json!({
        "task": "token-classification", "dropout": 0.2, "epochs": 3, "seeds": [1],
        "micro_batch_size": 5,
    });
    for base in [Base::TaggingBert, Base::TaggingGpt2] {
        let [whole, killed, threaded] = [0; 3].map(|_| Lab::tagging(base));
        whole.run(fields.clone()).unwrap();
        killed.interrupt(fields.clone(), Fate::Killed(7));
        killed.run(fields.clone()).unwrap();
        assert_eq!(killed.digests(), whole.digests());
        let mut again = fields.clone();
        again["recompute"] = json!(true);
        threaded.run_with_threads(again, 3);
        assert_eq!(threaded.digests(), whole.digests());
    }
}

#[test]
fn every_optimizer_learns_and_goes_on_where_it_was_killed() {
    for (optimizer, peak_lr) in [
        (json!({ "kind": "muon", "scale": "match-rms-adamw" }), 0.01),
        (json!({ "kind": "sgd", "nesterov": true }), 0.1),
    ] {
        let fields = json!({
            "optimizer": optimizer, "peak_lr": peak_lr, "layer_lr_decay": 0.9, "epochs": 4,
            "seeds": [1], "freeze": { "layers": 1 }, "micro_batch_size": 5,
        });
        let lab = finished(fields.clone());
        let last = lab.last(1);
        // A guess costs ln 2 = 0.69 nats a row.
        assert!(last["train_loss"].as_f64().unwrap() < 0.5, "{last}");
        let killed = Lab::new();
        killed.interrupt(fields.clone(), Fate::Killed(7));
        killed.run(fields).unwrap();
        assert_eq!(killed.digests(), lab.digests(), "{optimizer}");
    }
}
