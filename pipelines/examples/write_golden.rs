//! Writes the golden files anew: `cargo run --release -p pipelines --example write_golden -- DIR`.
//!
//! `DIR` is `pipelines/tests/golden` only before a version is released. Afterwards a change of bytes is a new version with a
//! directory of its own, and the old files stay, so that what was written long ago goes on being read.

use std::path::PathBuf;

#[path = "../tests/golden/samples.rs"]
mod samples;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir: PathBuf = std::env::args_os().nth(1).ok_or("usage: write_golden DIR")?.into();
    let scratch = tempfile::tempdir()?;
    samples::write(&dir, scratch.path())?;
    Ok(())
}
