//! Reads raw files: bytes to decoded bytes to records to documents.
//!
//! Every byte of a file belongs to one record or is an end of line or a blank line; every record comes out as text or as
//! a reason why not. Memory holds one batch of records.

pub mod decompress;
pub mod format;
pub mod place;
pub mod raw;
pub mod record;
pub mod utf8;

pub use format::Format;
pub use place::Place;
pub use record::{Fields, Parser, Record, Unreadable};
pub use utf8::InvalidUtf8;
