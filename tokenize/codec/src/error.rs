use std::io;

/// Why a vocabulary could not be trained, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes do not begin as pre-token counts do.
    #[error("not a file of pre-token counts (starts with {found:02x?})")]
    BadMagic {
        /// The first bytes found.
        found: [u8; 8],
    },
    /// The counts were written by a newer build.
    #[error("pre-token counts of format version {found}; this build reads up to {expected}")]
    TooNew {
        /// The version found.
        found: u32,
        /// The newest version this build reads.
        expected: u32,
    },
    /// The counts end too early.
    #[error("pre-token counts end inside entry {entry} of {entries}; was the writer interrupted?")]
    Truncated {
        /// The entry that is cut, from zero.
        entry: u64,
        /// Entries promised by the header.
        entries: u64,
    },
    /// An entry breaks the format.
    #[error("pre-token counts: entry {entry} {problem}")]
    BadEntry {
        /// The entry, from zero.
        entry: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Bytes follow the last entry.
    #[error("pre-token counts go on after the last of {entries} entries")]
    TrailingBytes {
        /// Entries promised by the header.
        entries: u64,
    },
    /// More occurrences than can be counted.
    #[error("pre-tokens occur more than {} times in all", u64::MAX)]
    CountOverflow,
    /// More distinct text than the trainer can address.
    #[error("distinct pre-tokens hold {found} bytes; at most {expected} can be trained on")]
    TooManyBytes {
        /// UTF-8 bytes of all distinct pre-tokens.
        found: u64,
        /// The most that fits.
        expected: u64,
    },
    /// No room for the bytes and the end-of-text token.
    #[error(
        "a vocabulary of {found} tokens; expected at least {expected} (every byte and the end of text)"
    )]
    TooSmall {
        /// The size asked for.
        found: usize,
        /// The smallest size.
        expected: usize,
    },
    /// A special token that cannot be told from another token.
    #[error(
        "special token {token:?}; expected one that is not empty and no other token of the vocabulary"
    )]
    SpecialToken {
        /// The token.
        token: String,
    },
    /// A file of a vocabulary is not what `transformers` writes.
    #[error("{file}: {problem}")]
    BadVocabulary {
        /// Name of the file inside the vocabulary.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A GGUF file says of its vocabulary what cannot be used.
    #[error("`{key}` is {found}; expected {expected}")]
    Gguf {
        /// The key.
        key: &'static str,
        /// Its value, as JSON.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The engine could not encode a text.
    #[error("cannot encode a text of {bytes} bytes: {problem}")]
    Encode {
        /// UTF-8 bytes of the text.
        bytes: usize,
        /// What the engine says.
        problem: String,
    },
    /// A fallback engine answered text with a control token.
    #[error(
        "the text holds {token:?}, which this vocabulary can only encode as the special token {id}"
    )]
    SpecialInText {
        /// The special token's text.
        token: String,
        /// Its id.
        id: u32,
    },
    /// An id that no token has.
    #[error("token id {found}; this vocabulary has {expected} tokens")]
    UnknownId {
        /// The id found.
        found: u32,
        /// The vocabulary's size in tokens.
        expected: usize,
    },
    /// The engine could not decode.
    #[error("cannot decode {tokens} tokens: {problem}")]
    Decode {
        /// Number of ids given.
        tokens: usize,
        /// What the engine says.
        problem: String,
    },
    /// Two lists that belong together differ in length.
    #[error("{found} {what}, but {expected} are expected")]
    Length {
        /// What the list holds.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the list it belongs to.
        expected: usize,
    },
    /// Reading or writing failed.
    #[error("cannot read or write pre-token counts")]
    Io(#[from] io::Error),
}
