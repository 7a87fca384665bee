//! The whole stage on tiny inputs.

mod corpus;
mod examples;
mod golden;
mod lab;
