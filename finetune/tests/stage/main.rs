//! The whole stage on tiny examples.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod errors;
mod golden;
mod lab;
mod learning;
mod tagging;
mod tuning;
