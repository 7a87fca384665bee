//! The whole stage on tiny shards.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

mod golden;
mod lab;
mod masked;
mod training;
