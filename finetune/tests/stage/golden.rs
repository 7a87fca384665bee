//! Config and bytes of the phase. If its bytes change it must raise its version; then this is written anew.

use model::NumericProfile;
use pipelines::key::Ingredients;
use pipelines::stage::Stage;
use serde_json::json;

use crate::lab::{Lab, config};

/// The key without inputs: whatever the phase may read of its config is in it.
#[test]
fn the_phase_has_the_key_of_its_version() {
    let key = |fields: serde_json::Value| {
        let phase = config(fields).phases(7).remove(0);
        Ingredients {
            stage: "finetune".to_owned(),
            phase: phase.name().to_owned(),
            version: phase.version(),
            config: phase.config(),
            inputs: Vec::new(),
        }
        .key()
        .short()
    };
    let golden = key(json!({ "numeric_profile": "x86-v4" }));
    assert_eq!(golden, "92907d1e740e");
    assert_eq!(golden, key(json!({ "numeric_profile": "x86-v4", "seeds": [9] })));
    assert_ne!(golden, key(json!({ "numeric_profile": "x86-v3" })));
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn the_phase_writes_the_bytes_of_its_version() {
    if NumericProfile::resolve() != NumericProfile::X86V4 {
        eprintln!(
            "skipped: the digests are those of the profile x86-v4, not {}",
            NumericProfile::resolve()
        );
        return;
    }
    let lab = Lab::new();
    lab.run(json!({ "seeds": [1], "epochs": 2 })).unwrap();
    let digests = lab.digests();
    let found: Vec<_> =
        digests.iter().map(|(path, digest)| (path.as_str(), digest.short())).collect();
    let found: Vec<_> = found.iter().map(|(path, digest)| (*path, digest.as_str())).collect();
    let expected = [
        ("seed-1/config.json", "8491b5eaac28"),
        ("seed-1/metrics.jsonl", "546d1875e19a"),
        ("seed-1/model.safetensors", "bf4a06d56519"),
        ("seed-1/tokenizer.json", "7c0b3ac61776"),
        ("seed-1/tokenizer_config.json", "e29d033baf1d"),
    ];
    assert_eq!(found, expected);
}
