//! From raw text to a measured language model, from one manifest.

mod alone;
mod bench;
mod cli;
mod completions;
mod convert;
mod explain;
mod explain_document;
mod fill;
mod gc;
mod generate;
mod implied;
mod import;
mod init;
mod model_dir;
mod panics;
mod plan;
mod predict;
mod progress;
mod quickstart;
mod report;
mod rules;
mod run;
mod schema;
mod show;
mod stages;
mod status;
mod verify;
mod whole_dir;
mod whole_file;
mod worker;

use std::process::ExitCode;

use clap::Parser;

/// What a program that was interrupted exits with.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match panics::guarded(|| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", show::printable(&format!("{error:#}")));
            if worker::is_interrupted(&error) {
                ExitCode::from(INTERRUPTED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
