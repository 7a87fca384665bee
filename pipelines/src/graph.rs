//! The graph of steps, derived from the fields that name them.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::manifest::Manifest;
use crate::stage::{Stage, Wanted};

/// What a field that names an artifact refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A step of the manifest.
    Step(&'a str),
    /// The directory of a published artifact.
    Path(&'a str),
}

impl<'a> Reference<'a> {
    /// A path contains `/`, `.` or `://`; anything else is a step.
    pub fn of(text: &'a str) -> Self {
        if text.contains(['/', '.']) { Reference::Path(text) } else { Reference::Step(text) }
    }
}

/// The steps in an order in which each stands behind those that it reads; by name where that leaves a choice.
///
/// # Errors
/// When a field names a step that is not there or does not make what is read, or steps read each other in a circle.
pub fn order<S: Stage>(manifest: &Manifest<S>) -> Result<Vec<String>> {
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let upstream: BTreeMap<&str, Vec<String>> = manifest
        .steps
        .iter()
        .map(|(name, stage)| Ok((name.as_str(), upstream(manifest, name, stage)?)))
        .collect::<Result<_>>()?;
    for (name, steps) in &upstream {
        waiting.insert(name, steps.iter().map(String::as_str).collect());
    }
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let ready =
            waiting.iter().find(|(_, steps)| steps.iter().all(|step| !waiting.contains_key(step)));
        let Some(ready) = ready.map(|(name, _)| *name) else {
            let names: Vec<&str> = waiting.keys().copied().collect();
            let message = format!("it waits for itself through {}", names.join(", "));
            return Err(Error::Step { step: names[0].to_owned(), message });
        };
        waiting.remove(ready);
        order.push(ready.to_owned());
    }
    Ok(order)
}

/// The steps that `stage` reads, checked to be there and to make what it reads.
fn upstream<S: Stage>(manifest: &Manifest<S>, name: &str, stage: &S) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    for input in stage.inputs() {
        let Wanted::Artifacts { kind, references } = input.wanted else { continue };
        for reference in &references {
            if let Reference::Step(step) = Reference::of(reference) {
                check(manifest, step, kind).map_err(|message| Error::Step {
                    step: name.to_owned(),
                    message: format!("`{} = \"{step}\"`: {message}", input.field),
                })?;
                steps.push(step.to_owned());
            }
        }
    }
    Ok(steps)
}

fn check<S: Stage>(manifest: &Manifest<S>, step: &str, kind: Kind) -> Result<(), String> {
    let makers = || {
        let makes = manifest.steps.iter().filter(|(_, stage)| stage.kinds().contains(&kind));
        let names: Vec<&str> = makes.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            format!("no step makes {kind}")
        } else {
            format!("{kind} come from {}", names.join(", "))
        }
    };
    match manifest.steps.get(step) {
        None => Err(format!("there is no such step; {} (a path would contain `/`)", makers())),
        Some(stage) if !stage.kinds().contains(&kind) => {
            let kinds: Vec<&str> = stage.kinds().into_iter().map(Kind::name).collect();
            Err(format!("that step makes {}; {}", kinds.join(", "), makers()))
        }
        Some(_) => Ok(()),
    }
}
