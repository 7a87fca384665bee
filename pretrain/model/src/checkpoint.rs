//! Model directories as Hugging Face's libraries read and write them.

mod safetensors;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use self::safetensors::write_safetensors;
pub(crate) use self::safetensors::{Stored, Tensors, write_stored};

use crate::{
    config::{CONFIG_FILE, Head, LlamaConfig},
    error::{ModelError, Result},
    family::llama::specification,
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
    pub config: LlamaConfig,
    /// Weights by their Hugging Face names; tied ones stand once.
    pub weights: Parameters<Vec<f32>>,
}

impl Checkpoint {
    /// A model that has seen nothing: matrices from N(0, `initializer_range`), norms one.
    ///
    /// Each tensor is a function of `seed` and its name.
    ///
    /// # Errors
    /// When the config does not validate.
    pub fn fresh(config: LlamaConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        let weights = specification(&config).map(|entry| draw(entry, seed));
        Ok(Self { config, weights })
    }

    /// Reads `config.json` and `model.safetensors` of a directory.
    ///
    /// # Errors
    /// When a file cannot be read, when the config is refused, and when a tensor is missing, unexpected, or of another
    /// shape than the config promises.
    pub fn read(dir: &Path) -> Result<Self> {
        let config_path = dir.join(CONFIG_FILE);
        let config = fs::read(&config_path)
            .map_err(|source| ModelError::Read { path: config_path.clone(), source })?;
        let weights_path = dir.join(WEIGHTS_FILE);
        let weights = fs::read(&weights_path)
            .map_err(|source| ModelError::Read { path: weights_path.clone(), source })?;
        Self::from_bytes((&config, &config_path), (&weights, &weights_path))
    }

    /// Reads the bytes of `config.json` and of `model.safetensors`; the paths name them in errors.
    ///
    /// f16 and bf16 are widened to f32, which is exact.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_bytes(config: (&[u8], &Path), weights: (&[u8], &Path)) -> Result<Self> {
        let config = LlamaConfig::from_json(config.0, config.1)?;
        let tensors = Tensors::new(weights.0, weights.1)?;
        let specification = specification(&config);
        tensors.refuse_others(&specification, config.head.architecture())?;
        let weights = tensors.load("", &specification)?;
        Ok(Self { config, weights })
    }

    /// Writes `config.json`, `generation_config.json` and `model.safetensors` into an existing directory.
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
        create(GENERATION_CONFIG_FILE, &|out| out.write_all(self.generation_config().as_bytes()))?;
        create(WEIGHTS_FILE, &|out| self.write_weights(out))
    }

    /// Writes the bytes of `model.safetensors`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_weights(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        write_safetensors(out, &self.weights)
    }

    /// The bytes of `generation_config.json`: where a generated text begins and ends.
    pub fn generation_config(&self) -> String {
        let config: serde_json::Value = serde_json::json!({
            "bos_token_id": self.config.bos_token_id,
            "eos_token_id": self.config.eos_token_id,
            "pad_token_id": self.config.pad_token_id,
        });
        format!("{config:#}\n")
    }

    /// The same body with a fresh head of these classes; the output projection over the vocabulary is let go.
    ///
    /// # Errors
    /// [`ModelError::WrongHead`] when it has classes already, and when there are no labels.
    pub fn into_classifier(self, labels: Vec<String>, seed: u64) -> Result<Self> {
        self.require_causal()?;
        let Self { mut config, weights: body } = self;
        config.head = Head::SequenceClassification { labels };
        config.validate()?;
        let weights = specification(&config).map(|entry| {
            body.get(&entry.name).map_or_else(|| draw(entry, seed), |kept| kept.value.clone())
        });
        Ok(Self { config, weights })
    }

    /// Refuses a model whose head is not the next token: what it has learned of that is gone.
    ///
    /// # Errors
    /// [`ModelError::WrongHead`].
    pub fn require_causal(&self) -> Result<()> {
        match self.config.head {
            Head::CausalLm => Ok(()),
            Head::SequenceClassification { .. } => Err(ModelError::WrongHead {
                found: self.config.head.architecture(),
                expected: Head::CausalLm.architecture(),
            }),
        }
    }
}

fn draw(entry: &Parameter<Init>, seed: u64) -> Vec<f32> {
    entry.value.draw(seed, &entry.name, entry.shape.iter().product())
}
