//! A directory with a tiny checkpoint and tiny examples, and runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use codec::{Codec, PretokenCounts, Vocabulary};
use model::{Checkpoint, Head, LlamaConfig};
use pipelines::context::{Cancel, Context};
use pipelines::digest::{Digest, text_id};
use pipelines::engine::Engine;
use pipelines::error::{Error, TaskError, chain};
use pipelines::input::TaskInputs;
use pipelines::kind::Kind;
use pipelines::manifest::Manifest;
use pipelines::output::{Size, TaskOutput};
use pipelines::publish::OutDir;
use pipelines::record::Artifact;
use pipelines::run::{Run, Unobserved};
use pipelines::stage::{ArtifactFile, Assembly, InputField, Phase, Stage, Task, View};
use pipelines::table::TableWriter;
use pipelines::table::documents::RowKey;
use pipelines::table::examples::{Example, Split};
use pipelines::task::{Event, Report, TaskArray};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The stages of these tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStage {
    Write(Written),
    Finetune(finetune::Config),
}

/// What stands before fine-tuning.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// A fresh checkpoint of this seed.
    Checkpoint(u64),
    /// Labelled rows.
    Examples(Vec<TestRow>),
}

/// A row of `examples`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestRow {
    pub split: Split,
    pub text: String,
    pub text_pair: Option<String>,
    pub labels: Vec<String>,
}

/// A row of one label.
pub fn row(split: Split, text: &str, label: &str) -> TestRow {
    TestRow { split, text: text.to_owned(), text_pair: None, labels: vec![label.to_owned()] }
}

/// Rows whose label is in their text, beside words that say nothing.
pub fn rows() -> Vec<TestRow> {
    let noise = ["a", "the", "of", "and", "is"];
    let text = |at: usize| {
        let sign = ["good", "bad"][at % 2];
        format!("{} {sign} {} {}", noise[at % 5], noise[at / 5 % 5], noise[at / 3 % 5])
    };
    let split = |at: usize| if at < 60 { Split::Train } else { Split::Validation };
    (0..80).map(|at| row(split(at), &text(at), ["positive", "negative"][at % 2])).collect()
}

impl TestStage {
    fn stage(&self) -> &dyn Stage {
        match self {
            Self::Write(stage) => stage,
            Self::Finetune(stage) => stage,
        }
    }
}

impl Stage for TestStage {
    fn name(&self) -> &'static str {
        self.stage().name()
    }

    fn validate(&self) -> Result<(), String> {
        self.stage().validate()
    }

    fn config(&self) -> Value {
        self.stage().config()
    }

    fn inputs(&self) -> Vec<InputField> {
        self.stage().inputs()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.stage().kinds()
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        self.stage().phases(seed)
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        self.stage().artifacts(view)
    }

    fn numeric_profile(&self) -> Option<String> {
        self.stage().numeric_profile()
    }
}

impl Written {
    fn kind(&self) -> Kind {
        match self {
            Self::Checkpoint(_) => Kind::Checkpoint,
            Self::Examples(_) => Kind::Examples,
        }
    }

    fn files(&self) -> &'static [&'static str] {
        match self {
            Self::Checkpoint(_) => {
                &["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
            }
            Self::Examples(_) => &["part.parquet"],
        }
    }
}

impl Stage for Written {
    fn name(&self) -> &'static str {
        "write"
    }

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    fn config(&self) -> Value {
        json!(self)
    }

    fn inputs(&self) -> Vec<InputField> {
        Vec::new()
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![self.kind()]
    }

    fn phases(&self, _: u64) -> Vec<Box<dyn Phase>> {
        vec![Box::new(self.clone())]
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let file = |name: &&str| ArtifactFile {
            path: (*name).to_owned(),
            part: String::new(),
            source: view.output("write", "write", name),
        };
        Ok(vec![Assembly {
            kind: self.kind(),
            files: self.files().iter().map(file).collect(),
            details: None,
        }])
    }
}

impl Phase for Written {
    fn name(&self) -> &'static str {
        "write"
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> Value {
        json!(self)
    }

    fn tasks(&self, _: &View) -> Result<Vec<Task>, TaskError> {
        Ok(vec![Task::new("write", Vec::new())])
    }

    fn run(&self, _: &TaskInputs, out: &mut TaskOutput, _: &Context) -> Result<(), TaskError> {
        match self {
            Self::Checkpoint(seed) => write_checkpoint(*seed, out),
            Self::Examples(rows) => write_examples(rows, out),
        }
    }
}

fn write_checkpoint(seed: u64, out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut counts = PretokenCounts::default();
    counts.count("good good bad bad the the of of and and")?;
    let vocabulary = Vocabulary::train(&counts, 270, |_| Ok::<_, codec::CodecError>(()))?;
    for file in vocabulary.files() {
        out.write(file.name, &file.bytes)?;
    }
    let codec = Codec::of(&vocabulary)?;
    let config = LlamaConfig {
        vocab_size: codec.vocab_size(),
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 24,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        tie_word_embeddings: true,
        bos_token_id: codec.bos(),
        eos_token_id: codec.eos().into_iter().collect(),
        pad_token_id: codec.pad(),
        head: Head::CausalLm,
    };
    let checkpoint = Checkpoint::fresh(config, seed)?;
    out.write("config.json", checkpoint.config.to_json().as_bytes())?;
    let mut weights = out.create("model.safetensors")?;
    checkpoint.write_weights(&mut weights)?;
    Ok(out.finish(weights, Size::Bytes)?)
}

