//! `seedbed explain-document`: what filters find in one document, and what became of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use corpus_prep::Config;
use corpus_prep::cascade::{Cascade, Judged};
use corpus_prep::rule::{Check, Kept};
use pipelines::input::Mapped;
use pipelines::kind::Kind;
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::{Extracted, Reading, RowKey};
use pipelines::table::{Row, TableReader};
use serde_json::{Value, json};

use crate::cli::{MANIFEST, Out, Place, text_or_stdin};
use crate::stages::Stage;
use crate::{implied, show};

/// Fewest digits of an id that name a document.
const MIN_DIGITS: usize = 8;

#[derive(Args)]
pub struct Command {
    /// The document's id, or how it begins: 8 digits at least [default: a text on standard input]
    id: Option<String>,
    /// The step of corpus-prep whose filters are asked [default: the only one]
    #[arg(long)]
    step: Option<String>,
    /// The manifest
    #[arg(long, default_value = MANIFEST)]
    manifest: PathBuf,
    #[command(flatten)]
    out: Out,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// A text, and what is on record of it.
struct Document {
    text: String,
    key: Option<RowKey>,
    source_id: Option<String>,
    outcome: Option<Outcome>,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let (step, config) = self.step()?;
        let document = match &self.id {
            None => {
                let text = text_or_stdin(None, "an id of a document")?;
                Document { text, key: None, source_id: None, outcome: None }
            }
            Some(id) => self.find(&step, id)?,
        };
        let mut cascade =
            Cascade::new(config.filters, &config.rules, &config.c4_lines, config.words)
                .map_err(|signal| anyhow!("nobody measures the signal `{signal}`"))?;
        let judged = cascade.judge(&document.text);
        match self.json {
            true => show::line(as_json(&document, &judged)),
            false => show::text(&as_text(&document, &judged)).map(|_| ()),
        }
    }

    /// The step, and how it is configured.
    fn step(&self) -> anyhow::Result<(String, Config)> {
        let mut steps = Vec::new();
        for (name, stage) in implied::read(&self.manifest)?.steps {
            if let Stage::CorpusPrep(config) = stage
                && config.examples.is_none()
            {
                steps.push((name, *config));
            }
        }
        let names = || steps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let manifest = self.manifest.display();
        match &self.step {
            Some(wanted) => {
                let found = steps.iter().find(|(name, _)| name == wanted).cloned();
                found.with_context(|| {
                    format!("--step: found `{wanted}`, expected a step that cleans: {}", names())
                })
            }
            None => match &steps[..] {
                [only] => Ok(only.clone()),
                [] => bail!("{manifest}: found no step that cleans, expected one with `inputs`"),
                _ => {
                    bail!("{manifest}: found the steps {}, expected one of them (--step)", names())
                }
            },
        }
    }

    /// The document with an id, among the results of a step.
    fn find(&self, step: &str, id: &str) -> anyhow::Result<Document> {
        let is_id = id.len() >= MIN_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(is_id, "found the id `{id}`, expected {MIN_DIGITS} to 32 hexadecimal digits");
        let place =
            Place { manifest: self.manifest.clone(), out: Out { out: self.out.out.clone() } };
        let dir = place.results()?.root.join(step);
        let found = first(&dir, Kind::Extracted, |row: &Extracted| {
            row.id().is_some_and(|found| found.starts_with(&id.to_ascii_lowercase()))
        })?;
        let Some(Extracted { key, origin, reading }) = found else {
            bail!("{}: found no document whose id begins with `{id}`", dir.display());
        };
        let decision = first(&dir, Kind::Decisions, |row: &Decision| row.key == key)?;
        let Reading::Read { text, .. } = reading else { bail!("a row with an id has a text") };
        Ok(Document {
            text,
            key: Some(key),
            source_id: origin.source_id,
            outcome: decision.map(|decision| decision.outcome),
        })
    }
}

