//! The sample data of `seedbed quickstart`: the documentation of the packages this program is made of.
//!
//! Nothing is downloaded. Cargo unpacked the sources of these packages to build the program, so every
//! machine that built it has some ten megabytes of real, messy, partly duplicated text, and some of
//! that text says what it is: a passage under `# Panics` tells when a function panics, and words in
//! backticks are code.
//!
//! Writes `data/corpus/*.jsonl`, one file a package, `data/labelled/passages.jsonl` and
//! `data/labelled/code.jsonl`. The bytes depend on `Cargo.lock` and on the contents of the packages, not on the machine or its paths.

mod code_spans;
mod command;
mod draw;
mod error;
mod markdown;
mod passages;
mod registry;
mod rustdoc;
mod sample;
mod sources;
mod tagged;
mod verdict;

pub use command::Command;
pub use error::SampleError;
pub use sample::{SampleSize, Summary, write_sample};
