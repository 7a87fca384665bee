//! Model directories on the command line: published checkpoints, and those of others.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VOCAB_TXT, tokenizer_json_of_vocab_txt};
use model::checkpoint::WEIGHTS_FILE;
use model::{CONFIG_FILE, Checkpoint, CpuModel, Head, ModelConfig};

/// The directory of a published artifact of this kind, inside that of its step.
const CHECKPOINT: &str = "checkpoint";

/// What a fine-tuned model's directories of seeds are called, before the seed.
const SEED: &str = "seed-";

/// Files of weights that others write, and that are not read here.
const OTHER_WEIGHTS: [&str; 3] =
    ["model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

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
            bail!("{shown}: found {found}, expected the directory of a model");
        }
        if path.join(CONFIG_FILE).is_file() {
            if let Some(seed) = seed {
                bail!("{shown}: found one model, expected several seeds (--seed {seed})");
            }
            return Self::read(path.to_owned(), 0);
        }
        let seeds = seeds(path)?;
        match (seed, seeds.first()) {
            (None, Some(&first)) => Self::read(path.join(format!("{SEED}{first}")), first),
            (Some(seed), _) if seeds.contains(&seed) => {
                Self::read(path.join(format!("{SEED}{seed}")), seed)
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
        if !has(&WEIGHTS_FILE) {
            let other = OTHER_WEIGHTS.iter().find(|name| has(name));
            bail!(
                "{}: found {}, expected the weights in one {WEIGHTS_FILE}",
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
        let name = entry.file_name();
        let seed: Option<u64> =
            name.to_str().and_then(|name| name.strip_prefix(SEED)?.parse().ok());
        seeds.extend(seed.filter(|_| entry.path().join(CONFIG_FILE).is_file()));
    }
    seeds.sort_unstable();
    Ok(seeds)
}

/// What a directory is that is no model's, for messages.
fn what_is_in(path: &Path) -> String {
    let record = fs::read(path.join("artifact.json")).ok();
    let record: Option<serde_json::Value> =
        record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match record.as_ref().and_then(|record| record["kind"].as_str()) {
        Some(kind) => format!("an artifact of the kind `{kind}`"),
        None => format!("no {CONFIG_FILE}"),
    }
}
