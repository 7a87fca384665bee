//! Turns raw text into clean documents, and labelled files into examples.

pub mod signal;