/// The first row of a kind of results that is wanted.
fn first<R: Row>(
    dir: &Path,
    kind: Kind,
    is_wanted: impl Fn(&R) -> bool,
) -> anyhow::Result<Option<R>> {
    let dir = dir.join(kind.name());
    let entries = fs::read_dir(&dir).with_context(|| {
        format!("{}: found no such results, expected those of a run that keeps them", dir.display())
    })?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.with_context(|| format!("cannot read {}", dir.display()))?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "parquet"));
    paths.sort();
    for path in paths {
        for rows in TableReader::<R>::open(&Mapped::whole(path)?)? {
            if let Some(row) = rows?.into_iter().find(&is_wanted) {
                return Ok(Some(row));
            }
        }
    }
    Ok(None)
}

fn as_text(document: &Document, judged: &Judged) -> String {
    let mut said = String::new();
    let mut line = |line: String| said += &(show::printable(&line) + "\n");
    if let Some(key) = &document.key {
        let name = document.source_id.as_deref().unwrap_or("without a name of its own");
        line(format!("record {} of unit {}, {name}", key.record, key.unit));
    }
    if let Some(outcome) = &document.outcome {
        line(format!("on record: {}", on_record(outcome)));
    }
    line(match judged.first_failed() {
        Some(check) => format!("by the manifest: dropped, {}", broken(check)),
        None => "by the manifest: no rule drops it".to_owned(),
    });
    line("\nrules, in order:".to_owned());
    for check in &judged.checks {
        let mark = if check.fails() { "  <- fails" } else { "" };
        let (rule, bound) = (check.rule, bound(check));
        line(format!(
            "  {:24} {:24} {:>12} {bound}{mark}",
            rule.name,
            rule.signal,
            number(check.value)
        ));
    }
    line("\nsignals:".to_owned());
    for (name, value) in &judged.signals {
        line(format!("  {name:24} {:>12}", number(*value)));
    }
    line("\ntext:".to_owned());
    line(document.text.clone());
    if let Some(edited) = &judged.edited {
        line(format!("\ntext after {} edits:", edited.edits().len()));
        line(edited.text());
    }
    said
}

fn on_record(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Dropped { rule, value, threshold } => {
            format!(
                "dropped by {rule}: {} against the bound {}",
                number(*value),
                number(*threshold)
            )
        }
        Outcome::Duplicate { kept, .. } => {
            format!("duplicate of record {} of unit {}", kept.record, kept.unit)
        }
        other => other.name().to_owned(),
    }
}

fn broken(check: &Check) -> String {
    let Check { rule, value } = check;
    format!("{}: `{}` is {}, expected {}", rule.name, rule.signal, number(*value), bound(check))
}

fn bound(check: &Check) -> String {
    match check.rule.kept {
        Kept::AtLeast(Some(bound)) => format!("at least {}", number(bound)),
        Kept::AtMost(Some(bound)) => format!("at most {}", number(bound)),
        Kept::AtLeast(None) | Kept::AtMost(None) => "off".to_owned(),
    }
}

/// A number with at most six digits behind its point.
fn number(number: f64) -> String {
    let written = format!("{number:.6}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn as_json(document: &Document, judged: &Judged) -> Value {
    let checks: Vec<Value> = judged
        .checks
        .iter()
        .map(|check| {
            let (rule, side) = (check.rule, bound(check));
            json!({
                "rule": rule.name, "signal": rule.signal, "value": check.value,
                "threshold": check.threshold(), "kept": side, "fails": check.fails(),
            })
        })
        .collect();
    let signals: serde_json::Map<String, Value> =
        judged.signals.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let edits: Option<Vec<Value>> = judged.edited.as_ref().map(|edited| {
        let edit = |edit: &pipelines::table::documents::Edit| {
            json!({
                "rule": edit.rule, "offset": edit.offset, "length": edit.length,
                "replacement": edit.replacement,
            })
        };
        edited.edits().iter().map(edit).collect()
    });
    json!({
        "unit": document.key.as_ref().map(|key| &key.unit),
        "record": document.key.as_ref().map(|key| key.record),
        "source_id": document.source_id,
        "on_record": document.outcome.as_ref().map(Outcome::name),
        "dropped_by": judged.first_failed().map(|check| check.rule.name),
        "rules": checks, "signals": signals, "text": document.text, "edits": edits,
        "edited_text": judged.edited.as_ref().map(|edited| edited.text()),
    })
}
