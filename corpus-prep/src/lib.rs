//! Turns raw text into clean documents, and labelled files into examples.
//!
//! Of `inputs` (raw files of every format in [`read::format`]) the phases [`extract`], [`measure`], [`remeasure`] (where texts are
//! edited), [`deduplicate`], [`decide`] and [`mod@write`] make `extracted`, `signals`, `decisions` and `documents`: every record
//! that is read has one row in the
//! first three, and one outcome. Of `examples` (labelled files) the phases of [`examples`] make `examples`.
//!
//! [`fasttext`], [`classifier`] and [`language`] say what a text is, and know nothing of phases.

pub mod config;
pub mod error;
pub mod globs;
pub mod stage;

pub mod classifier;
pub mod fasttext;
pub mod language;

pub mod cascade;
pub mod dedup;
pub mod edit;
pub mod filters;
pub mod read;
pub mod rule;
pub mod signal;
pub mod spacy;

pub mod decide;
pub mod deduplicate;
pub mod examples;
pub mod extract;
pub mod measure;
pub mod remeasure;
pub mod write;

mod rows;

pub use config::Config;
