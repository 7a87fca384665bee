//! The ground that every stage stands on: artifacts, keys, the store, and what a stage is; and on it what reads a
//! manifest, plans it, runs it and says why.
//!
//! A stage implements [`stage::Stage`]; its phases read declared inputs ([`input::TaskInputs`]) and write outputs
//! ([`output::TaskOutput`]) that enter a content-addressed [`store::Store`]. Formats of artifacts stand here too, so that
//! stages meet in them and nowhere else. Stages use nothing from `manifest` on.

pub mod digest;
pub mod error;
pub mod seed;
pub mod size;

pub mod kind;
pub mod part;
pub mod shard;
pub mod stream;
pub mod table;

pub mod context;
pub mod input;
pub mod output;
pub mod stage;

pub mod key;
pub mod record;
pub mod store;

pub mod engine;
pub mod explain;
mod files;
pub mod gc;
mod given;
mod graph;
pub mod log;
pub mod manifest;
pub mod panics;
pub mod passing;
pub mod plan;
mod planner;
pub mod publish;
pub mod resources;
mod results;
pub mod retention;
pub mod roots;
pub mod row_groups;
pub mod run;
pub mod task;
mod tensorboard;
pub mod verify;
