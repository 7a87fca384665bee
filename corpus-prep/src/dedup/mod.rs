//! Which texts occur more than once.

pub mod exact;
pub mod index;

pub use index::Key;
