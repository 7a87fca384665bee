//! `seedbed verify`: whether a store holds what was written, and whether tasks still give what they gave.

use std::sync::Arc;

use clap::Args;
use pipelines::run::Run;
use pipelines::task::Report;
use pipelines::verify::check;

use crate::cli::{Place, base_of};
use crate::implied;
use crate::show;
use crate::worker::stop_on_signals;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    /// Run N finished tasks again, drawn at random, and compare what they give
    #[arg(long, value_name = "N")]
    recompute: Option<usize>,
    /// Which tasks are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let cancel = stop_on_signals()?;
        let out = self.place.results()?;
        let checked = check(&out, &cancel)?;
        let recomputed = match self.recompute {
            Some(count) => {
                let manifest = implied::read(&self.place.manifest)?;
                let base = base_of(&self.place.manifest);
                let report: Report = Arc::new(|_| {});
                let run = Run { manifest: &manifest, base: &base, out: &out };
                run.recompute(count, self.seed, &cancel, &report)?
            }
            None => Vec::new(),
        };
        let differing = recomputed.iter().filter(|task| task.problem.is_some()).count();
        if self.json {
            let both = serde_json::json!({ "store": checked, "recomputed": recomputed });
            show::line(serde_json::to_string(&both)?)?;
        } else {
            show::line(format!(
                "read {} objects ({}), {} task records, {} published artifacts, {} roots of runs",
                checked.objects,
                show::bytes(checked.bytes as f64),
                checked.records,
                checked.artifacts,
                checked.runs
            ))?;
            for line in &checked.damaged {
                show::line(format!("  damaged {line}"))?;
            }
            for task in &recomputed {
                let verdict = task.problem.as_deref().unwrap_or("the same bytes");
                show::line(format!("  ran {} again: {verdict}", task.task))?;
            }
        }
        let damaged = checked.damaged.len();
        anyhow::ensure!(
            damaged == 0 && differing == 0,
            "{damaged} damaged, {differing} of {} tasks gave something else; `run` makes anew what is damaged",
            recomputed.len()
        );
        Ok(())
    }
}
