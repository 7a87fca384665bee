//! `seedbed explain`: why the tasks of a step will run, or will not.

use anyhow::{Context, bail};
use clap::Args;
use pipelines::explain::LastRun;
use pipelines::plan::{PlannedTask, State};

use crate::cli::{MANIFEST, Out, Place};
use crate::{plan, show};

#[derive(Args)]
pub struct Command {
    /// The step, or one of its tasks: STEP/PART
    what: String,
    /// The manifest
    #[arg(long, default_value = MANIFEST)]
    manifest: std::path::PathBuf,
    #[command(flatten)]
    out: Out,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (plan, out) = plan::load(&Place { manifest: self.manifest, out: self.out })?;
        let (step, part) = match self.what.split_once('/') {
            Some((step, part)) => (step, Some(part)),
            None => (self.what.as_str(), None),
        };
        let step = plan.step(step).with_context(|| {
            let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
            format!("there is no step `{step}`; there are {}", names.join(", "))
        })?;
        let last = LastRun::load(&out.store, &step.name);
        let mut said = false;
        for (phase, task) in
            step.tasks().filter(|(_, task)| part.is_none_or(|part| task.task.name == part))
        {
            said = true;
            show::line(format!("{}/{phase}/{}: {}", step.name, task.task.name, state(task)))?;
            for reason in LastRun::reasons(last.as_ref(), phase, task) {
                show::line(format!("    {reason}"))?;
            }
            if part.is_some() {
                say_ingredients(task)?;
            }
        }
        if let (false, Some(part)) = (said, part) {
            let mut names: Vec<&str> =
                step.tasks().map(|(_, task)| task.task.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            bail!("step `{}` has no part `{part}`; it has {}", step.name, names.join(", "));
        }
        if let Some(pin) = &step.pin {
            show::line(format!("the step is pinned to {pin}: none of this runs"))?;
        }
        Ok(())
    }
}

fn state(task: &PlannedTask) -> &'static str {
    match task.state {
        State::Done(_) => "done",
        State::Ready => "will run",
        State::Waits(_) => "not decided yet",
    }
}

/// The key, and everything in it.
fn say_ingredients(task: &PlannedTask) -> anyhow::Result<()> {
    let Some(ingredients) = task.ingredients() else { return Ok(()) };
    show::line(format!("    key {}", ingredients.key()))?;
    show::line(format!("    phase version {}", ingredients.version))?;
    show::line(format!("    config {}", ingredients.config))?;
    for input in &ingredients.inputs {
        let tag = if input.tag.is_empty() { String::new() } else { format!(" ({})", input.tag) };
        show::line(format!("    reads {} {}{tag} {:?}", input.role, input.name, input.digest))?;
    }
    Ok(())
}
