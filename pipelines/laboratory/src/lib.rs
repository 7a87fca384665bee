//! Where whole stages are tested: steps in a fresh directory, run in this process, with all that happens noted.
//!
//! A test says what stands before its stage ([`Given`]), what the stage is told, and looks at what came of it ([`Ran`],
//! [`Laboratory`]). A run can be made to stop at an optimizer step ([`Fate`]). [`keys`], [`short`] and [`check_close`] are for golden tests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod directory;
mod given;
mod golden;
mod step;

pub use bench::Fate;
pub use directory::{Laboratory, Ran, SEED, Steps};
pub use given::Given;
pub use golden::{check_close, keys, short};
pub use step::{Step, told};
