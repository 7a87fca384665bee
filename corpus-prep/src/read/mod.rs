//! Reads raw files: bytes to decoded bytes to records to documents.
//!
//! Every byte of a file belongs to one record, to its header or footer, or is an end of line or a blank line; every record
//! comes out as text or as a reason why not. Memory holds one batch of records.

pub mod ahead;
pub mod charset;
pub mod csv;
pub mod decompress;
pub mod format;
pub mod header;
pub mod html;
pub mod json;
pub mod mediawiki;
pub mod parquet;
pub mod place;
pub mod raw;
pub mod record;
pub mod records;
pub mod rows;
pub mod skip;
pub mod utf8;
pub mod warc;
pub mod wikitext;

pub use format::Format;
pub use header::Header;
pub use place::Place;
pub use record::{Fields, Parsed, Parser, Record, Unreadable};
pub use utf8::InvalidUtf8;
