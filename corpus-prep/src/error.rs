//! How corpus-prep can fail.

use crate::read::{Place, Unreadable};
use std::io;

/// Why documents or examples could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file name does not say how to read the file.
    #[error("{file}: the end of its name tells no format; expected one of {known}")]
    UnknownFormat {
        /// The file.
        file: String,
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
        "{place}: byte {offset} of the file is 0x{byte:02x}, expected UTF-8 \
         (`invalid_utf8 = \"repair\"` replaces such bytes by U+FFFD)"
    )]
    InvalidUtf8 {
        /// Where.
        place: Place,
        /// Where in the decoded file, in bytes.
        offset: u64,
        /// The byte.
        byte: u8,
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
