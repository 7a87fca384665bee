//! Measures models on held-out data.
//!
//! Phase [`classify`] asks fine-tuned classifiers for the labels of a split of `examples`, phase [`tag`] token classifiers
//! for the tags of its words, phase [`baseline`] fits [`tfidf`] on the train split and asks it for the same rows, phase [`likelihood`] asks language models for the
//! documents of the validation split of `token-shards`. Phase [`compare`] makes `results` of what they said: scores with
//! intervals, and differences with paired tests on the same rows. [`results`] is the format of `results.json`, [`report`]
//! its table for people. Both phases ask by way of [`Classifier`] and [`Tagger`], which also answer for rows without labels.

pub mod config;
pub mod error;
pub mod stage;

pub mod baseline;
pub mod classify;
pub mod compare;
pub mod likelihood;
pub mod tag;

pub mod report;
pub mod results;

pub mod classifier;
pub mod tagger;

pub mod rolling;
pub mod tfidf;

mod batches;
mod held_out;
mod model_files;
mod pairs;
mod scores;
mod sequence;
mod tagger_scores;

pub use classifier::Classifier;
pub use config::{Config, TooLong};
pub use error::EvaluateError;
pub use metrics::{EntityMetric, Estimate, Metric};
pub use model_files::{Loaded, dir_of_seed, seed_of_dir};
pub use report::table;
pub use results::Results;
pub use tagger::Tagger;
