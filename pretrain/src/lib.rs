//! Turns token shards into a checkpoint: a Llama or a GPT-2 that has learnt to predict the next token, or a BERT that
//! has learnt to guess masked ones.
//!
//! Training is a prefix: the learning rate warms up, stays, and decays over the last steps alone, so nothing before the
//! decay depends on how long the run is. The phase [`train`] ends where the decay begins and keeps its state; the
//! phase [`decay`] goes on from there and writes the checkpoint. A longer run starts from the longest state that is kept.

pub mod config;
pub mod error;
pub mod schedule;
pub mod stage;

pub mod data;
pub mod learner;
pub mod mask;
pub mod metrics;
pub mod recipe;
pub mod trainer;

pub mod decay;
pub mod train;

pub use config::Config;
pub use error::PretrainError;
