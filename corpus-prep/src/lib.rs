//! Turns raw text into clean documents, and labelled files into examples.

pub mod error;
pub mod read;
pub mod rule;
pub mod signal;
