//! Why a task will run, or will not: its ingredients against those of the last run.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{At, Result};
use crate::key::{Ingredients, KeyedInput};
use crate::plan::{PlannedStep, PlannedTask, State};
use crate::store::Store;

/// What a step's tasks depended on when it was last done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LastRun {
    phases: BTreeMap<String, LastPhase>,
}

/// What the tasks of a phase depended on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LastPhase {
    /// What they have in common, without inputs.
    common: Ingredients,
    /// The inputs of each.
    tasks: BTreeMap<String, Vec<KeyedInput>>,
}

impl LastRun {
    /// What the tasks of `step` depend on now.
    pub fn of(step: &PlannedStep) -> Self {
        let mut phases: BTreeMap<String, LastPhase> = BTreeMap::new();
        for (name, task) in step.tasks() {
            if !phases.contains_key(name) {
                let Some(ingredients) = task.ingredients() else { continue };
                let common = Ingredients { inputs: Vec::new(), ..ingredients };
                phases.insert(name.to_owned(), LastPhase { common, tasks: BTreeMap::new() });
            }
            if let Some(phase) = phases.get_mut(name).filter(|_| task.key().is_some()) {
                phase.tasks.insert(task.task.name.clone(), task.keyed_inputs());
            }
        }
        Self { phases }
    }

    fn path(store: &Store, step: &str) -> PathBuf {
        store.root().join("last").join(format!("{step}.json"))
    }

    /// Remembers what the tasks of `step` depend on now, if it is not what is remembered already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(step: &PlannedStep, store: &Store) -> Result<()> {
        let path = Self::path(store, &step.name);
        // One digest over all keys tells whether anything has changed, without reading what may be long.
        let (stamp, stamp_path) = (stamp(step), path.with_extension("stamp"));
        if path.exists() && fs::read_to_string(&stamp_path).is_ok_and(|known| known == stamp) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&Self::of(step))
            .map_err(std::io::Error::other)
            .at("write", &path)?;
        store.write_in_place(&path, &bytes)?;
        store.write_in_place(&stamp_path, stamp.as_bytes())
    }

    /// What is remembered of `step`; nothing if it was never done.
    pub fn load(store: &Store, step: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(store, step)).ok()?).ok()
    }

    /// Why `task` will run or not, one reason a line.
    pub fn reasons(last: Option<&Self>, phase: &str, task: &PlannedTask) -> Vec<String> {
        if let State::Waits(phase) = &task.state {
            return vec![format!(
                "decided after {phase}: it reads what that phase is still to make"
            )];
        }
        let Some(now) = &task.ingredients() else { return Vec::new() };
        let before = last.and_then(|last| last.phases.get(phase)?.ingredients(&task.task.name));
        match (&task.state, &before) {
            (State::Done(_), Some(before)) if before.key() == now.key() => {
                vec!["nothing that it depends on has changed".into()]
            }
            (State::Done(_), _) => vec!["an earlier run made exactly this".into()],
            (_, None) if last.is_none() => vec!["the step was never run to its end".into()],
            (_, None) => vec![format!("no task of this name was there: {}", new_inputs(now))],
            (_, Some(before)) if before.key() == now.key() => {
                vec!["its result is no longer in the store".into()]
            }
            (_, Some(before)) => differences(before, now),
        }
    }
}

impl LastPhase {
    fn ingredients(&self, task: &str) -> Option<Ingredients> {
        let inputs = self.tasks.get(task)?.clone();
        Some(Ingredients { inputs, ..self.common.clone() })
    }
}

/// BLAKE3 over the keys of all tasks of a step.
fn stamp(step: &PlannedStep) -> String {
    let mut hasher = blake3::Hasher::new();
    for (phase, task) in step.tasks() {
        for text in [phase, task.task.name.as_str()] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.update(task.key().map_or([0; 32], |key| *key.as_bytes()).as_slice());
    }
    Digest::from(&hasher).to_string()
}

fn new_inputs(now: &Ingredients) -> String {
    let names: Vec<String> = now.inputs.iter().take(3).map(|input| input.name.clone()).collect();
    let more = now.inputs.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("it reads {}{more}", names.join(", "))
}

/// What differs between two sets of ingredients.
fn differences(before: &Ingredients, now: &Ingredients) -> Vec<String> {
    let mut reasons = Vec::new();
    if before.version != now.version {
        reasons
            .push(format!("the phase's version went from {} to {}", before.version, now.version));
    }
    compare_config("", &before.config, &now.config, &mut reasons);
    let known = |input: &KeyedInput| (input.role.clone(), input.tag.clone(), input.digest);
    let old: HashSet<_> = before.inputs.iter().map(known).collect();
    let new: HashSet<_> = now.inputs.iter().map(known).collect();
    for input in now.inputs.iter().filter(|input| !old.contains(&known(input))) {
        reasons.push(format!(
            "`{}` {} is new or has changed ({:?})",
            input.role, input.name, input.digest
        ));
    }
    for input in before.inputs.iter().filter(|input| !new.contains(&known(input))) {
        reasons.push(format!(
            "`{}` {} was there with {:?}, and is not now",
            input.role, input.name, input.digest
        ));
    }
    if reasons.is_empty() {
        reasons.push("its inputs come in another order".into());
    }
    reasons
}

fn compare_config(path: &str, before: &Value, now: &Value, reasons: &mut Vec<String>) {
    if let (Value::Object(old), Value::Object(new)) = (before, now) {
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let get = |map: &serde_json::Map<String, Value>| {
                map.get(name).cloned().unwrap_or(Value::Null)
            };
            compare_config(&inner, &get(old), &get(new), reasons);
        }
    } else if before != now {
        reasons.push(format!("config `{path}` went from {before} to {now}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_the_field_and_the_input() {
        let input = |bytes: &[u8], name: &str| KeyedInput {
            role: "unit".into(),
            tag: String::new(),
            digest: Digest::of(bytes),
            name: name.into(),
        };
        let before = Ingredients {
            stage: "s".into(),
            phase: "p".into(),
            version: 1,
            config: json!({"rules": {"min_words": 50, "max_words": 9}}),
            inputs: vec![input(b"a", "a.jsonl"), input(b"b", "b.jsonl")],
        };
        let now = Ingredients {
            version: 2,
            config: json!({"rules": {"min_words": 60, "max_words": 9}}),
            inputs: vec![input(b"a", "renamed.jsonl"), input(b"c", "b.jsonl")],
            ..before.clone()
        };
        let reasons = differences(&before, &now);
        assert_eq!(reasons[0], "the phase's version went from 1 to 2");
        assert_eq!(reasons[1], "config `rules.min_words` went from 50 to 60");
        assert!(reasons[2].starts_with("`unit` b.jsonl is new or has changed"), "{}", reasons[2]);
        assert!(reasons[3].starts_with("`unit` b.jsonl was there with"), "{}", reasons[3]);
        assert_eq!(reasons.len(), 4);
    }
}
