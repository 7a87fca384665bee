//! How fine-tuning can fail.

/// Why a model could not be fine-tuned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum FinetuneError {
    #[error("`{field}` names no artifact")]
    MissingInput { field: &'static str },
    #[error("{name}: it holds no {file}, expected a model that `transformers` loads")]
    MissingFile { name: String, file: &'static str },
    #[error("{name}: the vocabulary cannot be loaded")]
    Vocabulary { name: String, source: codec::CodecError },
    #[error(
        "{name}: the vocabulary names no {role}, expected one: it stands in every sequence of such a model"
    )]
    NoSpecialToken { name: String, role: &'static str },
    #[error(
        "`max_length` is {found} tokens, expected at most {expected}, the model's context (max_position_embeddings)"
    )]
    MaxLength { found: usize, expected: usize },
    #[error("{name}: row {row} cannot be encoded")]
    Encode { name: String, row: String, source: codec::CodecError },
    #[error(
        "{name}: row {row} has {found} tokens with special ones, expected at most {expected}; \
         `too_long = \"truncate\"` would cut it off, and a model of a longer context read it"
    )]
    TooLong { name: String, row: String, found: usize, expected: usize },
    #[error(
        "{name}: row {row} has {found} tokens with special ones, expected at most {expected}; \
         `too_long = \"windows\"` would read it in windows"
    )]
    TooLongSentence { name: String, row: String, found: usize, expected: usize },
    #[error(
        "`max_length` is {found} tokens, expected at least {expected}: the special ones and one of the text"
    )]
    NoRoom { found: usize, expected: usize },
    #[error(
        "{name}: row {row} has {tokens} tokens and {tags} tags, expected at least one token and a tag for each"
    )]
    NotTagged { name: String, row: String, tokens: usize, tags: usize },
    #[error(
        "{name}: the tag `{tag}` of row {row} is in {split} and on no token of train; found in train: {known}"
    )]
    UnseenTag { name: String, row: String, split: &'static str, tag: String, known: String },
    #[error(
        "the train split has no tag of an entity, expected at least one: tags are `O`, `B-TYPE` and `I-TYPE`"
    )]
    NoEntity,
    #[error("{name}: row {row} has {found} labels, expected one")]
    Labels { name: String, row: String, found: usize },
    #[error("{name}: row {row} has a second text, expected one text a row; pairs cannot be learnt")]
    TextPair { name: String, row: String },
    #[error(
        "{name}: the label `{label}` of row {row} is in {split} and on no row of train; found in train: {known}"
    )]
    UnseenLabel { name: String, row: String, split: &'static str, label: String, known: String },
    #[error("the train split has {found} labels ({known}), expected at least two")]
    TooFewLabels { found: usize, known: String },
    #[error("the task's seed is `{found}`, expected a number; this is a bug in seedbed")]
    Seed { found: String },
    #[error(
        "the loss of step {step} is {found} nats a row, expected a finite number; a lower `peak_lr` may help"
    )]
    LossDiverged { step: u64, found: f64 },
    #[error(
        "{name}: holds a state of {found} steps of some training, expected one of this training after {expected}"
    )]
    WrongState { name: String, found: u64, expected: u64 },
    #[error("step {step} cannot be taken")]
    Step { step: u64, source: Box<model::ModelError> },
}
