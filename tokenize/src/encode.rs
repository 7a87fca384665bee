//! Phase `encode`: documents to token shards, one for each part and split.

use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    shard::{ShardWriter, TokenWidth},
    stage::{Input, Phase, Task, View},
    table::{TableReader, documents::Document},
};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::{TokenizeError, split::Split, stage};

/// Name of the phase.
pub(crate) const NAME: &str = "encode";

/// The splits, each a shard of the part.
pub(crate) const SPLITS: [&str; 2] = ["train", "validation"];

/// Encodes the documents of a part, in order, and ends each with eos.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Encode {
    /// Share of documents in the validation split.
    pub(crate) validation: f64,
    /// Seed of the split.
    pub(crate) seed: u64,
}

impl Phase for Encode {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let vocabulary = [TOKENIZER_JSON, TOKENIZER_CONFIG_JSON]
            .map(|file| Ok(Input::new(file, stage::vocabulary_file(view, file)?.source.clone())))
            .into_iter()
            .collect::<Result<Vec<Input>, TokenizeError>>()?;
        let task =
            |(part, documents)| Task::new(part, [vec![documents], vocabulary.clone()].concat());
        Ok(stage::document_parts(view, stage::DOCUMENTS).map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let encoder = Encoder::load(inputs)?;
        let mut shards =
            Shards::create(out, encoder.width, Split::new(self.seed, self.validation))?;
        let documents = TableReader::<Document>::open(&inputs.one(stage::DOCUMENTS)?.map()?)?;
        ctx.begin(documents.rows(), Unit::Rows);
        for batch in documents {
            let batch = batch?;
            ctx.check_cancelled()?;
            // `collect` keeps the order, so the bytes do not depend on the number of threads.
            let encoded: Vec<Vec<u32>> = batch
                .par_iter()
                .map(|document| encoder.encode(document))
                .collect::<Result<_, _>>()?;
            for (document, tokens) in batch.iter().zip(&encoded) {
                shards.push(document, tokens, out)?;
            }
            ctx.advance(batch.len() as u64);
        }
        out.details(encoder.details());
        shards.finish(out)
    }
}

/// A vocabulary, and the token that ends documents.
struct Encoder {
    codec: Codec,
    eos: u32,
    vocab_size: u32,
    width: TokenWidth,
}

impl Encoder {
    fn load(inputs: &TaskInputs) -> Result<Self, TaskError> {
        let (tokenizer, config) = (inputs.one(TOKENIZER_JSON)?, inputs.one(TOKENIZER_CONFIG_JSON)?);
        let name = || tokenizer.name().to_owned();
        let codec = Codec::load(&tokenizer.map()?, Some(&config.map()?))
            .map_err(|source| TokenizeError::Vocabulary { name: name(), source })?;
        let no_eos = || TokenizeError::NoEndOfText { name: config.name().to_owned() };
        let eos = codec.eos().ok_or_else(no_eos)?;
        let found = codec.vocab_size();
        let too_many = |_| TokenizeError::TooManyTokens { name: name(), found, expected: u32::MAX };
        let vocab_size = u32::try_from(found).map_err(too_many)?;
        Ok(Self { codec, eos, vocab_size, width: TokenWidth::for_vocab(vocab_size) })
    }

    /// The tokens of a document, the last of which ends it.
    fn encode(&self, document: &Document) -> Result<Vec<u32>, TokenizeError> {
        let mut tokens = self.codec.encode(&document.text).map_err(|source| {
            let (id, key) = (document.id.clone(), document.key.clone());
            TokenizeError::Encode { id, unit: key.unit, record: key.record, source }
        })?;
        tokens.push(self.eos);
        Ok(tokens)
    }

    fn details(&self) -> serde_json::Value {
        json!({
            "vocab_size": self.vocab_size,
            "eos": self.eos,
            "engine": self.codec.engine().name(),
        })
    }
}

/// The shards of a part.
struct Shards {
    split: Split,
    /// One for each of [`SPLITS`].
    writers: [ShardWriter; 2],
}

impl Shards {
    fn create(out: &TaskOutput, width: TokenWidth, split: Split) -> Result<Self, TaskError> {
        let [train, validation] = SPLITS.map(|name| ShardWriter::create(out, name, width));
        Ok(Self { split, writers: [train?, validation?] })
    }

    fn push(
        &mut self,
        document: &Document,
        tokens: &[u32],
        out: &mut TaskOutput,
    ) -> Result<(), TaskError> {
        let at = usize::from(self.split.is_validation(&document.id)?);
        let bytes = document.text.len() as u64;
        self.writers[at].push(&document.id, &document.key, bytes, tokens)?;
        out.count("documents", 1);
        out.count(&format!("{}_documents", SPLITS[at]), 1);
        out.count(&format!("{}_tokens", SPLITS[at]), tokens.len() as u64);
        out.count(&format!("{}_bytes", SPLITS[at]), bytes);
        Ok(())
    }

    fn finish(self, out: &mut TaskOutput) -> Result<(), TaskError> {
        self.writers.into_iter().try_for_each(|writer| Ok(writer.finish(out)?))
    }
}
