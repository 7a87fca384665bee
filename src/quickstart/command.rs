//! `seedbed quickstart`: sample data, a manifest, and what comes of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::verdict::verdicts;
use super::{SampleSize, Summary, write_sample};
use crate::cli::{Out, Place, Voice};
use crate::implied;
use crate::run::{EngineArgs, Work, results};
use crate::show;

const MANIFEST: &str = include_str!("../../pipelines/quickstart.toml");
const SMALL_MANIFEST: &str = include_str!("../../pipelines/quickstart-small.toml");

#[derive(Args)]
pub struct Command {
    /// Where the data, the manifest and the results go [default: `quickstart`, or `quickstart-small`]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Take a tenth of the text and of the training: a check that everything works, not a good model
    #[arg(long)]
    small: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    voice: Voice,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (size, text, name) = match self.small {
            false => (SampleSize::Full, MANIFEST, "quickstart"),
            true => (SampleSize::Small, SMALL_MANIFEST, "quickstart-small"),
        };
        let dir = self.out.unwrap_or_else(|| PathBuf::from(name));
        let sample = write_sample(&dir, &cargo_home()?, size)?;
        let path = dir.join("pipeline.toml");
        write_manifest(&path, text)?;
        let manifest = implied::read(&path)?;
        anyhow::ensure!(
            manifest.name == name,
            "{}: found the manifest of `{}`, expected that of `{name}`; choose another --out",
            path.display(),
            manifest.name,
        );
        if !self.voice.quiet && !self.voice.json {
            introduce(&dir, &path, &sample)?;
        }
        let out = dir.join("out");
        let place = Place { manifest: path, out: Out { out: None } };
        let work = Work { manifest: &manifest, base: &dir, out: &out, place: Some(&place) };
        let summary = work.make(None, self.engine, self.voice)?;
        let corpus = summary.artifacts.get("clean/documents");
        if let (false, Some(corpus)) = (self.voice.quiet || self.voice.json, corpus) {
            let (report, entities) = (results(&out, "report")?, results(&out, "entities")?);
            // Whoever has edited the manifest may compare other models.
            if let Some(verdicts) = verdicts(report.as_ref(), entities.as_ref(), corpus) {
                show::line(verdicts)?;
            }
        }
        Ok(())
    }
}

/// Where cargo keeps the sources of packages.
fn cargo_home() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    set.or_else(home)
        .context("neither CARGO_HOME nor HOME is set; cargo's sources are the quickstart's data")
}

/// Writes the manifest, unless it stands there, perhaps edited.
fn write_manifest(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn introduce(dir: &Path, path: &Path, sample: &Summary) -> anyhow::Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let labelled: usize = sample.passages.values().sum();
    show::line(format!(
        "{} packages that this program is made of: {} documents ({}), {labelled} labelled passages, {} tagged \
         paragraphs with {} code spans in {}\n",
        sample.packages,
        sample.documents,
        show::bytes(sample.bytes as f64),
        sample.paragraphs,
        sample.code_spans,
        dir.join("data").display(),
    ))?;
    show::line(format!(
        "left out: {} documents over their package's share, {} texts that labelled rows stand in, {} packages \
         without sources{}{}\n",
        sample.over_budget,
        sample.held_out,
        sample.missing.len(),
        if sample.missing.is_empty() { "" } else { ": " },
        sample.missing.join(", "),
    ))?;
    show::line(format!("{}:\n", path.display()))?;
    for line in text.lines() {
        show::line(format!("    {line}"))?;
    }
    show::line("")
}
