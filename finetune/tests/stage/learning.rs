//! Classifiers learn what is in their rows, and depend on nothing else.

use crate::lab::{Base, Lab};
use laboratory::Fate;
use model::{Checkpoint, Head, ModelConfig};
use serde_json::{Value, json};

fn finished(fields: Value) -> Lab {
    let lab = Lab::new();
    lab.run(fields).unwrap();
    lab
}

#[test]
fn a_classifier_learns_and_loads_whatever_it_starts_from() {
    for init in ["pretrained", "scratch"] {
        let lab = finished(json!({ "init": init }));
        for seed in [1, 2] {
            let last = lab.last(seed);
            assert_eq!(
                (&last["epoch"], &last["step"], &last["validation_rows"]),
                (&8.into(), &32.into(), &20.into())
            );
            assert_eq!(last["validation_accuracy"], 1.0, "{init}: {last}");
            assert_eq!(last["validation_macro_f1"], 1.0, "{init}: {last}");
            let checkpoint = Checkpoint::read(&lab.dir().join(format!("seed-{seed}"))).unwrap();
            let labels = vec!["negative".to_owned(), "positive".to_owned()];
            assert_eq!(checkpoint.config.head(), &Head::SequenceClassification { labels });
            let ModelConfig::Llama(config) = &checkpoint.config else { unreachable!() };
            assert_eq!(config.pad_token_id, None, "the end of text pads, and must be pooled");
        }
        assert_eq!(lab.artifact().details["labels"], json!(["negative", "positive"]));
    }
}

#[test]
fn a_gpt2_learns_labels_by_its_last_token() {
    let lab = Lab::classifying(Base::Gpt2);
    lab.run(json!({})).unwrap();
    for seed in [1, 2] {
        assert_eq!(lab.last(seed)["validation_accuracy"], 1.0, "{}", lab.last(seed));
        let checkpoint = Checkpoint::read(&lab.dir().join(format!("seed-{seed}"))).unwrap();
        assert_eq!(checkpoint.config.architecture(), "GPT2ForSequenceClassification");
        let ModelConfig::Gpt2(config) = &checkpoint.config else { unreachable!() };
        assert_eq!(config.pad_token_id, None, "the end of text pads, and must be pooled");
        assert_eq!(config.attn_pdrop, 0.1, "what is dropped is written back");
    }
}

#[test]
fn every_seed_has_a_whole_model_directory() {
    let lab = finished(json!({ "epochs": 1 }));
    let digests = lab.digests();
    let files: Vec<&str> = digests.keys().filter_map(|path| path.strip_prefix("seed-2/")).collect();
    assert_eq!(
        files,
        [
            "config.json",
            "metrics.jsonl",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    assert_eq!(digests.len(), 10);
    assert_ne!(digests["seed-1/model.safetensors"], digests["seed-2/model.safetensors"]);
}

#[test]
fn shuffled_labels_cannot_be_learnt() {
    let loss = |fields| finished(fields).last(1)["train_loss"].as_f64().unwrap();
    let fair = loss(json!({ "seeds": [1], "epochs": 4 }));
    let shuffled = loss(json!({ "seeds": [1], "epochs": 4, "shuffle_labels": true }));
    // A guess costs ln 2 = 0.69 nats a row.
    assert!(fair < 0.3 && shuffled > 0.6, "{fair} {shuffled}");
}

#[test]
fn a_further_seed_runs_alone() {
    let lab = finished(json!({ "epochs": 1 }));
    let before = lab.digests();
    let ran = lab.run(json!({ "epochs": 1, "seeds": [1, 2, 3] })).unwrap();
    assert_eq!(ran.tasks("task"), ["train/seed-3"]);
    let after = lab.digests();
    assert!(before.iter().all(|(path, digest)| after[path] == *digest));
}

#[test]
fn a_model_from_scratch_does_not_depend_on_the_weights() {
    let scratch = json!({ "epochs": 1, "init": "scratch" });
    let mut lab = finished(scratch.clone());
    lab.base = Base::Llama(2);
    let trained = |lab: &Lab, fields: &Value| lab.run(fields.clone()).unwrap().tasks("task").len();
    assert_eq!(trained(&lab, &scratch), 0);
    assert_eq!(trained(&lab, &json!({ "epochs": 1 })), 2);
    lab.base = Base::Llama(1);
    assert_eq!(trained(&lab, &json!({ "epochs": 1 })), 2);
}

#[test]
fn threads_do_not_change_a_byte() {
    let fields = json!({ "epochs": 2 });
    let expected = finished(fields.clone()).digests();
    for threads in [1, 2, 4] {
        let lab = Lab::new();
        lab.run_with_threads(fields.clone(), threads);
        assert_eq!(lab.digests(), expected, "{threads} threads");
    }
}

/// Interrupts a run of two epochs, each of four steps and a validation, as `fates` say, one after the other; then it goes on
/// from step `from`, and ends with the bytes of a calm run.
#[track_caller]
fn check_resumes(fates: &[Fate], from: u64) {
    let fields = json!({ "epochs": 2, "seeds": [1] });
    let lab = Lab::new();
    for fate in fates {
        let message = lab.interrupt(fields.clone(), *fate);
        if let Fate::Cancelled(_) = fate {
            assert!(message.contains("interrupted; run again"), "{message}");
        }
    }
    let advances = lab.run(fields.clone()).unwrap().advances();
    let steps = usize::try_from(8 - from).unwrap();
    let expected = [if from > 0 { vec![from] } else { vec![] }, vec![1; steps]].concat();
    assert_eq!(advances, expected, "{fates:?}");
    assert_eq!(lab.digests(), finished(fields).digests(), "{fates:?}");
    assert!(lab.states().is_empty(), "a finished task keeps no state");
}

#[test]
fn a_cancelled_run_repeats_no_step() {
    for at in [1, 3, 5, 7] {
        check_resumes(&[Fate::Cancelled(at)], at);
    }
    check_resumes(&[Fate::Cancelled(2), Fate::Cancelled(3), Fate::Cancelled(6)], 6);
}

#[test]
fn a_run_that_is_cancelled_before_a_validation_goes_on_with_it() {
    check_resumes(&[Fate::Cancelled(4)], 4);
    check_resumes(&[Fate::Cancelled(8)], 8);
}

#[test]
fn a_killed_run_goes_on_behind_the_last_whole_epoch() {
    check_resumes(&[Fate::Killed(3)], 0);
    check_resumes(&[Fate::Killed(6)], 4);
    check_resumes(&[Fate::Cancelled(6), Fate::Killed(7)], 6);
}

#[test]
fn interrupted_seeds_each_go_on_where_they_were() {
    let fields = json!({ "epochs": 2 });
    let lab = Lab::new();
    // The first seed takes eight steps; the second is cancelled in its second epoch.
    lab.interrupt(fields.clone(), Fate::Cancelled(13));
    let ran = lab.run(fields.clone()).unwrap();
    assert_eq!(
        (ran.tasks("task"), ran.advances()),
        (vec!["train/seed-2".into()], vec![5, 1, 1, 1])
    );
    assert_eq!(lab.digests(), finished(fields).digests());
}

#[test]
fn without_validation_rows_there_is_only_a_loss() {
    let mut lab = Lab::new();
    lab.rows.truncate(60);
    lab.run(json!({ "epochs": 1, "seeds": [1] })).unwrap();
    let columns: Vec<String> = lab.last(1).as_object().unwrap().keys().cloned().collect();
    assert_eq!(columns.len(), 3, "{columns:?}");
}
