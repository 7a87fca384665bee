//! The command, and the page that a run leaves.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use pipelines::log::LoggedRun;
use pipelines::publish::OutDir;

use super::history::{self, End, History};
use super::page::{Page, Samples, mark};
use super::provenance::Again;
use crate::cli::{MANIFEST, Out, Place};
use crate::show;
use crate::whole_file::WholeFile;

/// The page that a run leaves beside its results. No step has such a name.
const PAGE: &str = "report.html";
/// Where in a page its mark stands, at the latest, in bytes.
const MARK_WITHIN: u64 = 4096;

#[derive(Args)]
pub struct Command {
    /// The run, by its name or the beginning of it [default: the newest that ran something]
    run: Option<String>,
    /// The manifest
    #[arg(long, default_value = MANIFEST)]
    manifest: PathBuf,
    #[command(flatten)]
    out: Out,
    /// Where the page goes [default: `report.html` beside the results]
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Whose texts are on it
    #[arg(long, value_name = "WHICH", default_value = "kept")]
    samples: Samples,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let place = Place { manifest: self.manifest, out: self.out };
        let out = place.results()?;
        let run = match &self.run {
            Some(name) => history::named(&out.store, name)?,
            None => history::newest(&out.store)?,
        };
        let path = self.page.unwrap_or_else(|| out.root.join(PAGE));
        let again = Again::of(&out, Some(&place));
        write(&Page::gather(&out, &History::read(&run)?, self.samples, again), &path)?;
        show::line(path.display())
    }
}

/// Writes the page of the run that this process has just ended, well or not, unless it stands there; says where. Nothing if
/// this process did not come to run.
///
/// # Errors
/// When the log cannot be read, or the page cannot be written.
pub fn write_newest(out: &OutDir, place: Option<&Place>) -> anyhow::Result<Option<PathBuf>> {
    let newest = LoggedRun::all(&out.store)?.into_iter().next();
    if newest.and_then(|run| run.pid()) != Some(std::process::id()) {
        return Ok(None);
    }
    let path = out.root.join(PAGE);
    let run = history::newest(&out.store)?;
    // Before the log is read, which may be long.
    if run.root()?.is_none() || !stands(&path, &mark(run.name(), End::Well)) {
        let again = Again::of(out, place);
        write(&Page::gather(out, &History::read(&run)?, Samples::Kept, again), &path)?;
    }
    Ok(Some(path))
}

/// Whether the page at `path` has this mark.
fn stands(path: &Path, mark: &str) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MARK_WITHIN).read_to_end(&mut head));
    read.is_ok() && String::from_utf8_lossy(&head).contains(&format!("content=\"{mark}\""))
}

/// Writes the page, whole or not at all; for its owner alone if there is text of the data on it.
fn write(page: &Page, path: &Path) -> anyhow::Result<()> {
    let html = page.html()?;
    let mode = if page.is_private() { 0o600 } else { 0o644 };
    let written = WholeFile::create(path, Some(mode)).and_then(|(whole, mut file)| {
        file.write_all(html.as_bytes())?;
        whole.publish(file)
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}
