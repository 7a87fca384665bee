//! The whole stage on tiny examples.

mod errors;
mod golden;
mod lab;
mod learning;
