//! Labelled files to examples: rows, splits, the label list.

pub mod config;
mod conll;
mod csv;
pub mod format;
pub mod label;
mod parquet;
pub mod read;
pub mod row;
pub mod split;
pub mod tag;

pub use config::ExamplesConfig;
pub use format::FileFormat;
