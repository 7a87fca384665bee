//! The program as its users meet it: its commands, on files in a fresh directory.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alone;
mod answers;
mod bad_input;
mod bench;
mod changes;
mod chaos;
mod convert;
mod editing;
mod elsewhere;
mod explaining;
mod init;
mod kills;
mod page;
mod project;
mod store;
mod tagging;
mod training;
