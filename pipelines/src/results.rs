//! What the tasks of a plan have made so far, and where the inputs of those behind them therefore stand.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::input::{Located, Place};
use crate::record::TaskRecord;
use crate::stage::{Input, Source};

/// The records of a phase's tasks by name; `None` is a task that still has to run.
pub(crate) type Made = HashMap<String, Option<Arc<TaskRecord>>>;

/// What was made, by step and phase.
#[derive(Default)]
pub(crate) struct Results(HashMap<(String, String), Made>);

impl Results {
    /// Notes what each task of a phase has made.
    pub(crate) fn note(&mut self, step: &str, phase: &str, tasks: Made) {
        self.0.insert((step.to_owned(), phase.to_owned()), tasks);
    }

    /// Where an input stands, or the phase that still has to make it.
    ///
    /// # Errors
    /// When it is of a task or an output that no stage has declared.
    pub(crate) fn locate(&self, input: &Input) -> Result<Result<Located, String>> {
        let mut second = None;
        let (name, place, offset, bytes, digest) = match &input.source {
            Source::File { path, offset, bytes, footer, digest } => {
                second = *footer;
                (path.display().to_string(), Place::File(path.clone()), *offset, *bytes, *digest)
            }
            Source::Published { path, bytes, digest } => {
                (path.display().to_string(), Place::Published(path.clone()), 0, *bytes, *digest)
            }
            Source::Object { digest, bytes, name } => {
                (name.clone(), Place::Object(*digest), 0, *bytes, *digest)
            }
            Source::Output { step, phase, task, output, section } => {
                let bug = |what: String| Error::Undeclared { what };
                let tasks = self.0.get(&(step.clone(), phase.clone()));
                let record = match tasks.and_then(|tasks| tasks.get(task)) {
                    Some(Some(record)) => record,
                    Some(None) => return Ok(Err(format!("{step}/{phase}"))),
                    None => return Err(bug(format!("the task {step}/{phase}/{task}"))),
                };
                let made = record.outputs.get(output);
                let made =
                    made.ok_or_else(|| bug(format!("the output {step}/{phase}/{task}/{output}")))?;
                let (offset, bytes, digest) = match section {
                    None => (0, made.bytes, made.digest),
                    Some(name) => match made.sections.get(name) {
                        Some(section) => (section.offset, section.bytes, section.digest),
                        None => (0, 0, Digest::of(b"")),
                    },
                };
                let name = format!("{step}/{phase}/{task}/{output}");
                (name, Place::Object(made.digest), offset, bytes, digest)
            }
        };
        let (role, tag) = (input.role.clone(), input.tag.clone());
        Ok(Ok(Located { role, tag, name, place, offset, bytes, footer: second, digest }))
    }
}
