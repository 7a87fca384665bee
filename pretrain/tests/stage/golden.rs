//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use std::path::Path;

use model::NumericProfile;
use pipelines::key::{Ingredients, canonical};
use pipelines::manifest::Manifest;
use pipelines::stage::{Phase, Stage};

use crate::lab::{Lab, TestStage};
use crate::training::fields;

pub fn config(fields: &str, profile: &str) -> pretrain::Config {
    let fields = format!("shards = \"shards\"\nnumeric_profile = \"{profile}\"\n{fields}");
    let text = format!("name = \"test\"\n[steps.base.pretrain]\n{fields}\n");
    let manifest = Manifest::<TestStage>::parse(&text, Path::new("test.toml")).unwrap();
    match &manifest.steps["base"] {
        TestStage::Pretrain(config) => config.as_ref().clone(),
        TestStage::Write(_) => unreachable!("`base` pre-trains"),
    }
}

/// Keys without inputs: whatever a phase may read of its config is in them.
#[test]
fn phases_have_the_keys_of_their_version() {
    let of = |phase: &dyn Phase| {
        let (stage, inputs) = ("pretrain".to_owned(), Vec::new());
        let (name, version) = (phase.name().to_owned(), phase.version());
        let config = phase.config();
        let key = Ingredients { stage, phase: name, version, config, inputs }.key();
        (phase.name(), version, key.short())
    };
    let keys: Vec<_> =
        config(&fields(15, 3), "x86-v4").phases(7).iter().map(|phase| of(phase.as_ref())).collect();
    let found: Vec<_> =
        keys.iter().map(|(name, version, key)| (*name, *version, key.as_str())).collect();
    assert_eq!(found, [("train", 1, "091d0adb06a4"), ("decay", 1, "9ee0d8f167a9")]);
}

#[test]
fn nothing_before_the_decay_knows_the_length_of_the_run() {
    let first = |total, decay| {
        let phases = config(&fields(total, decay), "portable").phases(7);
        canonical(&phases[0].config())
    };
    assert_eq!(first(15, 3), first(20, 8));
    assert_ne!(first(15, 3), first(15, 4));
}

/// Floating point differs from profile to profile, so the digests are those of one.
#[test]
fn phases_write_the_bytes_of_their_version() {
    if NumericProfile::resolve() != NumericProfile::X86V4 {
        eprintln!(
            "skipped: the digests are those of the profile x86-v4, not {}",
            NumericProfile::resolve()
        );
        return;
    }
    let lab = Lab::new();
    lab.run(&fields(15, 3)).unwrap();
    let digests = lab.digests();
    let found: Vec<_> =
        digests.iter().map(|(path, digest)| (path.as_str(), digest.short())).collect();
    let found: Vec<_> = found.iter().map(|(path, digest)| (*path, digest.as_str())).collect();
    let expected = [
        ("config.json", "1e78c6bae267"),
        ("generation_config.json", "e7cf47e362fd"),
        ("metrics.jsonl", "08e431af611b"),
        ("model.safetensors", "7b49a14920e1"),
        ("state/state", "31851bd08bbf"),
        ("tokenizer.json", "e17f37a41cb8"),
        ("tokenizer_config.json", "e29d033baf1d"),
    ];
    assert_eq!(found, expected);
}
