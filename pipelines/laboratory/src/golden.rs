//! What golden tests compare: keys and digests as short lines, and numbers.

use std::collections::BTreeMap;

use pipelines::digest::Digest;
use pipelines::key::Ingredients;
use pipelines::stage::Stage;
use serde_json::json;

use crate::directory::SEED;

/// The key of each phase without inputs, as `PHASE VERSION KEY`: whatever a phase may read of its config is in it.
///
/// A numeric profile counts as `x86-v4`, so that the keys are the same on every machine.
pub fn keys(stage: &dyn Stage) -> Vec<String> {
    let line = |phase: Box<dyn pipelines::stage::Phase>| {
        let (name, version, mut config) = (phase.name(), phase.version(), phase.config());
        if let Some(profile) = config.get_mut("numeric_profile") {
            *profile = json!("x86-v4");
        }
        let (stage, phase, inputs) = (stage.name().to_owned(), name.to_owned(), Vec::new());
        let key = Ingredients { stage, phase, version, config, inputs }.key();
        format!("{name} {version} {}", key.short())
    };
    stage.phases(SEED).into_iter().map(line).collect()
}

/// Digests as `PATH DIGEST`, shortened.
pub fn short(digests: &BTreeMap<String, Digest>) -> Vec<String> {
    digests.iter().map(|(path, digest)| format!("{path} {}", digest.short())).collect()
}

/// Holds numbers, which `what` names, to those of the profile `x86-v4`. Another profile rounds otherwise, by 1e-7 of a number,
/// and training makes more of it: `tolerance`, as a share of each.
///
/// # Panics
/// If one is further off, or there are more or fewer.
#[track_caller]
pub fn check_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let is_close = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * b.abs();
    let close = found.iter().zip(expected).all(is_close);
    assert!(close && found.len() == expected.len(), "{what}: {found:?}, expected {expected:?}");
}
