//! `seedbed report`: a run as one page that can be read anywhere.
//!
//! What the page says is gathered by one module a section, as plain values; [`page`] fills the template with them. All of it
//! is bounded: the first rules, a few samples of each, thinned curves, the first rows of large tables.

mod history;

mod artifacts;
mod chart;

mod counts;
mod curves;
mod dropped;
mod graph;
mod mistakes;
mod models;
mod provenance;

mod command;
mod page;

pub use command::{Command, write_newest};
