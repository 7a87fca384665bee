//! The ground that every stage stands on: artifacts, keys, the store, and what a stage is.
//!
//! A stage implements [`stage::Stage`]; its phases read declared inputs ([`input::TaskInputs`]) and write outputs
//! ([`output::TaskOutput`]) that enter a content-addressed [`store::Store`]. Formats of artifacts stand here too, so that
//! stages meet in them and nowhere else.

pub mod context;
pub mod digest;
pub mod error;
pub mod input;
pub mod key;
pub mod kind;
pub mod output;
pub mod part;
pub mod record;
pub mod seed;
pub mod shard;
pub mod stage;
pub mod store;
pub mod stream;
pub mod table;
