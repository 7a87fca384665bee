//! Model directories as Hugging Face's libraries read and write them, and models in llama.cpp's form.

mod artifact;
mod gguf;
mod index;
mod opened;
mod safetensors;
mod tensors;

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use self::{
    artifact::{MappedWeights, weight_inputs},
    gguf::Gguf,
    safetensors::write_safetensors,
};
use self::{index::Index, opened::Opened, safetensors::transposed};
pub(crate) use self::{
    safetensors::{Stored, write_stored},
    tensors::Tensors,
};

use crate::{
    config::{CONFIG_FILE, Head, ModelConfig},
    error::{ModelError, Result},
    family::{is_transposed, name_of, settle, specification},
    init::Init,
    param::{Parameter, Parameters},
};

/// Name of the weights inside a model directory.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// Name of what says in which files the weights are, inside a model directory where they are in several.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// Name of the generation defaults inside a model directory.
pub const GENERATION_CONFIG_FILE: &str = "generation_config.json";

/// A model at rest: its config, and its weights in the family's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Shape and constants.
    pub config: ModelConfig,
    /// Weights by their Hugging Face names; tied ones stand once. Matrices are `[out, in]`, whatever files hold.
    pub weights: Parameters<Vec<f32>>,
}

impl Checkpoint {
    /// A model that has seen nothing: matrices from N(0, `initializer_range`), norms one, biases zero.
    ///
    /// Each tensor is a function of `seed` and its name.
    ///
    /// # Errors
    /// When the config does not validate.
    pub fn fresh(config: impl Into<ModelConfig>, seed: u64) -> Result<Self> {
        let config = config.into();
        config.validate()?;
        let weights = specification(&config).map(|entry| draw(entry, seed));
        Ok(Self { config, weights })
    }

    /// Reads `config.json` and `model.safetensors` of a directory, one tensor after another; where that file is not there,
    /// those that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// When a file cannot be read, when the config or the index is refused, and when a tensor is missing, unexpected, or of
    /// another shape than the config promises.
    pub fn read(dir: &Path) -> Result<Self> {
        let read = |path: PathBuf| match fs::read(&path) {
            Ok(bytes) => Ok((bytes, path)),
            Err(source) => Err(ModelError::Read { path, source }),
        };
        let (config, config_path) = read(dir.join(CONFIG_FILE))?;
        let config = ModelConfig::from_json(&config, &config_path)?;
        if dir.join(WEIGHTS_FILE).exists() || !dir.join(INDEX_FILE).exists() {
            return Self::of(config, Tensors::open(&dir.join(WEIGHTS_FILE))?);
        }
        let (index, index_path) = read(dir.join(INDEX_FILE))?;
        let index = Index::read(&index, &index_path)?;
        let open = |shard: &str| match dir.join(shard) {
            path if path.exists() => Opened::open(&path),
            _ => Err(index.missing(shard)),
        };
        Self::of(config, Tensors::sharded(&index, open)?)
    }

