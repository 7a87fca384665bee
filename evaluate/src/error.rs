//! How evaluation can fail.

use codec::CodecError;
use metrics::MetricsError;
use model::ModelError;

/// Why models could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// An input field names nothing.
    #[error("nothing is given for `{field}`")]
    MissingInput {
        /// The field.
        field: &'static str,
    },
    /// An artifact lacks a file.
    #[error("{name} holds no {file}, expected {expected}")]
    MissingFile {
        /// The artifact.
        name: String,
        /// The file.
        file: String,
        /// What the artifact should be.
        expected: &'static str,
    },
    /// A model could not be loaded.
    #[error("cannot use the model {name}")]
    Model {
        /// The model.
        name: String,
        /// Why not.
        source: Box<ModelError>,
    },
    /// A model has another head than its field asks for.
    #[error("{name} is a {found}, expected a {expected} in `{field}`")]
    WrongHead {
        /// The model.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
        /// The field that names it.
        field: &'static str,
    },
    /// A model's tokenizer could not be loaded.
    #[error("cannot use the tokenizer of {name}")]
    Tokenizer {
        /// The model.
        name: String,
        /// Why not.
        source: CodecError,
    },
    /// A vocabulary lacks a special token of the sequences that its model reads.
    #[error(
        "{name} names no {role}, expected one in tokenizer_config.json: it stands in every sequence of such a model"
    )]
    NoSpecialToken {
        /// The model.
        name: String,
        /// What the token is for.
        role: &'static str,
    },
    /// Shards were made with another vocabulary.
    #[error(
        "the tokenizer.json of {model} is not that of {shards}, expected shards of the model's own vocabulary"
    )]
    OtherVocabulary {
        /// The model.
        model: String,
        /// The shards.
        shards: String,
    },
    /// A text could not be encoded.
    #[error("{place}: cannot encode the text")]
    Encode {
        /// Where the example is.
        place: String,
        /// Why not.
        source: CodecError,
    },
    /// A text is longer than its model reads.
    #[error(
        "{place}: {found} tokens, but {model} reads {expected} at most \
         (`too_long = \"truncate\"` reads the first {expected})"
    )]
    TooLong {
        /// Where the example is.
        place: String,
        /// The model.
        model: String,
        /// Its tokens.
        found: usize,
        /// Most tokens that are read: `max_length`, or the model's context.
        expected: usize,
    },
    /// A sentence is longer than its model reads together.
    #[error(
        "{place}: {found} tokens, but {model} reads {expected} at most \
         (`too_long = \"windows\"` reads them in windows)"
    )]
    TooLongSentence {
        /// Where the example is.
        place: String,
        /// The model.
        model: String,
        /// Its tokens.
        found: usize,
        /// Most tokens that are read together: `max_length`, or the model's context.
        expected: usize,
    },
    /// A context holds special tokens at most.
    #[error(
        "{model} reads {found} tokens at most, expected at least {expected}: the special ones and one of the text"
    )]
    NoRoom {
        /// The model.
        model: String,
        /// Tokens that it reads: `max_length`, or its context.
        found: usize,
        /// Fewest that are of use.
        expected: usize,
    },
    /// A row has not one tag for each token.
    #[error(
        "{place}: {tokens} tokens and {tags} tags, expected at least one token and a tag for each"
    )]
    NotTagged {
        /// Where the example is.
        place: String,
        /// Its tokens.
        tokens: usize,
        /// Its tags.
        tags: usize,
    },
    /// A row has entities of a type that the model never learnt.
    #[error("{place}: {model} does not know entities of the tag `{tag}`, expected tags of {known}")]
    UnknownTag {
        /// Where the example is.
        place: String,
        /// The model.
        model: String,
        /// The tag.
        tag: String,
        /// The model's types of entities.
        known: String,
    },
    /// A row has a label that the model never learnt.
    #[error("{place}: {model} does not know the label `{label}`, expected one of {known}")]
    UnknownLabel {
        /// Where the example is.
        place: String,
        /// The model.
        model: String,
        /// The label.
        label: String,
        /// The model's labels.
        known: String,
    },
    /// A row has no label, or several.
    #[error("{place}: {found} labels, expected one")]
    NotOneLabel {
        /// Where the example is.
        place: String,
        /// Its labels.
        found: usize,
    },
    /// The list of labels cannot be read.
    #[error("{file}: not a list of labels")]
    Labels {
        /// The file.
        file: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A split is empty.
    #[error("{name} has no row in {split}, expected at least one")]
    NoRows {
        /// The examples.
        name: String,
        /// The split.
        split: &'static str,
    },
    /// The validation split of the shards is empty.
    #[error(
        "{name} has no document in validation, expected at least one (`validation` of the step that made it)"
    )]
    NoDocuments {
        /// The shards.
        name: String,
    },
    /// Train rows hold no word.
    #[error("the train rows of {name} hold no word of two characters, expected some to learn from")]
    NoWords {
        /// The examples.
        name: String,
    },
    /// The baseline did not come to its optimum.
    #[error(
        "the tfidf baseline did not converge: gradient norm {found:e} after {iterations} iterations, expected {expected:e}"
    )]
    NotConverged {
        /// Where it stopped.
        found: f64,
        /// Where it should have come to.
        expected: f64,
        /// Iterations done.
        iterations: usize,
    },
    /// Tables that should hold the same rows do not.
    #[error(
        "{name}: found {found}, expected {expected}; this is a bug in seedbed: please report it"
    )]
    Unexpected {
        /// The table.
        name: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A number could not be computed.
    #[error("cannot measure {name}")]
    Metrics {
        /// The model.
        name: String,
        /// Why not.
        source: MetricsError,
    },
    /// Results were written by a newer version of this program.
    #[error("results version {found}; this build reads up to {supported}: use a newer seedbed")]
    ResultsTooNew {
        /// Their version.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// Results cannot be read.
    #[error("not results of an evaluation")]
    BadResults(#[source] serde_json::Error),
    /// The frame failed to read or write.
    #[error(transparent)]
    Frame(#[from] pipelines::error::Error),
}

/// The crate's result.
pub type Result<T, E = EvaluateError> = std::result::Result<T, E>;
