//! The whole stage on tiny shards.

mod golden;
mod lab;
mod training;
