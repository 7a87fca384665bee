//! `seedbed bench`: what a machine can do, before anything is spent on it.

mod corpus_prep;
mod memory;
mod model;

use clap::{Args, Subcommand};

#[derive(Args)]
pub struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time training steps of a model on random tokens: in ten seconds, what this machine makes of it
    Model(model::Command),
    /// Time filters on texts in memory
    CorpusPrep(corpus_prep::Command),
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Model(command) => command.run(),
            What::CorpusPrep(command) => command.run(),
        }
    }
}
