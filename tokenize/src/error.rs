use codec::CodecError;

/// Why documents could not be tokenized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizeError {
    /// Pre-tokens could not be counted.
    #[error("cannot count the documents of {name}")]
    Count {
        /// What holds the documents.
        name: String,
        /// Why not.
        source: CodecError,
    },
    /// Counts of a part could not be read or added.
    #[error("cannot add the counts of {name}")]
    Add {
        /// What holds the counts.
        name: String,
        /// Why not.
        source: CodecError,
    },
    /// A vocabulary could not be learnt.
    #[error("cannot learn a vocabulary")]
    Learn(#[from] CodecError),
    /// Nothing to learn from.
    #[error("the documents hold no text to learn a vocabulary from")]
    NoText,
    /// An artifact that should hold a vocabulary holds none.
    #[error("{name} holds no {file}, expected a vocabulary")]
    MissingFile {
        /// The artifact.
        name: String,
        /// The file.
        file: &'static str,
    },
    /// An input field names nothing.
    #[error("nothing is given for `{field}`")]
    MissingInput {
        /// The field.
        field: &'static str,
    },
    /// A vocabulary could not be loaded.
    #[error("cannot use the vocabulary {name}")]
    Vocabulary {
        /// What holds it.
        name: String,
        /// Why not.
        source: CodecError,
    },
    /// A vocabulary that cannot end a document.
    #[error("{name} names no eos_token, which has to end every document")]
    NoEndOfText {
        /// What holds the vocabulary's config.
        name: String,
    },
    /// More tokens than ids can be stored.
    #[error("{name} has {found} tokens; expected at most {expected}")]
    TooManyTokens {
        /// What holds the vocabulary.
        name: String,
        /// Its size.
        found: usize,
        /// The most that can be stored.
        expected: u32,
    },
    /// A document could not be encoded.
    #[error("cannot encode document {id} (record {record} of unit {unit})")]
    Encode {
        /// The document's id.
        id: String,
        /// Its unit.
        unit: String,
        /// Its record in the unit.
        record: u64,
        /// Why not.
        source: CodecError,
    },
    /// An id that is no digest.
    #[error("a document has the id {found:?}; expected 32 hexadecimal digits")]
    BadId {
        /// The id.
        found: String,
    },
}
