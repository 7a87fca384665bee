//! `seedbed completions`: what a shell needs to complete this program's commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::show;

#[derive(Args)]
pub struct Command {
    /// Whose completions
    shell: Shell,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        show::line(String::from_utf8(script)?.trim_end())
    }
}
