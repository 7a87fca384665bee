//! Config and bytes of the phase. If its bytes change it must raise its version; then this is written anew.

use laboratory::{SEED, keys, short};
use model::NumericProfile;
use pipelines::stage::Stage;
use serde_json::json;

use crate::lab::{Lab, config};

#[test]
fn the_phase_has_the_key_of_its_version() {
    let golden = keys(&config(json!({})));
    assert_eq!(golden, ["train 1 92907d1e740e"]);
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
