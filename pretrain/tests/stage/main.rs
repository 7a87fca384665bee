//! The whole stage on tiny shards.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod golden;
mod gpt2;
mod lab;
mod masked;
mod training;
