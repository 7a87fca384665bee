//! Config and bytes of the phase. If its bytes change it must raise its version; then this is written anew.

use laboratory::{SEED, check_close, keys, short};
use model::NumericProfile;
use pipelines::stage::Stage;
use serde_json::json;

use crate::lab::{Lab, config};

#[test]
fn the_phase_has_the_key_of_its_version() {
    let golden = keys(&config(json!({})));
    assert_eq!(golden, ["train 4 1faca2b17d52"]);
    assert_eq!(golden, keys(&config(json!({ "seeds": [9] }))));
    let of = |profile: &str| config(json!({ "numeric_profile": profile })).phases(SEED)[0].config();
    assert_ne!(of("x86-v4"), of("x86-v3"));
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn the_phase_writes_the_bytes_of_its_version() {
    let found = NumericProfile::resolve();
    if found != NumericProfile::X86V4 {
        eprintln!("skipped: the digests are those of the profile x86-v4, not {found}");
        return;
    }
    let lab = Lab::new();
    lab.run(json!({ "seeds": [1], "epochs": 2 })).unwrap();
    assert_eq!(
        short(&lab.digests()),
        [
            "seed-1/config.json 8491b5eaac28",
            "seed-1/metrics.jsonl 546d1875e19a",
            "seed-1/model.safetensors bf4a06d56519",
            "seed-1/tokenizer.json 7c0b3ac61776",
            "seed-1/tokenizer_config.json e29d033baf1d",
        ]
    );
}

/// A wrong rate, another order of the rows or a lost step show far above this.
const TOLERANCE: f64 = 1e-4;

#[test]
fn every_machine_measures_the_same_but_for_rounding() {
    let lab = Lab::new();
    lab.run(json!({ "epochs": 2 })).unwrap();
    let losses = |name| [1, 2].map(|seed| lab.last(seed)[name].as_f64().unwrap());
    let check = |name, expected: [f64; 2]| check_close(name, &losses(name), &expected, TOLERANCE);
    check("train_loss", [0.2998818399416824, 0.573948409722347]);
    check("validation_loss", [0.23001818374304633, 0.5134666021979415]);
}
