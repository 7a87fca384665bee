//! What is wrong with a file that should be a model of fastText.

/// Why a file is no model that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadModel {
    /// The file ends too early.
    #[error(
        "{found} bytes, expected {expected} more for {what} from byte {at} on; was the writer interrupted?"
    )]
    Cut {
        /// What should be there.
        what: &'static str,
        /// Where it begins.
        at: usize,
        /// How many bytes it takes.
        expected: u64,
        /// How many bytes the file has.
        found: usize,
    },
    /// Something has a value that it cannot have.
    #[error("up to byte {at}: found {found} for {what}, expected {expected}")]
    Value {
        /// What.
        what: &'static str,
        /// The byte behind it.
        at: usize,
        /// Its value.
        found: String,
        /// Which it may have.
        expected: String,
    },
    /// The weights give no probabilities.
    #[error("found weights that give NaN for a text, expected numbers")]
    NotANumber,
}
