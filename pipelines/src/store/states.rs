//! Training states: what a run of another length, or the next attempt, may start from.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Store;
use crate::digest::Digest;
use crate::error::{At, Result};
use crate::record::OutputRecord;

/// A training state: one file, whose content differs from step to step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Whether it serves only until its task is done.
    pub passing: bool,
    /// Its file: an object, or for a passing state a file beside this record.
    pub file: OutputRecord,
}

impl Store {
    fn states_dir(&self, prefix: &Digest) -> PathBuf {
        self.root.join("states").join(prefix.hex())
    }

    /// Keeps a training state as reached after `step` steps of `prefix`. A passing state never takes the place of one
    /// that is kept for longer runs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_state(&self, prefix: &Digest, step: u64, state: &TrainingState) -> Result<()> {
        let path = self.states_dir(prefix).join(format!("{step}.json"));
        if state.passing && read_state(&path).is_some_and(|known| !known.passing) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(state).expect("a state has string keys only");
        self.write_in_place(&path, &bytes)
    }

    /// Where a passing state's file stands: outside of the objects, so that letting it go takes nothing from anyone.
    pub(crate) fn passing_path(&self, prefix: &Digest, step: u64) -> PathBuf {
        self.states_dir(prefix).join(format!("{step}.state"))
    }

    /// The training states of `prefix` with at most `limit` steps, the longest first.
    ///
    /// # Errors
    /// When the directory of states cannot be read.
    pub fn states(&self, prefix: &Digest, limit: u64) -> Result<Vec<(u64, TrainingState)>> {
        let dir = self.states_dir(prefix);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("read", &dir),
        };
        let mut states: Vec<(u64, TrainingState)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let step = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
                // A state that a finished attempt lets go meanwhile is one that is not needed.
                (step <= limit).then(|| Some((step, read_state(&path)?))).flatten()
            })
            .filter(|(step, state)| self.has_state(prefix, *step, state))
            .collect();
        states.sort_unstable_by_key(|(step, _)| std::cmp::Reverse(*step));
        Ok(states)
    }

    fn has_state(&self, prefix: &Digest, step: u64, state: &TrainingState) -> bool {
        let path = self.state_path(prefix, step, state);
        fs::metadata(path).is_ok_and(|found| found.len() == state.file.bytes)
    }

    /// Where a state's file stands.
    pub(crate) fn state_path(&self, prefix: &Digest, step: u64, state: &TrainingState) -> PathBuf {
        match state.passing {
            true => self.passing_path(prefix, step),
            false => self.object_path(&state.file.digest),
        }
    }

    /// Lets go of the passing states of `prefix` below step `below`, and of their files.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn drop_passing_states(&self, prefix: &Digest, below: u64) -> Result<()> {
        let dir = self.states_dir(prefix);
        for (step, state) in self.states(prefix, below.saturating_sub(1))? {
            if state.passing {
                remove_if_there(&dir.join(format!("{step}.json")))?;
                remove_if_there(&self.passing_path(prefix, step))?;
            }
        }
        Ok(())
    }
}

fn read_state(path: &Path) -> Option<TrainingState> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use litemap::LiteMap;

    #[test]
    fn passing_states_come_and_go_and_kept_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let (digest, sections) = (store.put(b"state").unwrap(), LiteMap::new());
        let file = OutputRecord { digest, bytes: 5, rows: None, tokens: None, sections };
        let prefix = Digest::of(b"prefix");
        let keep = |step, passing| {
            fs::create_dir_all(store.states_dir(&prefix)).unwrap();
            if passing {
                fs::write(store.passing_path(&prefix, step), b"state").unwrap();
            }
            store
                .keep_state(&prefix, step, &TrainingState { passing, file: file.clone() })
                .unwrap();
        };
        let steps = |limit| -> Vec<u64> {
            store.states(&prefix, limit).unwrap().into_iter().map(|(step, _)| step).collect()
        };
        for (step, passing) in [(100, true), (240, false), (300, true)] {
            keep(step, passing);
        }
        assert_eq!(
            (steps(1000), steps(299), steps(99)),
            (vec![300, 240, 100], vec![240, 100], vec![])
        );
        keep(240, true);
        store.drop_passing_states(&prefix, 1000).unwrap();
        assert_eq!(steps(1000), [240], "a kept state became a passing one");
        assert!(store.has_object(&file.digest, file.bytes));
    }
}
