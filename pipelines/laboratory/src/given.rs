//! What stands for the stages before the one that is tested.

use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::kind::Kind;
use pipelines::output::TaskOutput;
use pipelines::stage::{ArtifactFile, Assembly, InputField, Phase, Stage, Task, View};
use serde::Serialize;
use serde_json::{Value, json};

/// An artifact that is simply there: files of one kind, made of a value alone.
#[derive(Clone)]
pub struct Given<T> {
    kind: Kind,
    files: Vec<String>,
    made_of: T,
    write: fn(&T, &mut TaskOutput) -> Result<(), TaskError>,
    are_parts: bool,
}

impl<T> Given<T> {
    /// An artifact of these files, each written by `write` as the output of its name. What they are made of is the key,
    /// and `write` sees nothing else.
    pub fn new(
        kind: Kind,
        files: impl IntoIterator<Item = impl Into<String>>,
        made_of: T,
        write: fn(&T, &mut TaskOutput) -> Result<(), TaskError>,
    ) -> Self {
        let files = files.into_iter().map(Into::into).collect();
        Self { kind, files, made_of, write, are_parts: false }
    }

    /// The same, where each file is a part of the data, called as the file is up to its first dot.
    #[must_use]
    pub fn in_parts(self) -> Self {
        Self { are_parts: true, ..self }
    }

    fn part(&self, file: &str) -> String {
        let name = file.split_once('.').map_or(file, |(name, _)| name);
        if self.are_parts { name.to_owned() } else { String::new() }
    }
}

/// Name of the phase, and of its task.
const GIVE: &str = "give";

impl<T: Clone + Serialize + Send + Sync + 'static> Stage for Given<T> {
    fn name(&self) -> &'static str {
        "given"
    }

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    fn config(&self) -> Value {
        json!({ "kind": self.kind.name(), "made_of": self.made_of })
    }

    fn inputs(&self) -> Vec<InputField> {
        Vec::new()
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![self.kind]
    }

    fn phases(&self, _: u64) -> Vec<Box<dyn Phase>> {
        vec![Box::new(self.clone())]
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let file = |path: &String| ArtifactFile {
            path: path.clone(),
            part: self.part(path),
            source: view.output(GIVE, GIVE, path),
        };
        let files = self.files.iter().map(file).collect();
        Ok(vec![Assembly { kind: self.kind, files, details: None }])
    }
}

impl<T: Clone + Serialize + Send + Sync + 'static> Phase for Given<T> {
    fn name(&self) -> &'static str {
        GIVE
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> Value {
        Stage::config(self)
    }

    fn tasks(&self, _: &View) -> Result<Vec<Task>, TaskError> {
        Ok(vec![Task::new(GIVE, Vec::new())])
    }

    fn run(&self, _: &TaskInputs, out: &mut TaskOutput, _: &Context) -> Result<(), TaskError> {
        (self.write)(&self.made_of, out)
    }
}
