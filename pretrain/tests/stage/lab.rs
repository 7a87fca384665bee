//! A directory with tiny token shards, and runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use codec::{Codec, PretokenCounts, SpecialTokens, Vocabulary};
use pipelines::context::{Cancel, Context};
use pipelines::digest::{Digest, text_id};
use pipelines::engine::Engine;
use pipelines::error::{Error, TaskError, chain};
use pipelines::input::TaskInputs;
use pipelines::kind::Kind;
use pipelines::manifest::Manifest;
use pipelines::output::TaskOutput;
use pipelines::publish::OutDir;
use pipelines::record::Artifact;
use pipelines::run::{Run, Unobserved};
use pipelines::shard::{ShardWriter, TokenWidth};
use pipelines::stage::{ArtifactFile, Assembly, InputField, Phase, Stage, Task, View};
use pipelines::table::documents::RowKey;
use pipelines::task::{Event, Report, TaskArray};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The stages of these tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStage {
    Write(Shards),
    Pretrain(Box<pretrain::Config>),
}

/// Documents of each split, whether tokens are stored wider than they need, and whether the vocabulary has all special tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    train: usize,
    validation: usize,
    #[serde(default)]
    wide: bool,
    #[serde(default)]
    special: bool,
}

impl TestStage {
    fn stage(&self) -> &dyn Stage {
        match self {
            Self::Write(stage) => stage,
            Self::Pretrain(stage) => stage.as_ref(),
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

const FILES: [(&str, &str); 8] = [
    ("train.bin", "train-00000.bin"),
    ("train.idx", "train-00000.idx"),
    ("train.docs.parquet", "train-00000.docs.parquet"),
    ("validation.bin", "validation-00000.bin"),
    ("validation.idx", "validation-00000.idx"),
    ("validation.docs.parquet", "validation-00000.docs.parquet"),
    ("tokenizer.json", "tokenizer.json"),
    ("tokenizer_config.json", "tokenizer_config.json"),
];

impl Stage for Shards {
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
        vec![Kind::TokenShards]
    }

    fn phases(&self, _: u64) -> Vec<Box<dyn Phase>> {
        vec![Box::new(self.clone())]
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let files = FILES.map(|(output, path)| ArtifactFile {
            path: path.into(),
            part: String::new(),
            source: view.output("write", "write", output),
        });
        Ok(vec![Assembly { kind: Kind::TokenShards, files: files.to_vec(), details: None }])
    }
}

/// A text that can be learnt: words follow each other in one of three orders.
fn text(at: usize) -> String {
    let words = ["the", "slow", "river", "runs", "low"];
    (0..8 + at % 5).map(|word| words[(word * (1 + at % 3)) % 5]).collect::<Vec<_>>().join(" ")
}

impl Phase for Shards {
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
        let mut counts = PretokenCounts::default();
        counts.count(&text(0))?;
        let vocabulary = Vocabulary::train(&counts, 265, |_| Ok::<_, codec::CodecError>(()))?;
        let name = |name: &str| self.special.then(|| name.to_owned());
        let special =
            SpecialTokens { cls: name("[CLS]"), sep: name("[SEP]"), mask: name("[MASK]") };
        let vocabulary = vocabulary.with_special_tokens(special)?;
        for file in vocabulary.files() {
            out.write(file.name, &file.bytes)?;
        }
        let codec = Codec::of(&vocabulary)?;
        let width = if self.wide { TokenWidth::Wide } else { TokenWidth::Narrow };
        for (split, documents) in [("train", self.train), ("validation", self.validation)] {
            let mut shard = ShardWriter::create(out, split, width)?;
            for at in 0..documents {
                let text = text(at);
                let mut tokens = codec.encode(&text)?;
                tokens.extend(codec.eos());
                let key = RowKey { unit: text_id(split), record: at as u64 };
                shard.push(&text_id(&text), &key, text.len() as u64, &tokens)?;
            }
            shard.finish(out)?;
        }
        Ok(())
    }
}

/// What happens to a run at one of its optimizer steps.
#[derive(Clone, Copy)]
pub enum Fate {
    /// It is told to stop.
    Cancelled(u64),
    /// It dies, without a chance to save anything.
    Killed(u64),
}

/// Runs groups here, with so many threads and this fate.
#[derive(Default)]
pub struct TestEngine {
    threads: Option<usize>,
    fate: Option<Fate>,
    /// Steps of all tasks so far.
    steps: Arc<AtomicU64>,
    /// Advances of all tasks, in order.
    pub advances: Arc<Mutex<Vec<u64>>>,
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
        let (failed, advances, fate, stop) =
            (failures.clone(), self.advances.clone(), self.fate, cancel.clone());
        let steps = self.steps.clone();
        let report: Report = Arc::new(move |event| match event {
            Event::Advanced { done } => {
                advances.lock().unwrap().push(done);
                let steps = steps.fetch_add(done, Ordering::Relaxed) + done;
                match fate {
                    Some(Fate::Cancelled(at)) if steps >= at => stop.cancel(),
                    Some(Fate::Killed(at)) if steps >= at => {
                        std::panic::panic_any("killed".to_owned())
                    }
                    _ => {}
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
    shards: &'static str,
}

impl Lab {
    pub fn new() -> Self {
        Self::with("train = 40, validation = 6")
    }

    pub fn with(shards: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), shards }
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("base").join("checkpoint")
    }

    fn run_on(&self, fields: &str, engine: &TestEngine) -> Result<(), String> {
        let say = |error: Error| chain(&error);
        let text = format!(
            "name = \"test\"\nseed = 7\n[steps.shards]\nwrite = {{ {} }}\n[steps.base.pretrain]\nshards = \"shards\"\n{fields}\n",
            self.shards
        );
        let manifest = Manifest::<TestStage>::parse(&text, Path::new("test.toml")).map_err(say)?;
        let out = OutDir::open(self.dir.path()).map_err(say)?;
        let run = Run { manifest: &manifest, base: self.dir.path(), out: &out };
        run.run(engine, None, &Cancel::default(), &mut Unobserved).map_err(say)?;
        Ok(())
    }

    /// Runs to the end; the advances of the training tasks that ran.
    pub fn run(&self, fields: &str) -> Result<Vec<u64>, String> {
        let engine = TestEngine::default();
        self.run_on(fields, &engine)?;
        let advances = engine.advances.lock().unwrap();
        Ok(advances.clone())
    }

    pub fn run_with_threads(&self, fields: &str, threads: usize) {
        self.run_on(fields, &TestEngine { threads: Some(threads), ..TestEngine::default() })
            .unwrap();
    }

    /// Runs until `fate` strikes; the message.
    pub fn interrupt(&self, fields: &str, fate: Fate) -> String {
        let engine = TestEngine { fate: Some(fate), ..TestEngine::default() };
        self.run_on(fields, &engine).unwrap_err()
    }

    pub fn artifact(&self) -> Artifact {
        let path = self.dir().join(Artifact::FILE);
        Artifact::read(&path, &fs::read(&path).unwrap()).unwrap()
    }

    /// Digests of the checkpoint's files by path.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.artifact().parts.into_iter().map(|part| (part.path, part.blake3)).collect()
    }

    pub fn metrics(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir().join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
