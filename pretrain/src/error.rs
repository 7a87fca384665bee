//! How pre-training can fail.

/// Why a model could not be pre-trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum PretrainError {
    #[error("{name}: it holds no {file}, expected token shards with their vocabulary")]
    MissingFile { name: String, file: String },
    #[error("`shards` names no artifact")]
    MissingInput,
    #[error("{name}: the vocabulary cannot be loaded")]
    Vocabulary { name: String, source: codec::CodecError },
    #[error(
        "{name}: tokens of {found} bytes, expected {expected} bytes for the vocabulary of {vocab_size} tokens beside it"
    )]
    Width { name: String, found: u64, expected: u64, vocab_size: usize },
    #[error("the vocabulary has {found} tokens, expected at most {expected}")]
    TooManyTokens { found: usize, expected: u32 },
    #[error(
        "the train split holds {found} tokens, expected at least {expected} for one sequence of `seq_len` and its targets"
    )]
    TooFewTokens { found: u64, expected: u64 },
    #[error(
        "the loss of step {step} is {found} nats a token, expected a finite number; a lower `schedule.peak_lr` may help"
    )]
    LossDiverged { step: u64, found: f64 },
    #[error(
        "the vocabulary names no {role}, expected one: `objective = \"masked\"` needs `cls_token`, `sep_token` and \
         `mask_token`, which `train.special_tokens` of a tokenize step gives"
    )]
    NoSpecialToken { role: &'static str },
    #[error("step {step} cannot be taken")]
    Step { step: u64, source: Box<model::ModelError> },
    #[error("{name}: holds the state after {found} steps, expected {expected}")]
    WrongStep { name: String, found: u64, expected: u64 },
}
