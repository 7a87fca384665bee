//! The command line.

use std::io::{IsTerminal, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use pipelines::publish::OutDir;

use crate::{
    alone, bench, completions, convert, explain, explain_document, fill, gc, generate, import,
    init, plan, predict, quickstart, report, run, schema, status, verify, worker,
};

/// From raw text to a measured language model, from one manifest.
#[derive(Parser)]
#[command(name = "seedbed", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make a model from this program's own documentation, step by step, and see whether pre-training paid
    Quickstart(quickstart::Command),
    /// Write a commented manifest for your own data, by looking at the files
    Init(init::Command),
    /// Make everything that a manifest names and that is not made yet
    Run(run::Command),
    /// Say what `run` would do, and why
    Plan(plan::Command),
    /// Say why the tasks of a step will run, or will not
    Explain(explain::Command),
    /// Say what filters find in one document, and what became of it
    ExplainDocument(explain_document::Command),
    /// Say what is done, what runs, and what is left
    Status(status::Command),
    /// Write a run as one page: steps, counts, what was dropped, curves, models, errors
    Report(report::Command),
    /// Bring a published artifact into a store, for `[pins]`
    Import(import::Command),
    /// Make of a GGUF file, llama.cpp's form of a model, a directory that everything here reads
    Convert(convert::Command),
    /// Take out of a store what nothing needs any more
    Gc(gc::Command),
    /// Read all of a store and say what is damaged; run finished tasks again and compare
    Verify(verify::Command),
    /// Predict labels of texts, or entities in them, for a file of your own
    Predict(predict::Command),
    /// Go on with a text, token by token, with a causal language model
    Generate(generate::Command),
    /// Guess the masked tokens of a text with a masked language model
    Fill(fill::Command),
    /// Time what this machine can do
    Bench(bench::Command),
    /// Print the JSON Schema of manifests, for editors
    Schema(schema::Command),
    /// Print the completions of a shell
    Completions(completions::Command),
    /// Run the stage corpus-prep alone
    CorpusPrep(alone::Command),
    /// Run the stage tokenize alone
    Tokenize(alone::Command),
    /// Run the stage pretrain alone
    Pretrain(alone::Command),
    /// Run the stage finetune alone
    Finetune(alone::Command),
    /// Run the stage evaluate alone
    Evaluate(alone::Command),
    /// Run one group of a frozen task list: what workers are started with
    #[command(hide = true)]
    RunTasks(worker::Command),
}

impl Command {
    /// Does what the command says.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Quickstart(command) => command.run(),
            Command::Init(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Plan(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::ExplainDocument(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Convert(command) => command.run().map_err(worker::without_resuming),
            Command::Gc(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Predict(command) => command.run().map_err(worker::without_resuming),
            Command::Generate(command) => command.run().map_err(worker::without_resuming),
            Command::Fill(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::CorpusPrep(command) => command.run("corpus-prep"),
            Command::Tokenize(command) => command.run("tokenize"),
            Command::Pretrain(command) => command.run("pretrain"),
            Command::Finetune(command) => command.run("finetune"),
            Command::Evaluate(command) => command.run("evaluate"),
            Command::RunTasks(command) => command.run(),
        }
    }
}

/// The manifest of commands that are not told another.
pub const MANIFEST: &str = "pipeline.toml";

/// A manifest, and where its results go.
#[derive(Args)]
pub struct Place {
    /// The manifest
    #[arg(default_value = MANIFEST)]
    pub manifest: PathBuf,
    #[command(flatten)]
    pub out: Out,
}

impl Place {
    /// The results of earlier runs.
    ///
    /// # Errors
    /// When there are none, or the manifest that they are beside of is not there.
    pub fn results(&self) -> anyhow::Result<OutDir> {
        anyhow::ensure!(
            self.manifest.exists() || self.out.out.is_some(),
            "cannot read {}: found no such file, expected a manifest, or its results (--out)",
            self.manifest.display()
        );
        let root = self.out.for_manifest(&self.manifest);
        anyhow::ensure!(
            root.join(OutDir::STORE).is_dir(),
            "{}: found no store, expected the results of a run (--out)",
            root.display()
        );
        Ok(OutDir::open(&root)?)
    }
}

/// Where results go.
#[derive(Args)]
pub struct Out {
    /// Where results go [default: `out` beside the manifest]
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Out {
    /// The directory of results for `manifest`.
    pub fn for_manifest(&self, manifest: &std::path::Path) -> PathBuf {
        self.out.clone().unwrap_or_else(|| base_of(manifest).join("out"))
    }
}

/// What a manifest's paths are relative to.
pub fn base_of(manifest: &std::path::Path) -> PathBuf {
    manifest.parent().map_or_else(PathBuf::new, std::path::Path::to_owned)
}

/// How much is said, and in what form.
#[derive(Args, Clone, Copy)]
pub struct Voice {
    /// Say nothing but errors
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
    /// Say everything as JSON, an object a line
    #[arg(long)]
    pub json: bool,
}

/// How many processors work.
#[derive(Args, Clone, Copy)]
pub struct Threads {
    /// Threads that compute; what comes out does not depend on it [default: one a processor]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

impl Threads {
    /// The threads.
    pub fn pool(self) -> anyhow::Result<rayon::ThreadPool> {
        // Of 0 rayon makes one a processor.
        let threads = self.threads.map_or(0, NonZeroUsize::get);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.context("cannot start threads")
    }
}

/// The text `given`, or else what comes on standard input, without the line end behind it.
pub fn text_or_stdin(given: Option<String>, option: &str) -> anyhow::Result<String> {
    if let Some(text) = given {
        return Ok(text);
    }
    anyhow::ensure!(
        !std::io::stdin().is_terminal(),
        "found no text, expected one behind {option} or on standard input"
    );
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        anyhow::anyhow!("standard input: found the byte 0x{byte:02x} at {at}, expected UTF-8")
    })?;
    let end = text.strip_suffix('\n').unwrap_or(&text);
    Ok(end.strip_suffix('\r').unwrap_or(end).to_owned())
}
