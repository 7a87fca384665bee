//! `seedbed import`: brings an artifact into a store, so that a manifest can pin it.

use std::path::PathBuf;

use clap::Args;
use pipelines::publish::OutDir;

use crate::show;

#[derive(Args)]
pub struct Command {
    /// A directory with an `artifact.json`, or a model or tokenizer as Hugging Face's libraries write it
    dir: PathBuf,
    /// The results whose store takes it
    #[arg(long, default_value = "out")]
    out: PathBuf,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (artifact, identity) = OutDir::open(&self.out)?.import(&self.dir)?;
        show::line(format!(
            "{}, {} files; hold a step at it with",
            artifact.kind,
            artifact.parts.len()
        ))?;
        show::line(format!("\n[pins]\nSTEP = \"{identity}\""))
    }
}
