//! Turns documents into a vocabulary, and documents into token shards.
//!
//! With `train`, reads `documents` and writes a `vocabulary`: pre-tokens are counted part by part, then merges are
//! learnt from the sum. With `documents` and `vocabulary`, writes `token-shards`: one shard a part and split, so that a
//! changed part re-encodes alone.

mod config;
mod count;
mod encode;
mod error;
mod merge;
mod split;
mod stage;

pub use config::{Config, Train};
pub use error::TokenizeError;
pub use stage::NAME;