fn write_examples(rows: &[TestRow], out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut table = TableWriter::create(out, "part.parquet")?;
    for (record, row) in (0..).zip(rows) {
        table.push(Example {
            id: text_id(&row.text),
            key: RowKey { unit: text_id("rows"), record },
            source_id: Some(format!("row-{record}")),
            split: row.split,
            group: None,
            text: row.text.clone(),
            text_pair: row.text_pair.clone(),
            labels: row.labels.clone(),
            tokens: Vec::new(),
            tags: Vec::new(),
        })?;
    }
    Ok(table.finish(out)?)
}

/// Runs groups here; may stop at an optimizer step.
#[derive(Default)]
struct TestEngine {
    threads: Option<usize>,
    cancel_at: Option<u64>,
    started: Arc<Mutex<Vec<String>>>,
}

impl<S: Stage + Clone> Engine<S> for TestEngine {
    fn workers(&self) -> usize {
        1
    }

    fn run(
        &self,
        array: &TaskArray<S>,
        _: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Error> {
        let mut array = array.clone();
        array.threads = self.threads.unwrap_or(array.threads);
        let failures = Arc::new(Mutex::new(Vec::new()));
        let steps = Mutex::new(0);
        let (failed, started, stop, at) =
            (failures.clone(), self.started.clone(), cancel.clone(), self.cancel_at);
        let report: Report = Arc::new(move |event| match event {
            Event::Started { task, .. } => started.lock().unwrap().push(task),
            Event::Advanced { done } => {
                let mut steps = steps.lock().unwrap();
                *steps += done;
                if at.is_some_and(|at| *steps >= at) {
                    stop.cancel();
                }
            }
            Event::Failed { .. } => failed.lock().unwrap().push(event),
            _ => {}
        });
        for index in 0..array.groups.len() {
            array.run_group(index, &report, cancel)?;
        }
        failures.lock().unwrap().drain(..).for_each(|event| hear(0, event));
        Ok(())
    }
}

/// A directory of results.
pub struct Lab {
    dir: tempfile::TempDir,
    pub rows: Vec<TestRow>,
    /// Seed of the checkpoint's weights.
    pub base: u64,
}

impl Lab {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), rows: rows(), base: 1 }
    }

    /// Runs to the end; the fine-tuning tasks that ran.
    pub fn run(&self, fields: Value) -> Result<Vec<String>, String> {
        self.run_on(fields, TestEngine::default())
    }

    pub fn run_with_threads(&self, fields: Value, threads: usize) -> Result<Vec<String>, String> {
        self.run_on(fields, TestEngine { threads: Some(threads), ..TestEngine::default() })
    }

    /// Runs until an optimizer step; the message.
    pub fn cancel_at(&self, fields: Value, step: u64) -> String {
        self.run_on(fields, TestEngine { cancel_at: Some(step), ..TestEngine::default() })
            .unwrap_err()
    }

    fn run_on(&self, fields: Value, engine: TestEngine) -> Result<Vec<String>, String> {
        let say = |error: Error| chain(&error);
        let steps = BTreeMap::from([
            ("base".to_owned(), TestStage::Write(Written::Checkpoint(self.base))),
            ("labels".to_owned(), TestStage::Write(Written::Examples(self.rows.clone()))),
            ("task".to_owned(), TestStage::Finetune(config(fields))),
        ]);
        let manifest = Manifest { name: "test".to_owned(), seed: 7, steps, pins: BTreeMap::new() };
        manifest.validate().map_err(say)?;
        let out = OutDir::open(self.dir.path()).map_err(say)?;
        let run = Run { manifest: &manifest, base: self.dir.path(), out: &out };
        run.run(&engine, None, &Cancel::default(), &mut Unobserved).map_err(say)?;
        let started = engine.started.lock().unwrap();
        Ok(started.iter().filter(|task| task.starts_with("task/")).cloned().collect())
    }

    pub fn dir(&self) -> std::path::PathBuf {
        self.dir.path().join("task").join("checkpoint")
    }

    pub fn artifact(&self) -> Artifact {
        let path = self.dir().join(Artifact::FILE);
        Artifact::read(&path, &fs::read(&path).unwrap()).unwrap()
    }

    /// Digests of the files by path.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.artifact().parts.into_iter().map(|part| (part.path, part.blake3)).collect()
    }

    /// The last line of a seed's metrics.
    pub fn last(&self, seed: u64) -> Value {
        let path = self.dir().join(format!("seed-{seed}")).join("metrics.jsonl");
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

/// A config with these fields beside those that it needs.
pub fn config(fields: Value) -> finetune::Config {
    let mut config = json!({ "examples": "labels", "model": "base", "peak_lr": 0.01, "epochs": 8, "seeds": [1, 2] });
    let (Some(config_fields), Value::Object(fields)) = (config.as_object_mut(), fields) else {
        unreachable!()
    };
    config_fields.extend(fields);
    serde_json::from_value(config).unwrap()
}
