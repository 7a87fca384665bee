//! The ground that every stage stands on: artifacts, keys, the store, and what a stage is.

pub mod seed;
