//! Model directories on the command line: published checkpoints, and those of others.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VOCAB_TXT, tokenizer_json_of_vocab_txt};
use evaluate::{dir_of_seed, seed_of_dir};
use model::checkpoint::{INDEX_FILE, WEIGHTS_FILE};
use model::{CONFIG_FILE, Checkpoint, CpuModel, Head, ModelConfig};

/// The directory of a published artifact of this kind, inside that of its step.
const CHECKPOINT: &str = "checkpoint";

/// What stands beside the files of a published artifact and says how it was made.
const RECORD: &str = "artifact.json";

/// Files of weights that others write, and that are not read here.
const OTHER_WEIGHTS: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// A directory that holds a model as `transformers` loads it.
pub struct ModelDir {
    path: PathBuf,
    config: ModelConfig,
    /// Of the seeds of a fine-tuned model, which this is.
    pub seed: u64,
}

impl ModelDir {
    /// The model at `path`: a directory with `config.json`; a published `checkpoint`, or the directory of its step; of a
    /// model that was fine-tuned from several seeds, that of `seed`, or else of the lowest.
    pub fn open(path: &Path, seed: Option<u64>) -> anyhow::Result<Self> {
        let shown = path.display();
        if !path.is_dir() {
            let found = if path.exists() { "a file" } else { "nothing" };
            let is_gguf = path.extension().is_some_and(|end| end == "gguf");
            let advice = if is_gguf { "; `seedbed convert` makes one of it" } else { "" };
            bail!("{shown}: found {found}, expected the directory of a model{advice}");
        }
        if path.join(CONFIG_FILE).is_file() {
            if let Some(seed) = seed {
                bail!("{shown}: found one model, expected several seeds (--seed {seed})");
            }
            return Self::read(path.to_owned(), 0);
        }
        let seeds = seeds(path)?;
        match (seed, seeds.first()) {
            (None, Some(&first)) => Self::read(path.join(dir_of_seed(first)), first),
            (Some(seed), _) if seeds.contains(&seed) => {
                Self::read(path.join(dir_of_seed(seed)), seed)
            }
            (Some(seed), Some(_)) => {
                let known: Vec<String> = seeds.iter().map(u64::to_string).collect();
                bail!("{shown}: found the seeds {}, expected {seed}", known.join(", "))
            }
            (_, None) if path.join(CHECKPOINT).is_dir() => Self::open(&path.join(CHECKPOINT), seed),
            (_, None) => bail!(
                "{shown}: found {}, expected the directory of a model, with {CONFIG_FILE}",
                what_is_in(path)
            ),
        }
    }

    fn read(path: PathBuf, seed: u64) -> anyhow::Result<Self> {
        let file = path.join(CONFIG_FILE);
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { config: ModelConfig::from_json(&bytes, &file)?, path, seed })
    }

    /// Where it stands, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Its shape, and what stands on top.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Most tokens of a text that it was fine-tuned with, special ones included, where its record says so.
    pub fn max_length(&self) -> Option<NonZeroUsize> {
        let is_seed = self
            .path
            .file_name()
            .is_some_and(|name| seed_of_dir(&name.to_string_lossy()).is_some());
        // The record of several seeds stands above them.
        let above = self.path.parent().filter(|_| is_seed);
        let record = record(&self.path).or_else(|| record(above?))?;
        let max_length =
            record["config"]["max_length"].as_u64().filter(|_| record["stage"] == "finetune");
        max_length.and_then(|tokens| NonZeroUsize::new(usize::try_from(tokens).ok()?))
    }

    /// Refuses a model with another head than `command` asks.
    pub fn refuse_head(&self, expected: &str, command: &str) -> anyhow::Error {
        let advice = match self.config.head() {
            Head::CausalLm => "`seedbed generate` goes on with texts with this one",
            Head::MaskedLm => "`seedbed fill` guesses masked tokens with this one",
            Head::SequenceClassification { .. } | Head::TokenClassification { .. } => {
                "`seedbed predict` predicts with this one"
            }
            Head::Body => "fine-tune this one first",
        };
        anyhow::anyhow!(
            "{}: found a model with the head {}, expected {expected} for `seedbed {command}`; {advice}",
            self.name(),
            self.config.architecture()
        )
    }

    /// The model and its tokenizer.
    pub fn load(&self) -> anyhow::Result<(CpuModel, Codec)> {
        let has = |name: &&str| self.path.join(name).is_file();
        if !has(&WEIGHTS_FILE) && !has(&INDEX_FILE) {
            let other = OTHER_WEIGHTS.iter().find(|name| has(name));
            bail!(
                "{}: found {}, expected the weights in {WEIGHTS_FILE}, or in the files that {INDEX_FILE} names",
                self.name(),
                other.copied().unwrap_or("no weights")
            );
        }
        let model = CpuModel::from_checkpoint(Checkpoint::read(&self.path)?)?;
        let codec = self.codec()?;
        let (found, expected) = (codec.vocab_size(), model.config().vocab_size());
        anyhow::ensure!(
            found <= expected,
            "{}: found a tokenizer of {found} tokens, expected at most the {expected} of the model",
            self.name()
        );
        Ok((model, codec))
    }

    fn codec(&self) -> anyhow::Result<Codec> {
        let read = |name: &str| -> anyhow::Result<Option<Vec<u8>>> {
            let path = self.path.join(name);
            if !path.exists() {
                return Ok(None);
            }
            let bytes = fs::read(&path);
            bytes.map(Some).with_context(|| format!("cannot read {}", path.display()))
        };
        let config = read(TOKENIZER_CONFIG_JSON)?;
        let unusable = || format!("cannot use the tokenizer of {}", self.name());
        let tokenizer = match (read(TOKENIZER_JSON)?, read(VOCAB_TXT)?) {
            (Some(tokenizer), _) => tokenizer,
            (None, Some(list)) => {
                let file = tokenizer_json_of_vocab_txt(&list, config.as_deref());
                file.with_context(unusable)?.bytes
            }
            (None, None) => bail!(
                "{}: found neither {TOKENIZER_JSON} nor {VOCAB_TXT}, expected one of them",
                self.name()
            ),
        };
        Codec::load(&tokenizer, config.as_deref()).with_context(unusable)
    }
}

/// The seeds whose models stand in `path`, in order.
fn seeds(path: &Path) -> anyhow::Result<Vec<u64>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut seeds = Vec::new();
    for entry in fs::read_dir(path).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let seed = entry.file_name().to_str().and_then(seed_of_dir);
        seeds.extend(seed.filter(|_| entry.path().join(CONFIG_FILE).is_file()));
    }
    seeds.sort_unstable();
    Ok(seeds)
}

/// What a directory is that is no model's, for messages.
fn what_is_in(path: &Path) -> String {
    match record(path).as_ref().and_then(|record| record["kind"].as_str()) {
        Some(kind) => format!("an artifact of the kind `{kind}`"),
        None => format!("no {CONFIG_FILE}"),
    }
}

/// What is said of how the artifact in `path` was made, if it is one.
fn record(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs::read(path.join(RECORD)).ok()?).ok()
}
