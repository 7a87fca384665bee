//! Turns a checkpoint and labelled examples into classifiers, one a seed.
//!
//! They give a label to a text, or a tag to each word ([`tagged`]). Each task of the phase [`train`] learns for a fixed number of epochs from the examples' train split, starting from the
//! checkpoint's weights or, for comparison, from fresh ones of the same shape; the validation split is only measured.

pub mod config;
pub mod error;
pub mod stage;

pub mod data;
pub mod notes;
pub mod rows;
pub mod score;
pub mod tagged;
pub mod train;
pub mod trainer;

pub use config::Config;
pub use error::FinetuneError;
