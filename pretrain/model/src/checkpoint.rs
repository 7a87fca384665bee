//! Model directories as Hugging Face's libraries read and write them, and models in llama.cpp's form.

mod gguf;
mod safetensors;

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use self::gguf::Gguf;
pub use self::safetensors::write_safetensors;
pub(crate) use self::safetensors::{Stored, Tensors, write_stored};

use crate::{
    config::{CONFIG_FILE, Head, ModelConfig},
    error::{ModelError, Result},
    family::{name_of, settle, specification},
    init::Init,
    param::{Parameter, Parameters},
};

/// Name of the weights inside a model directory.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// Name of the generation defaults inside a model directory.
pub const GENERATION_CONFIG_FILE: &str = "generation_config.json";

/// A model at rest: its config, and its weights in the family's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Shape and constants.
    pub config: ModelConfig,
    /// Weights by their Hugging Face names; tied ones stand once.
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

    /// Reads `config.json` and `model.safetensors` of a directory, one tensor after another.
    ///
    /// # Errors
    /// When a file cannot be read, when the config is refused, and when a tensor is missing, unexpected, or of another
    /// shape than the config promises.
    pub fn read(dir: &Path) -> Result<Self> {
        let config_path = dir.join(CONFIG_FILE);
        let config = fs::read(&config_path)
            .map_err(|source| ModelError::Read { path: config_path.clone(), source })?;
        let config = ModelConfig::from_json(&config, &config_path)?;
        Self::of(config, Tensors::open(&dir.join(WEIGHTS_FILE))?)
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

    fn of(config: ModelConfig, tensors: Tensors) -> Result<Self> {
        let config = settle(config, |name| tensors.has(name));
        let tensors = tensors.renamed(|stored| name_of(&config, stored));
        let specification = specification(&config);
        let is_ours = |name: &str| specification.get(name).is_some();
        tensors.refuse_others(is_ours, &config.architecture())?;
        let weights = tensors.load(&specification)?;
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
        write_safetensors(out, &self.weights)
    }

    /// The bytes of `generation_config.json`: where a generated text begins and ends. `None` where none is generated.
    pub fn generation_config(&self) -> Option<String> {
        let ModelConfig::Llama(config) = &self.config else { return None };
        let config: serde_json::Value = serde_json::json!({
            "bos_token_id": config.bos_token_id,
            "eos_token_id": config.eos_token_id,
            "pad_token_id": config.pad_token_id,
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
