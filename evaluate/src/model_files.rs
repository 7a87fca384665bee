//! Model directories inside `checkpoint` artifacts.

use std::path::Path;

use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON};
use model::{
    CONFIG_FILE, CpuModel, Head, ModelError, NumericProfile, SequenceForm, SpecialIds,
    checkpoint::{MappedWeights, WEIGHTS_FILE, weight_inputs},
};
use pipelines::{
    input::TaskInputs,
    stage::{ArtifactView, Input},
};

use crate::error::{EvaluateError, Result};

/// What the directories of the seeds of a fine-tuned model are called, before the seed.
const SEED_DIR: &str = "seed-";

/// The directories of the seeds of a fine-tuned model, with their seeds, in order of the seeds. A model directory that
/// stands at the top is one of seed 0.
pub(crate) fn seeds(artifact: &ArtifactView) -> Result<Vec<(u64, String)>> {
    if artifact.file(CONFIG_FILE).is_some() {
        return Ok(vec![(0, String::new())]);
    }
    let mut seeds: Vec<(u64, String)> = artifact
        .files
        .iter()
        .filter_map(|file| file.path.strip_suffix(CONFIG_FILE))
        .filter_map(|dir| Some((seed_of_dir(dir.strip_suffix('/')?)?, dir.to_owned())))
        .collect();
    seeds.sort_unstable();
    if seeds.is_empty() {
        return Err(missing(artifact, format!("seed-*/{CONFIG_FILE}")));
    }
    Ok(seeds)
}

/// The seed whose model stands in a directory of this name inside a fine-tuned model; `None` if it is named otherwise.
///
/// ```
/// assert_eq!(evaluate::seed_of_dir("seed-7"), Some(7));
/// assert_eq!(evaluate::seed_of_dir("seed-007"), None);
/// ```
pub fn seed_of_dir(name: &str) -> Option<u64> {
    let seed = name.strip_prefix(SEED_DIR)?.parse().ok()?;
    // One seed has one name: leading zeros and signs are parsed too.
    (name == dir_of_seed(seed)).then_some(seed)
}

/// The directory of the model of `seed` inside a fine-tuned model.
pub fn dir_of_seed(seed: u64) -> String {
    format!("{SEED_DIR}{seed}")
}

/// The files of the model in `dir` of the artifact, as inputs of a task. The artifact's name and the seed go with them.
pub(crate) fn inputs(artifact: &ArtifactView, dir: &str, seed: u64) -> Result<Vec<Input>> {
    let input = |name: &str| -> Result<Input> {
        let path = format!("{dir}{name}");
        let file = artifact.file(&path).ok_or_else(|| missing(artifact, path))?;
        Ok(Input::new(name, file.source.clone()))
    };
    let mut inputs = vec![input(CONFIG_FILE)?.tagged(&artifact.name)];
    let missing_weights = || missing(artifact, format!("{dir}{WEIGHTS_FILE}"));
    let mut weights = weight_inputs(artifact, dir).ok_or_else(missing_weights)?;
    weights[0].tag = seed.to_string();
    inputs.extend(weights);
    inputs.push(input(TOKENIZER_JSON)?);
    // Not every published tokenizer has one.
    inputs.extend(input(TOKENIZER_CONFIG_JSON).ok());
    Ok(inputs)
}

fn missing(artifact: &ArtifactView, file: String) -> EvaluateError {
    EvaluateError::MissingFile {
        name: artifact.name.clone(),
        file,
        expected: "a model that `transformers` loads",
    }
}

/// A model that is ready to be asked, with its tokenizer.
pub struct Loaded {
    /// The step or path that it came from.
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) model: CpuModel,
    pub(crate) codec: Codec,
    /// How texts become sequences.
    pub(crate) form: SequenceForm,
}

impl Loaded {
    /// A model and its tokenizer; messages call it `name`, and `seed` is what it was fine-tuned from.
    ///
    /// # Errors
    /// When the tokenizer names no special token of the model's sequences.
    pub fn new(name: String, seed: u64, model: CpuModel, codec: Codec) -> Result<Self> {
        let special = SpecialIds { eos: codec.eos(), cls: codec.cls(), sep: codec.sep() };
        let form = SequenceForm::of(model.config(), special)
            .map_err(|role| EvaluateError::NoSpecialToken { name: name.clone(), role })?;
        Ok(Self { name, seed, model, codec, form })
    }

    /// Loads the model of a task's inputs, to be run in the arithmetic of a profile.
    pub(crate) fn read(inputs: &TaskInputs, profile: NumericProfile) -> Result<Self> {
        let (config, weights) = (inputs.one(CONFIG_FILE)?, MappedWeights::of(inputs)?);
        let name = config.tag().to_owned();
        let unusable =
            |source| EvaluateError::Model { name: name.clone(), source: Box::new(source) };
        let checkpoint = weights.checkpoint((&config.map()?, Path::new(config.name())));
        let loaded = |checkpoint| CpuModel::with_profile(checkpoint, profile);
        let model = checkpoint.and_then(loaded).map_err(unusable)?;
        let tokenizer_config = match inputs.all(TOKENIZER_CONFIG_JSON).next() {
            Some(file) => Some(file.map()?),
            None => None,
        };
        let codec = Codec::load(&inputs.one(TOKENIZER_JSON)?.map()?, tokenizer_config.as_deref())
            .map_err(|source| EvaluateError::Tokenizer { name: name.clone(), source })?;
        let seed = weights.tag().parse().unwrap_or_default();
        Self::new(name, seed, model, codec)
    }

    /// The labels of a classifier.
    pub(crate) fn labels(&self) -> Result<Vec<String>> {
        match self.model.config().head() {
            Head::SequenceClassification { labels } => Ok(labels.clone()),
            _ => {
                let wanted = Head::SequenceClassification { labels: Vec::new() };
                Err(self.wrong_head(self.model.config().architecture_with(&wanted), "models"))
            }
        }
    }

    /// The tags of a token classifier.
    pub(crate) fn tags(&self) -> Result<Vec<String>> {
        match self.model.config().head() {
            Head::TokenClassification { labels } => Ok(labels.clone()),
            _ => {
                let wanted = Head::TokenClassification { labels: Vec::new() };
                Err(self.wrong_head(self.model.config().architecture_with(&wanted), "models"))
            }
        }
    }

    /// Refuses anything but a language model.
    pub(crate) fn require_language_model(&self) -> Result<()> {
        match self.model.config().head() {
            Head::CausalLm => Ok(()),
            _ => {
                let expected = "LlamaForCausalLM or a GPT2LMHeadModel".to_owned();
                Err(self.wrong_head(expected, "language_models"))
            }
        }
    }

    fn wrong_head(&self, expected: String, field: &'static str) -> EvaluateError {
        let found = self.model.config().architecture();
        EvaluateError::WrongHead { name: self.name.clone(), found, expected, field }
    }

    /// Says that the model cannot be used.
    pub(crate) fn unusable(&self) -> impl Fn(ModelError) -> EvaluateError + use<> {
        let name = self.name.clone();
        move |source| EvaluateError::Model { name: name.clone(), source: Box::new(source) }
    }

    /// Special tokens of a sequence of one text.
    pub(crate) fn num_special(&self) -> usize {
        self.form.join(&[], None).tokens.len()
    }

    /// Tokens that the context holds.
    pub(crate) fn context(&self) -> usize {
        self.model.config().max_position_embeddings()
    }
}
