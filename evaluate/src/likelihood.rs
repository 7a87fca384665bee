//! Phase `likelihood`: how well language models predict held-out documents, one task for each model.
//!
//! The documents are those of the validation split of `token-shards`. Each is predicted from its start, the first token
//! from the eos token alone and the eos token that ends it among the predicted; one that is longer than the context goes
//! through the model in [windows](crate::rolling).

use codec::TOKENIZER_JSON;
use model::{NumericProfile, TokenBatch};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    shard::{Shard, ShardDocument},
    stage::{ArtifactView, Input, Phase, Task, View},
    table::{TableWriter, likelihoods::Likelihood, read_all},
};
use serde::Serialize;

use crate::{
    error::{EvaluateError, Result},
    model_files::{self, Loaded},
    rolling,
};

/// Name of the phase.
pub const NAME: &str = "likelihood";

/// The field of language models.
pub(crate) const LANGUAGE_MODELS: &str = "language_models";

/// The field of token shards.
pub(crate) const SHARDS: &str = "shards";

/// The table of likelihoods.
pub const LIKELIHOODS: &str = "likelihoods";

/// What the names of the files of the split begin with.
const SPLIT: &str = "validation-";

/// The tokens of a shard: role, and what follows the shard's name.
const BIN: &str = "bin";
/// Their index.
const IDX: &str = "idx";
/// The documents behind them.
const DOCS: &str = "docs.parquet";
/// The vocabulary of the shards.
const SHARDS_TOKENIZER: &str = "shards/tokenizer.json";

/// Most tokens that go through the model together; memory grows with them.
const BATCH_TOKENS: usize = 4096;

/// Asks a language model for the validation documents.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The arithmetic.
    pub numeric_profile: NumericProfile,
}

impl Phase for Score {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let shards = shards(view)?;
        let mut documents = shard_inputs(shards, &[BIN, IDX, DOCS])?;
        let tokenizer = shards.file(TOKENIZER_JSON);
        documents
            .extend(tokenizer.map(|file| {
                Input::new(SHARDS_TOKENIZER, file.source.clone()).tagged(&shards.name)
            }));
        let task = |artifact: &ArtifactView| {
            let inputs = model_files::inputs(artifact, "", 0)?;
            Ok(Task::new(artifact.name.clone(), [inputs, documents.clone()].concat()))
        };
        view.artifacts(LANGUAGE_MODELS).iter().map(task).collect()
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut model = Loaded::read(inputs, self.numeric_profile)?;
        model.require_language_model()?;
        check_vocabulary(&model, inputs)?;
        let splits = read_shards(inputs)?;
        ctx.begin(splits.iter().map(|(shard, _)| shard.documents()).sum(), Unit::Rows);
        let mut table = TableWriter::create(out, LIKELIHOODS)?;
        for (shard, documents) in &splits {
            for (at, document) in (0..).zip(documents) {
                ctx.check_cancelled()?;
                let tokens = shard.document(at);
                let nats = model.document_nats(&tokens)?;
                table.push(Likelihood {
                    model: model.name.clone(),
                    id: document.id.clone(),
                    key: document.key.clone(),
                    tokens: tokens.len() as u64,
                    bytes: document.bytes,
                    nats,
                })?;
                ctx.advance(1);
                out.count("tokens", tokens.len() as u64);
            }
        }
        out.count("documents", table.len());
        Ok(table.finish(out)?)
    }
}

/// The shards that the config names.
pub(crate) fn shards(view: &View) -> Result<&ArtifactView> {
    view.artifacts(SHARDS).first().ok_or(EvaluateError::MissingInput { field: SHARDS })
}

/// The tokens of the validation split, as inputs of a task.
pub(crate) fn token_inputs(view: &View) -> Result<Vec<Input>> {
    shard_inputs(shards(view)?, &[BIN, IDX])
}

fn shard_inputs(artifact: &ArtifactView, roles: &[&str]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for bin in artifact.files_ending(".bin").filter(|file| file.path.starts_with(SPLIT)) {
        for role in roles {
            let path = format!("{}{role}", bin.path.trim_end_matches(BIN));
            let missing = || EvaluateError::MissingFile {
                name: artifact.name.clone(),
                file: path.clone(),
                expected: "the files of each shard",
            };
            let file = artifact.file(&path).ok_or_else(missing)?;
            inputs.push(Input::new(role, file.source.clone()).tagged(&artifact.name));
        }
    }
    if inputs.is_empty() {
        return Err(EvaluateError::NoDocuments { name: artifact.name.clone() });
    }
    Ok(inputs)
}

/// The shards among a task's inputs, and what messages call them.
///
/// # Errors
/// When they hold no document, or cannot be read.
pub(crate) fn open_shards(inputs: &TaskInputs) -> Result<(String, Vec<Shard>)> {
    let pairs = inputs.all(BIN).zip(inputs.all(IDX));
    let shards = pairs
        .map(|(bin, idx)| Ok(Shard::open(bin.map()?, idx.map()?)?))
        .collect::<Result<Vec<Shard>>>()?;
    let name = inputs.one(BIN)?.tag().to_owned();
    if shards.iter().all(|shard| shard.documents() == 0) {
        return Err(EvaluateError::NoDocuments { name });
    }
    Ok((name, shards))
}

fn read_shards(inputs: &TaskInputs) -> Result<Vec<(Shard, Vec<ShardDocument>)>> {
    let (_, shards) = open_shards(inputs)?;
    let mut read = Vec::with_capacity(shards.len());
    for (shard, table) in shards.into_iter().zip(inputs.all(DOCS)) {
        let documents: Vec<ShardDocument> = read_all(&table.map()?)?;
        if documents.len() as u64 != shard.documents() {
            let found = format!("{} documents", documents.len());
            let expected = format!("{}, as in the shard beside it", shard.documents());
            let path = table.path();
            return Err(pipelines::error::Error::Format { path, found, expected }.into());
        }
        read.push((shard, documents));
    }
    Ok(read)
}

fn check_vocabulary(model: &Loaded, inputs: &TaskInputs) -> Result<()> {
    let own = inputs.one(TOKENIZER_JSON)?;
    match inputs.all(SHARDS_TOKENIZER).next() {
        Some(of_shards) if of_shards.digest() != own.digest() => {
            Err(EvaluateError::OtherVocabulary {
                model: model.name.clone(),
                shards: of_shards.tag().to_owned(),
            })
        }
        _ => Ok(()),
    }
}

impl Loaded {
    /// Negative log-likelihood of a document, in nats.
    fn document_nats(&mut self, document: &[u32]) -> Result<f64> {
        let context = self.context();
        let windows = rolling::windows(self.form.end(), document, context);
        let mut nats = 0.0;
        // Bits of a window do not depend on those beside it, and windows are added up one by one.
        for together in windows.chunks((BATCH_TOKENS / context).max(1)) {
            let failed =
                |source| EvaluateError::Model { name: self.name.clone(), source: Box::new(source) };
            let mut batch = TokenBatch::new();
            for window in together {
                batch.push(&window.tokens, &window.targets).map_err(failed)?;
            }
            let losses = self.model.sequence_losses(&batch).map_err(failed)?;
            nats = losses.iter().fold(nats, |nats, loss| nats + loss.nats);
        }
        Ok(nats)
    }
}
