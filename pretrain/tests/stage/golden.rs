//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use laboratory::{SEED, check_close, keys, short};
use model::NumericProfile;
use pipelines::key::canonical;
use pipelines::stage::Stage;

use crate::lab::{Lab, config};
use crate::training::fields;

#[test]
fn phases_have_the_keys_of_their_version() {
    let found = keys(&config(&fields(15, 3)).unwrap());
    assert_eq!(found, ["train 3 28ff0546f34c", "decay 3 c4f0ef1631c7"]);
    let with = |more: &str| keys(&config(&format!("{more}\n{}", fields(15, 3))).unwrap());
    assert_eq!(with("dropout = 0.0\nrecompute = true"), found);
    assert_ne!(with("dropout = 0.1"), found);
}

#[test]
fn nothing_before_the_decay_knows_the_length_of_the_run() {
    let first = |total, decay| {
        let phases = config(&fields(total, decay)).unwrap().phases(SEED);
        canonical(&phases[0].config())
    };
    assert_eq!(first(15, 3), first(20, 8));
    assert_ne!(first(15, 3), first(15, 4));
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn phases_write_the_bytes_of_their_version() {
    let found = NumericProfile::resolve();
    if found != NumericProfile::X86V4 {
        eprintln!("skipped: the digests are those of the profile x86-v4, not {found}");
        return;
    }
    let lab = Lab::new();
    lab.run(&fields(15, 3)).unwrap();
    assert_eq!(
        short(&lab.digests()),
        [
            "config.json 1e78c6bae267",
            "generation_config.json e7cf47e362fd",
            "metrics.jsonl 9c9f6dbaf916",
            "model.safetensors 2b751cce04a3",
            "state/state c350dab397db",
            "tokenizer.json e17f37a41cb8",
            "tokenizer_config.json e29d033baf1d",
        ]
    );
}

/// A wrong rate, another order of the data or a lost step show far above this.
const TOLERANCE: f64 = 1e-4;

#[test]
fn every_machine_measures_the_same_but_for_rounding() {
    let lab = Lab::new();
    lab.run(&fields(15, 3)).unwrap();
    let metrics = lab.metrics();
    let check = |name: &str, expected: &[f64]| {
        let found: Vec<f64> = metrics.iter().filter_map(|line| line[name].as_f64()).collect();
        check_close(name, &found, expected, TOLERANCE);
    };
    check("train_loss", &[4.698136540526576, 3.4419649320523025, 2.6678367382116517]);
    check("grad_norm", &[1.3055255748361698, 1.1487463969394327, 0.8965701515738449]);
    check(
        "validation_loss",
        &[
            5.617552469170455,
            4.689284940749467,
            3.667565329643178,
            2.8636962955687952,
            2.6080128437123444,
        ],
    );
}
