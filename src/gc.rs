//! `seedbed gc`: takes out of a store what nothing needs any more.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use pipelines::gc::{Garbage, Policy, collect};

use crate::cli::Place;
use crate::implied;
use crate::show;

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    /// Remove it; without this, only say what could go
    #[arg(long)]
    delete: bool,
    /// Keep what the newest N runs of each manifest, told apart by its name, reach [default: `runs` of the manifest's `[retention]`, or 1]
    #[arg(long, value_name = "N")]
    keep_runs: Option<NonZeroUsize>,
    /// Keep what is younger, such as `12h` or `7d`
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = age)]
    min_age: Duration,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let out = self.place.results()?;
        let runs = match self.keep_runs {
            None if self.place.manifest.exists() => {
                implied::read(&self.place.manifest)?.retention.runs
            }
            given => given,
        };
        let runs = runs.unwrap_or(NonZeroUsize::MIN);
        let policy = Policy { runs, min_age: self.min_age };
        let garbage = collect(&out, policy, self.delete)?;
        if self.json {
            return show::line(serde_json::to_string(&garbage)?);
        }
        say(&garbage, self.delete)
    }
}

fn say(garbage: &Garbage, deleted: bool) -> anyhow::Result<()> {
    if garbage.found.is_empty() {
        return show::line("nothing to remove");
    }
    for (sort, heap) in &garbage.found {
        let bytes = show::bytes(heap.bytes as f64);
        show::line(format!("{:<24} {:>9}  {bytes:>10}", sort, heap.count))?;
    }
    let bytes = show::bytes(garbage.found.values().map(|heap| heap.bytes).sum::<u64>() as f64);
    show::line(match deleted {
        true => format!("removed, {bytes} freed"),
        false => format!("could go, {bytes}; --delete removes it"),
    })
}

/// `90s`, `30m`, `12h`, `7d`, or seconds.
fn age(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => 0,
    };
    let seconds = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if unit > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("expected an age such as `12h` or `7d`, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_as_people_write_them() {
        let seconds = |text| age(text).map(|age| age.as_secs());
        assert_eq!(["0", "90s", "2m", "1h", "1d"].map(seconds), [0, 90, 120, 3600, 86400].map(Ok));
        for text in ["", "d", "1w", "-1d", "99999999999999999999d"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