    /// Reads the bytes of `config.json` and of `model.safetensors`; the paths name them in errors.
    ///
    /// f16 and bf16 are widened to f32, which is exact.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_bytes(config: (&[u8], &Path), weights: (&[u8], &Path)) -> Result<Self> {
        let config = ModelConfig::from_json(config.0, config.1)?;
        Self::of(config, Tensors::new(weights.0, weights.1)?)
    }

    /// Reads the bytes of `config.json`, of `model.safetensors.index.json`, and of the files that this names; `shards` are
    /// their names, bytes and paths, and may have others among them.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_shards(
        config: (&[u8], &Path),
        index: (&[u8], &Path),
        shards: &[(&str, &[u8], &Path)],
    ) -> Result<Self> {
        let config = ModelConfig::from_json(config.0, config.1)?;
        let index = Index::read(index.0, index.1)?;
        let open = |shard: &str| match shards.iter().find(|(name, ..)| *name == shard) {
            Some((_, bytes, path)) => Opened::new(bytes, path),
            None => Err(index.missing(shard)),
        };
        Self::of(config, Tensors::sharded(&index, open)?)
    }

    fn of(config: ModelConfig, tensors: Tensors) -> Result<Self> {
        let config = settle(config, |name| tensors.has(name));
        let tensors = tensors.renamed(|stored| name_of(&config, stored));
        tensors.require_layers(config.num_hidden_layers())?;
        let mut stored = specification(&config);
        let is_ours = |name: &str| stored.get(name).is_some();
        tensors.refuse_others(is_ours, &config.architecture())?;
        for entry in stored.iter_mut().filter(|entry| is_transposed(&config, &entry.name)) {
            entry.shape.reverse();
        }
        let mut weights = tensors.load(&stored)?;
        for entry in weights.iter_mut().filter(|entry| is_transposed(&config, &entry.name)) {
            entry.value = transposed(&entry.value, entry.shape[1]);
            entry.shape.reverse();
        }
        Ok(Self { config, weights })
    }

    /// Writes `config.json`, `model.safetensors` and, for a causal model, `generation_config.json` into an existing
    /// directory.
    ///
    /// Equal checkpoints give equal bytes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let create = |name: &str, fill: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            let path: PathBuf = dir.join(name);
            let written = fs::File::create(&path).and_then(|mut file| fill(&mut file));
            written.map_err(|source| ModelError::Write { path, source })
        };
        create(CONFIG_FILE, &|out| out.write_all(self.config.to_json().as_bytes()))?;
        if let Some(config) = self.generation_config() {
            create(GENERATION_CONFIG_FILE, &|out| out.write_all(config.as_bytes()))?;
        }
        create(WEIGHTS_FILE, &|out| self.write_weights(out))
    }

    /// Writes the bytes of `model.safetensors`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_weights(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let stored = self.weights.iter().map(|entry| {
            let stored = match is_transposed(&self.config, &entry.name) {
                true => Stored::transposed(entry),
                false => Stored::floats(entry),
            };
            (entry.name.clone(), stored)
        });
        write_stored(out, stored.collect())
    }

    /// The bytes of `generation_config.json`: where a generated text begins and ends. `None` where none is generated.
    pub fn generation_config(&self) -> Option<String> {
        let (bos, eos, pad) = match &self.config {
            ModelConfig::Llama(it) => (it.bos_token_id, &it.eos_token_id, it.pad_token_id),
            ModelConfig::Gpt2(it) => (it.bos_token_id, &it.eos_token_id, it.pad_token_id),
            ModelConfig::Bert(_) => return None,
        };
        let config: serde_json::Value = serde_json::json!({
            "bos_token_id": bos,
            "eos_token_id": eos,
            "pad_token_id": pad,
        });
        Some(format!("{config:#}\n"))
    }

    /// The same body with a fresh head that gives each sequence one of these classes; the head it had is let go.
    ///
    /// # Errors
    /// [`ModelError::WrongHead`] when it has classes already, and when there are no labels.
    pub fn into_classifier(self, labels: Vec<String>, seed: u64) -> Result<Self> {
        self.into_classes(Head::SequenceClassification { labels }, seed)
    }

    /// The same body with a fresh head that gives each token one of these classes; the head it had is let go.
    ///
    /// # Errors
    /// As [`Self::into_classifier`].
    pub fn into_token_classifier(self, labels: Vec<String>, seed: u64) -> Result<Self> {
        self.into_classes(Head::TokenClassification { labels }, seed)
    }

    fn into_classes(self, head: Head, seed: u64) -> Result<Self> {
        self.require_no_classes()?;
        let Self { config, weights: body } = self;
        let config = config.with_head(head);
        config.validate()?;
        let body: HashMap<String, Vec<f32>> = body
            .into_iter()
            .filter_map(|entry| Some((name_of(&config, &entry.name)?, entry.value)))
            .collect();
        let weights = specification(&config).map(|entry| {
            body.get(&entry.name).map_or_else(|| draw(entry, seed), |kept| kept.clone())
        });
        Ok(Self { config, weights })
    }

    /// Refuses a model that has been taught classes: what it has learned of language is covered by them.
    ///
    /// # Errors
    /// [`ModelError::WrongHead`].
    pub fn require_no_classes(&self) -> Result<()> {
        match self.config.head().labels() {
            None => Ok(()),
            Some(_) => Err(ModelError::WrongHead {
                found: self.config.architecture(),
                expected: self.config.architecture_with(&self.config.language_head()),
            }),
        }
    }
}

fn draw(entry: &Parameter<Init>, seed: u64) -> Vec<f32> {
    entry.value.draw(seed, &entry.name, entry.shape.iter().product())
}
