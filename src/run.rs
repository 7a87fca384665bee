//! `seedbed run`: makes what a manifest names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use pipelines::engine::Local;
use pipelines::kind::Kind;
use pipelines::manifest::Manifest;
use pipelines::publish::OutDir;
use pipelines::resources::enough;
use pipelines::roots::Root;
use pipelines::run::Run;
use pipelines::size::ByteSize;

use crate::cli::{Place, Voice, base_of};
use crate::implied;
use crate::progress::Progress;
use crate::report;
use crate::rules;
use crate::show;
use crate::stages::Stage;
use crate::worker::stop_on_signals;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    /// Run this step alone; what it reads must be made
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    voice: Voice,
}

/// How tasks are run on this machine.
#[derive(Args, Clone, Copy)]
pub struct EngineArgs {
    /// Worker processes at once [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    workers: Option<u16>,
    /// Memory that all workers together may take, such as `2 GB` [default: nine tenths of what is available]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<ByteSize>,
}

impl EngineArgs {
    fn local(self) -> anyhow::Result<Local> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let memory = self.memory.map_or_else(available_memory, |memory| memory.0);
        Ok(Local { program, workers: self.workers.map_or(cores, usize::from), memory })
    }
}

fn memory(text: &str) -> Result<ByteSize, String> {
    enough(text.parse()?)
}

/// Nine tenths of the memory that is available on this machine and to this control group, in bytes; four gigabytes where the
/// system does not say.
pub fn available_memory() -> u64 {
    let read = |path| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim();
        Some(line.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    });
    let number = |path| read(path).and_then(|text| text.trim().parse::<u64>().ok());
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    let available = machine.into_iter().chain(group).min().unwrap_or(4_000_000_000);
    available / 10 * 9
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let manifest = implied::read(&self.place.manifest)?;
        let work = Work {
            manifest: &manifest,
            base: &base_of(&self.place.manifest),
            out: &self.place.out.for_manifest(&self.place.manifest),
            place: Some(&self.place),
        };
        work.make(self.only.as_deref(), self.engine, self.voice).map(|_| ())
    }
}

/// What a command makes.
pub struct Work<'a> {
    /// The steps.
    pub manifest: &'a Manifest<Stage>,
    /// What their paths are relative to.
    pub base: &'a Path,
    /// Where results go.
    pub out: &'a Path,
    /// How other commands name it, if a file holds the manifest.
    pub place: Option<&'a Place>,
}

impl Work<'_> {
    /// Makes it, or `only` one step, and says what came of it.
    ///
    /// # Errors
    /// When something of it fails.
    pub fn make(
        &self,
        only: Option<&str>,
        engine: EngineArgs,
        voice: Voice,
    ) -> anyhow::Result<Root> {
        let cancel = stop_on_signals()?;
        let out = OutDir::open(self.out)?;
        let mut progress = Progress::new(voice);
        let run = Run { manifest: self.manifest, base: self.base, out: &out };
        let summary = run.run(&engine.local()?, only, &cancel, &mut progress);
        progress.end();
        // A run is what it is, whether its page can be written or not.
        let page = report::write_newest(&out, self.place).unwrap_or_else(|error| {
            eprintln!("no page of this run: {error:#}");
            None
        });
        let page = page.map(|page| page.display().to_string());
        if let (Err(_), Some(page), false) = (&summary, &page, voice.quiet || voice.json) {
            show::line(format!("what came of it: {page}"))?;
        }
        let summary = summary?;
        if voice.json {
            let mut evaluations = BTreeMap::new();
            for step in evaluated(&summary) {
                evaluations.insert(step, results(&out.root, step)?);
            }
            let line =
                serde_json::json!({ "summary": summary, "results": evaluations, "page": page });
            show::line(serde_json::to_string(&line)?)?;
        } else if !voice.quiet {
            say(&out, &summary, page.as_deref())?;
            for remark in rules::remarks(self.manifest, &summary, &out.root)? {
                show::line(remark)?;
            }
        }
        Ok(summary)
    }
}

/// What ran, where it stands, where the page is, and the results of every evaluation.
fn say(out: &OutDir, summary: &Root, page: Option<&str>) -> anyhow::Result<()> {
    let ran: usize = summary.ran.values().sum();
    match ran {
        0 => show::line("nothing to do: everything is made")?,
        ran => show::line(format!("{} ran", show::tasks(ran)))?,
    }
    for (artifact, identity) in &summary.artifacts {
        show::line(format!("  {}  {identity:?}", out.root.join(artifact).display()))?;
    }
    if let Some(page) = page {
        show::line(format!("all of it on a page: {page}"))?;
    }
    for step in evaluated(summary) {
        if let Some(results) = results(&out.root, step)? {
            show::line(format!("\n{step}\n{}", evaluate::table(&results)))?;
        }
    }
    Ok(())
}

/// The steps whose results the run published or found published.
fn evaluated(summary: &Root) -> impl Iterator<Item = &str> {
    let kind = Kind::Results.name();
    summary
        .artifacts
        .keys()
        .filter_map(move |artifact| artifact.strip_suffix(kind)?.strip_suffix('/'))
}

/// The results that `step` has published under `out`, if it is an evaluation.
pub fn results(out: &Path, step: &str) -> anyhow::Result<Option<evaluate::Results>> {
    let path = out.join(step).join(Kind::Results.name()).join("results.json");
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let results =
        evaluate::Results::from_json(&bytes).with_context(|| path.display().to_string())?;
    Ok(Some(results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_no_worker_can_do_with_is_refused() {
        assert_eq!(memory("32 MB"), Ok(ByteSize(32_000_000)));
        for little in ["0", "31999999", "0 GB"] {
            let error = memory(little).unwrap_err();
            assert!(error.ends_with("expected at least 32 MB"), "{error}");
        }
    }
}
