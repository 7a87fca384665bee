//! How model work can fail.

use std::{io, path::PathBuf};

/// Why a model could not be read, built, run, trained or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum ModelError {
    #[error("{file}: `{key}` is {found}; expected {expected}")]
    Config { file: PathBuf, key: String, found: String, expected: String },
    #[error("{file}: not JSON")]
    Json { file: PathBuf, source: serde_json::Error },
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{file}: not a safetensors file")]
    Safetensors { file: PathBuf, source: Box<safetensors::SafeTensorError> },
    #[error("{file}: not a GGUF file (starts with {found:02x?})")]
    NotGguf { file: PathBuf, found: [u8; 4] },
    #[error("{file}: GGUF version {found}; this build reads {oldest} to {newest}")]
    GgufVersion { file: PathBuf, found: u32, oldest: u32, newest: u32 },
    #[error("{file}: {place}: found {found}, expected {expected}")]
    Gguf { file: PathBuf, place: String, found: String, expected: String },
    #[error(
        "{file}: {found} bytes, but {place} reaches up to byte {expected}; was it downloaded whole?"
    )]
    Truncated { file: PathBuf, place: String, found: u64, expected: u64 },
    #[error("{index}: it names the file `{shard}`, which is missing beside it")]
    MissingShard { index: PathBuf, shard: String },
    #[error("{index}: it has tensor `{tensor}` in {shard}, which lacks it")]
    NotInShard { index: PathBuf, tensor: String, shard: PathBuf },
    #[error("{file}: tensor `{tensor}` cannot be converted to f32")]
    Convert { file: PathBuf, tensor: String, source: Box<candle_core::Error> },
    #[error(
        "{file}: found {tensors} tensors, expected some for each of the {found} layers that its config has"
    )]
    TooManyLayers { file: PathBuf, found: usize, tensors: usize },
    #[error("{file}: tensor `{tensor}` is missing; expected it with shape {expected:?}")]
    MissingTensor { file: PathBuf, tensor: String, expected: Vec<usize> },
    #[error("{file}: tensor `{tensor}` was not expected in a {whose}")]
    UnexpectedTensor { file: PathBuf, tensor: String, whose: String },
    #[error("{file}: tensor `{tensor}` has shape {found:?}; its config promises {expected:?}")]
    WrongShape { file: PathBuf, tensor: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("{file}: tensor `{tensor}` holds {found}; expected {expected}")]
    WrongType { file: PathBuf, tensor: String, found: String, expected: &'static str },
    #[error("the model is a {found}; this needs a {expected}")]
    WrongHead { found: String, expected: String },
    #[error("sequence {sequence} is empty; expected at least one token")]
    EmptySequence { sequence: usize },
    #[error(
        "sequence {sequence} has {found} tokens; the model's context holds {expected} \
         (max_position_embeddings)"
    )]
    SequenceTooLong { sequence: usize, found: usize, expected: usize },
    #[error("token {token} is id {found}; expected an id below the vocabulary size {expected}")]
    UnknownToken { token: usize, found: u32, expected: usize },
    #[error("token {token} is of type {found}; expected one below the number of types {expected}")]
    UnknownTokenType { token: usize, found: u32, expected: usize },
    #[error("row {row} has label {found}; expected one below the number of labels {expected}")]
    UnknownLabel { row: usize, found: u32, expected: usize },
    #[error("token {token} has label {found}; expected one below the number of labels {expected}")]
    UnknownTokenLabel { token: usize, found: u32, expected: usize },
    #[error("{found} {what} were given; expected {expected}, one for each {each}")]
    WrongCount { what: &'static str, each: &'static str, found: usize, expected: usize },
    #[error("parameter `{found}` stands where `{expected}` was expected")]
    ForeignParameter { found: String, expected: String },
    #[error("at the start of training, these tensors have {problem} gradients: {}", tensors.join(", "))]
    Gradient { problem: &'static str, tensors: Vec<String> },
    #[error("`freeze.layers` is {found}; expected at most {expected}, the layers of the model")]
    Freeze { found: usize, expected: usize },
    #[error("the gradient norm of step {step} is {found}; expected a finite number")]
    Diverged { step: u64, found: f64 },
    #[error(
        "training a model of {parameters} parameters with {tokens} tokens at once takes at least {found} bytes of memory \
         (weights, gradients, what the optimizer keeps, activations), expected at most the {expected} that the task may take"
    )]
    Memory { parameters: u128, tokens: u64, found: u128, expected: u64 },
    #[error("{file}: found {found}, expected a training state")]
    NotAState { file: PathBuf, found: &'static str },
    #[error(
        "{file}: training state version {found}; this build reads up to {supported}: use a newer seedbed"
    )]
    StateTooNew { file: PathBuf, found: u64, supported: u64 },
    #[error(
        "the logit of token {token} is {found}; expected a finite number: are the weights damaged?"
    )]
    Logit { token: usize, found: f32 },
    #[error(
        "the logit of class {class} is {found}; expected a finite number: are the weights damaged?"
    )]
    ClassLogit { class: usize, found: f32 },
    #[error("`{field}` is {found}; expected {expected}")]
    Sampling { field: &'static str, found: f64, expected: &'static str },
    #[error("`{field}` is {found}; expected {expected}")]
    Optimizer { field: &'static str, found: f64, expected: &'static str },
    #[error(
        "numeric profile `{expected}` was asked for; this processor and build compute with `{found}`"
    )]
    Profile { found: crate::NumericProfile, expected: crate::NumericProfile },
    #[error("cannot open the first NVIDIA device")]
    Device { source: Box<candle_core::Error> },
}

/// What model work returns.
pub type Result<T> = std::result::Result<T, ModelError>;
