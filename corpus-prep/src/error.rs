//! How corpus-prep can fail.

use crate::examples::row::BadRow;
use crate::fasttext::BadModel;
use crate::read::{Place, Unreadable};
use pipelines::table::examples::Split;
use std::io;

/// Why documents or examples could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file name does not say how to read the file.
    #[error("the end of its name tells no format; expected one of {known}")]
    UnknownFormat {
        /// The formats that are known.
        known: &'static str,
    },
    /// A record has no text.
    #[error("{place}: {problem}")]
    Unreadable {
        /// Where.
        place: Place,
        /// Why.
        problem: Unreadable,
    },
    /// A byte is not UTF-8.
    #[error(
        "{place}: {at} 0x{byte:02x}, expected UTF-8 \
         (`invalid_utf8 = \"repair\"` replaces such bytes by U+FFFD)"
    )]
    InvalidUtf8 {
        /// Where.
        place: Place,
        /// `byte N of the file is`, or `column N has`.
        at: String,
        /// The byte.
        byte: u8,
    },
    /// Two files hold the same bytes and would be read in two ways.
    #[error(
        "{first} and {second} hold the same bytes, but are read as {first_format} and as {second_format}: \
         leave one of them out"
    )]
    ReadTwice {
        /// One file.
        first: String,
        /// How it is read.
        first_format: String,
        /// The other file.
        second: String,
        /// How it is read.
        second_format: String,
    },
    /// A labelled file is given for two splits.
    #[error(
        "{first} (`{first_field}`) and {second} (`{second_field}`) hold the same bytes, expected each row in one split"
    )]
    InTwoSplits {
        /// One file.
        first: String,
        /// Where it is given.
        first_field: &'static str,
        /// The other file.
        second: String,
        /// Where it is given.
        second_field: &'static str,
    },
    /// A row of a labelled file is no example.
    #[error("{place}: {problem}")]
    BadRow {
        /// Where.
        place: Place,
        /// Why.
        problem: BadRow,
    },
    /// A file has no such column.
    #[error("{file}: no column `{column}`; found {found}")]
    MissingColumn {
        /// The file.
        file: String,
        /// The column that the manifest names.
        column: String,
        /// The columns of the header.
        found: String,
    },
    /// The header of a file names a column twice.
    #[error("{file}: two columns `{column}`, expected different names; found {found}")]
    ColumnTwice {
        /// The file.
        file: String,
        /// The name.
        column: String,
        /// The columns of the header.
        found: String,
    },
    /// The column of texts holds something else.
    #[error("{file}: column `{column}` is of type {found}, expected strings")]
    ColumnType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// A Parquet file is compressed in a way that this build does not read.
    #[error("{file}: column `{column}` is compressed with {found}, expected {expected}")]
    Codec {
        /// The file.
        file: String,
        /// A column.
        column: String,
        /// How it is compressed.
        found: &'static str,
        /// How it may be.
        expected: &'static str,
    },
    /// The column of lists of words holds something else.
    #[error("{file}: column `{column}` is of type {found}, expected lists of strings")]
    WordsType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// A file is no Parquet.
    #[error("{file}: found {message}, expected a Parquet file")]
    Parquet {
        /// The file.
        file: String,
        /// What the parser says.
        message: String,
    },
    /// A label cannot be learnt, because no training row has it.
    #[error(
        "{place}: the label `{label}` is in {split} and on no row of train; found in train: {known}"
    )]
    UnseenLabel {
        /// Its first row.
        place: Place,
        /// The label.
        label: String,
        /// A split that has it.
        split: Split,
        /// The labels of train.
        known: String,
    },
    /// No row is there to learn from.
    #[error("no row is in train; found {rows} rows in all, expected at least one in train")]
    NoTrainRows {
        /// Rows in all splits.
        rows: u64,
    },
    /// No entity is there to learn from.
    #[error(
        "no entity is in train; found {rows} rows in all, expected at least one entity in train"
    )]
    NoTrainEntities {
        /// Rows in all splits.
        rows: u64,
    },
    /// A labelled file does not hold what the task learns from.
    #[error(
        "{file} is read as `{format}`, which does not hold what `{task}` learns from; expected {}",
        match *task {
            "token-classification" => "tokens with tags: CoNLL (`format = \"conll\"`) or JSON lines",
            _ => "a text with its label: CSV, JSON lines, `label-text` or `folder`",
        }
    )]
    OtherTask {
        /// The file.
        file: String,
        /// How it is read.
        format: String,
        /// The task.
        task: &'static str,
    },
    /// A model of fastText cannot be used.
    #[error("{file}: {problem}")]
    FastText {
        /// The file.
        file: String,
        /// Why.
        problem: BadModel,
    },
    /// A classifier cannot be learnt in this way.
    #[error("`{option}`: found {found}, expected {expected}")]
    ClassifierOption {
        /// What is said.
        option: &'static str,
        /// Its value.
        found: String,
        /// Which it may have.
        expected: &'static str,
    },
    /// There is too little to learn a label from.
    #[error("label `{label}`: found {found} examples, expected at least {expected}")]
    TooFewExamples {
        /// The label.
        label: String,
        /// Its examples.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// A file is no classifier of ours.
    #[error("{file}: found {found}, expected {expected}")]
    BadClassifier {
        /// The file.
        file: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The frame failed to write or read a table.
    #[error(transparent)]
    Frame(#[from] pipelines::error::Error),
    /// A table or index of an earlier phase is not what it should be.
    #[error(
        "{file}: found {found}, expected {expected}; this is a bug in seedbed: please report it"
    )]
    Unexpected {
        /// Which.
        file: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// An output cannot be written.
    #[error("cannot write `{output}`")]
    Write {
        /// Which.
        output: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {file}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
