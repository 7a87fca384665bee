//! What a task reads: examples, and of a checkpoint its shape, vocabulary and weights.

use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON};
use model::checkpoint::{MappedWeights, WEIGHTS_FILE, weight_inputs};
use model::{CONFIG_FILE, Checkpoint, ModelConfig, SequenceForm, SpecialIds};
use pipelines::error::TaskError;
use pipelines::input::{TaskInput, TaskInputs};
use pipelines::stage::{ArtifactView, Input, View};
use pipelines::table::examples::ExampleTask;

use crate::config::Init;
use crate::error::FinetuneError;
use crate::train::Train;

/// The field, and the role, of examples.
pub const EXAMPLES: &str = "examples";
/// The field of the checkpoint.
pub const MODEL: &str = "model";
/// The files of a vocabulary, which go on to the classifiers.
pub const VOCABULARY_FILES: [&str; 2] = [TOKENIZER_JSON, TOKENIZER_CONFIG_JSON];

/// The artifact that `field` names.
///
/// # Errors
/// When it names none.
pub fn artifact<'a>(
    view: &'a View,
    field: &'static str,
) -> Result<&'a ArtifactView, FinetuneError> {
    view.artifacts(field).first().ok_or(FinetuneError::MissingInput { field })
}

/// What a task reads. Weights are among it only where `init` asks for them: a model from scratch does not change with them.
///
/// # Errors
/// When the checkpoint lacks a file.
pub fn inputs(view: &View, init: Init) -> Result<Vec<Input>, FinetuneError> {
    let examples = artifact(view, EXAMPLES)?.files_ending(".parquet");
    let mut inputs: Vec<Input> =
        examples.map(|file| Input::new(EXAMPLES, file.source.clone())).collect();
    let model = artifact(view, MODEL)?;
    let missing = |file| FinetuneError::MissingFile { name: model.name.clone(), file };
    for name in VOCABULARY_FILES.into_iter().chain([CONFIG_FILE]) {
        match model.file(name) {
            Some(file) => inputs.push(Input::new(name, file.source.clone())),
            // Not every published tokenizer has one.
            None if name == TOKENIZER_CONFIG_JSON => {}
            None => return Err(missing(name)),
        }
    }
    if init == Init::Pretrained {
        inputs.extend(weight_inputs(model, "").ok_or_else(|| missing(WEIGHTS_FILE))?);
    }
    Ok(inputs)
}

/// The vocabulary, and how its tokens become sequences for models of this shape.
///
/// # Errors
/// When it cannot be read, or lacks a special token that such sequences have.
pub fn codec(inputs: &TaskInputs, shape: &ModelConfig) -> Result<(Codec, SequenceForm), TaskError> {
    let tokenizer = inputs.one(TOKENIZER_JSON)?;
    let config = inputs.all(TOKENIZER_CONFIG_JSON).next().map(TaskInput::map).transpose()?;
    let name = || tokenizer.name().to_owned();
    let codec = Codec::load(&tokenizer.map()?, config.as_deref())
        .map_err(|source| FinetuneError::Vocabulary { name: name(), source })?;
    let special = SpecialIds { eos: codec.eos(), cls: codec.cls(), sep: codec.sep() };
    let form = SequenceForm::of(shape, special)
        .map_err(|role| FinetuneError::NoSpecialToken { name: name(), role })?;
    Ok((codec, form))
}

/// The shape of the checkpoint.
///
/// # Errors
/// When it cannot be read.
pub fn shape(inputs: &TaskInputs) -> Result<ModelConfig, TaskError> {
    let (bytes, path) = mapped(inputs.one(CONFIG_FILE)?)?;
    Ok(ModelConfig::from_json(&bytes, &path)?)
}

/// The classifier that training starts from.
///
/// # Errors
/// When the checkpoint cannot be read, or has classes already.
pub fn classifier(
    inputs: &TaskInputs,
    phase: &Train,
    labels: &[String],
    seed: u64,
) -> Result<Checkpoint, TaskError> {
    let mut body = match phase.init {
        Init::Scratch => Checkpoint::fresh(shape(inputs)?, seed)?,
        Init::Pretrained => {
            let (config, config_path) = mapped(inputs.one(CONFIG_FILE)?)?;
            MappedWeights::of(inputs)?.checkpoint((&config, &config_path))?
        }
    };
    if let Some(rate) = phase.dropout {
        body.config = body.config.with_dropout(rate);
    }
    let labels = labels.to_vec();
    Ok(match phase.task {
        ExampleTask::SequenceClassification => body.into_classifier(labels, seed)?,
        ExampleTask::TokenClassification => body.into_token_classifier(labels, seed)?,
    })
}

/// The bytes of an input, and what errors call it.
fn mapped(input: &TaskInput) -> Result<(pipelines::input::Mapped, std::path::PathBuf), TaskError> {
    Ok((input.map()?, input.name().into()))
}
