//! What training reads: the token shards of both splits, and their vocabulary.

use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON};
use pipelines::error::TaskError;
use pipelines::input::{TaskInput, TaskInputs};
use pipelines::shard::{Shard, ShardDocument, TokenWidth};
use pipelines::stage::{ArtifactFile, ArtifactView, Input, View};
use pipelines::stream::TokenStream;
use pipelines::table::TableReader;

use crate::error::PretrainError;

/// The config's field that names the shards.
pub const SHARDS: &str = "shards";

const TRAIN: &str = "train";
const VALIDATION: &str = "validation";

/// The shards that `shards` names.
///
/// # Errors
/// When it names none.
pub fn artifact(view: &View) -> Result<&ArtifactView, PretrainError> {
    view.artifacts(SHARDS).first().ok_or(PretrainError::MissingInput)
}

/// Everything that training reads of the shards: tokens of both splits, sizes of the validation documents, vocabulary.
///
/// # Errors
/// When the artifact lacks one of them.
pub fn inputs(view: &View) -> Result<Vec<Input>, PretrainError> {
    let artifact = artifact(view)?;
    let mut inputs = Vec::new();
    for (split, suffixes) in
        [(TRAIN, &["bin", "idx"][..]), (VALIDATION, &["bin", "idx", "docs.parquet"])]
    {
        for first in artifact.files_ending(".bin").filter(|file| is_of(split, file)) {
            let stem = first.path.trim_end_matches("bin");
            for suffix in suffixes {
                inputs.push(Input::new(
                    &format!("{split}.{suffix}"),
                    file(artifact, &format!("{stem}{suffix}"))?.source.clone(),
                ));
            }
        }
    }
    for name in [TOKENIZER_JSON, TOKENIZER_CONFIG_JSON] {
        inputs.push(Input::new(name, file(artifact, name)?.source.clone()));
    }
    Ok(inputs)
}

/// The files of the artifact that belong to its vocabulary.
pub fn vocabulary(artifact: &ArtifactView) -> impl Iterator<Item = &ArtifactFile> {
    artifact.files.iter().filter(|file| !is_of(TRAIN, file) && !is_of(VALIDATION, file))
}

fn is_of(split: &str, file: &ArtifactFile) -> bool {
    file.path.strip_prefix(split).is_some_and(|rest| rest.starts_with('-'))
}

fn file<'a>(artifact: &'a ArtifactView, name: &str) -> Result<&'a ArtifactFile, PretrainError> {
    let missing =
        || PretrainError::MissingFile { name: artifact.name.clone(), file: name.to_owned() };
    artifact.file(name).ok_or_else(missing)
}

/// The vocabulary that the tokens are of.
///
/// # Errors
/// When it cannot be read.
pub fn codec(inputs: &TaskInputs) -> Result<Codec, TaskError> {
    let tokenizer = inputs.one(TOKENIZER_JSON)?;
    let config = inputs.one(TOKENIZER_CONFIG_JSON)?.map()?;
    let name = || tokenizer.name().to_owned();
    let loaded = Codec::load(&tokenizer.map()?, Some(&config));
    loaded.map_err(|source| PretrainError::Vocabulary { name: name(), source }.into())
}

/// The training stream.
///
/// # Errors
/// When a shard cannot be read or is of another vocabulary, or the split is shorter than one sequence and its targets.
pub fn training(
    inputs: &TaskInputs,
    seq_len: usize,
    vocab_size: usize,
) -> Result<TokenStream, TaskError> {
    let shards = shards(inputs, TRAIN, vocab_size)?;
    let (found, expected) = (tokens(&shards), seq_len as u64 + 1);
    if found < expected {
        return Err(PretrainError::TooFewTokens { found, expected }.into());
    }
    Ok(TokenStream::new(shards, seq_len as u64)?)
}

/// The validation split, as evaluations read it.
pub struct Validation {
    /// Sequences and their targets.
    pub stream: TokenStream,
    /// Tokens of the split for each byte of its texts.
    pub tokens_per_byte: f64,
}

/// The validation split; `None` where it holds no text or fewer than two tokens.
///
/// Of a split that is shorter than one sequence and its targets all tokens are one sequence.
///
/// # Errors
/// When a shard cannot be read or is of another vocabulary.
pub fn validation(
    inputs: &TaskInputs,
    seq_len: usize,
    vocab_size: usize,
) -> Result<Option<Validation>, TaskError> {
    let shards = shards(inputs, VALIDATION, vocab_size)?;
    let (tokens, mut bytes) = (tokens(&shards), 0);
    for table in inputs.all(&format!("{VALIDATION}.docs.parquet")) {
        for rows in TableReader::<ShardDocument>::open(&table.map()?)? {
            bytes += rows?.iter().map(|document| document.bytes).sum::<u64>();
        }
    }
    if tokens < 2 || bytes == 0 {
        return Ok(None);
    }
    let stream = TokenStream::new(shards, (seq_len as u64).min(tokens - 1))?;
    Ok(Some(Validation { stream, tokens_per_byte: tokens as f64 / bytes as f64 }))
}

fn tokens(shards: &[Shard]) -> u64 {
    shards.iter().map(Shard::tokens).sum()
}

fn shards(inputs: &TaskInputs, split: &str, vocab_size: usize) -> Result<Vec<Shard>, TaskError> {
    let (bins, indices) = (format!("{split}.bin"), format!("{split}.idx"));
    inputs
        .all(&bins)
        .zip(inputs.all(&indices))
        .map(|(bin, idx)| shard(bin, idx, vocab_size))
        .collect()
}

fn shard(bin: &TaskInput, idx: &TaskInput, vocab_size: usize) -> Result<Shard, TaskError> {
    let most = |_| PretrainError::TooManyTokens { found: vocab_size, expected: u32::MAX };
    let expected = TokenWidth::for_vocab(u32::try_from(vocab_size).map_err(most)?).bytes();
    let shard = Shard::open(bin.map()?, idx.map()?)?;
    let found = shard.width().bytes();
    if found != expected {
        let name = bin.name().to_owned();
        return Err(PretrainError::Width { name, found, expected, vocab_size }.into());
    }
    Ok(shard)
}
