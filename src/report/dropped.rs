//! What was dropped and why, with samples.
//!
//! Texts are those of kept documents, unless the texts of dropped records are asked for. Of a duplicate no text is shown: it
//! is that of the document kept instead.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use pipelines::error::Result;
use pipelines::kind::Kind;
use pipelines::publish::OutDir;
use pipelines::table::Row;
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::{Document, Extracted, RowKey};
use pipelines::table::sources::SourceRow;
use serde::Serialize;

use super::artifacts::{Artifacts, Opened, rows};
use super::counts::{MAX_RULES, percent};
use super::page::{Samples, excerpt, number, short};

/// Samples of each rule, and of what is kept.
const MAX_SAMPLES: usize = 3;
/// Rows that are looked at for samples, in each table.
const MAX_ROWS: u64 = 100_000;
/// Files that are opened for them.
const MAX_FILES: usize = 256;
/// Letters of a text, and of a path.
const MAX_LETTERS: usize = 500;
const MAX_PATH: usize = 200;

/// What a step dropped.
#[derive(Debug, Serialize)]
pub struct Dropped {
    pub step: String,
    /// The reasons, the most frequent first.
    pub reasons: Vec<Reason>,
    /// A few of the documents that are kept.
    pub kept: Vec<Kept>,
    /// Rows that were looked at for samples, of all.
    pub seen: u64,
    pub rows: u64,
}

/// Why records were dropped.
#[derive(Debug, Default, Serialize)]
pub struct Reason {
    /// `dropped`, `duplicate`, `excluded` or `unreadable`.
    pub outcome: String,
    /// The rule, or what the outcome says.
    pub rule: String,
    pub records: u64,
    /// Whether only the rows that were looked at are counted.
    pub is_least: bool,
    /// Percent of all records.
    pub share: f64,
    /// The bound, where there is one.
    pub threshold: Option<String>,
    pub samples: Vec<Sample>,
}

/// A record that was dropped.
#[derive(Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Of its text, shortened.
    pub id: Option<String>,
    /// Its file, or the unit where no file is known.
    pub source: String,
    pub record: u64,
    /// What was measured.
    pub value: Option<String>,
    /// Of a duplicate: the record kept instead.
    pub kept: Option<String>,
    /// The beginning of its text, if texts of dropped records are asked for.
    pub text: Option<String>,
    #[serde(skip)]
    key: RowKey,
}

/// A document that is kept.
#[derive(Debug, PartialEq, Serialize)]
pub struct Kept {
    pub id: String,
    pub source: String,
    pub record: u64,
    pub text: String,
    #[serde(skip)]
    unit: String,
}

impl Dropped {
    /// Whether there are texts of dropped records.
    pub fn has_texts(&self) -> bool {
        let mut samples = self.reasons.iter().flat_map(|reason| &reason.samples);
        samples.any(|sample| sample.text.is_some())
    }
}

/// Gathers what the run's steps dropped.
///
/// # Errors
/// When a table cannot be read.
pub fn dropped(out: &OutDir, artifacts: &Artifacts, samples: Samples) -> Result<Vec<Dropped>> {
    artifacts
        .of_kind(Kind::Decisions)
        .map(|found| of_step(out, artifacts, found, samples))
        .collect()
}

fn of_step(
    out: &OutDir,
    artifacts: &Artifacts,
    decisions: &Opened,
    samples: Samples,
) -> Result<Dropped> {
    let mut found = Dropped {
        step: decisions.step.clone(),
        reasons: Vec::new(),
        kept: Vec::new(),
        seen: 0,
        rows: decisions.artifact.parts.iter().filter_map(|part| part.rows).sum(),
    };
    let mut reasons: BTreeMap<(String, String), Reason> = BTreeMap::new();
    found.seen = first_rows(decisions.files(".parquet"), MAX_ROWS, |decision: Decision| {
        note(&mut reasons, decision);
        true
    })?;
    found.reasons = reasons.into_values().collect();
    let counts = decisions.artifact.counts.values().flatten();
    let counts = counts.filter_map(|(name, count)| Some((name.strip_prefix("dropped/")?, *count)));
    take_counts(&mut found.reasons, counts, found.seen < found.rows);
    for reason in &mut found.reasons {
        reason.share = percent(reason.records, found.rows);
    }
    found.reasons.sort_by(|one, other| {
        other.records.cmp(&one.records).then_with(|| one.rule.cmp(&other.rule))
    });
    found.reasons.truncate(MAX_RULES);
    if samples != Samples::None
        && let Some(documents) = artifacts.get(&found.step, Kind::Documents)
    {
        found.kept = kept(documents)?;
    }
    if samples == Samples::Dropped
        && let Some(extracted) = artifacts.get(&found.step, Kind::Extracted)
    {
        fill_texts(extracted, &mut found.reasons)?;
    }
    name_sources(out.root.join(&found.step).join("sources.parquet"), &mut found)?;
    Ok(found)
}

/// Puts what the phase counted, by rule or by outcome, in the place of what was seen, and adds what was not seen at all.
fn take_counts<'a>(
    reasons: &mut Vec<Reason>,
    counts: impl Iterator<Item = (&'a str, u64)>,
    is_cut: bool,
) {
    reasons.iter_mut().for_each(|reason| reason.is_least = is_cut);
    for (name, count) in counts.filter(|(_, count)| *count > 0) {
        let is_outcome = ["duplicate", "excluded"].contains(&name);
        let outcome = if is_outcome { name } else { "dropped" };
        let is_named =
            |reason: &&mut Reason| reason.outcome == outcome && (is_outcome || reason.rule == name);
        let mut named: Vec<&mut Reason> = reasons.iter_mut().filter(is_named).collect();
        match &mut named[..] {
            [] => reasons.push(Reason {
                outcome: outcome.to_owned(),
                rule: name.to_owned(),
                records: count,
                ..Reason::default()
            }),
            [reason] => (reason.records, reason.is_least) = (count, false),
            // The count does not say how many are of which.
            _ => {}
        }
    }
}

/// Hands the first rows of the first tables to `take`, until it has enough; says how many rows those were.
fn first_rows<R: Row>(
    files: impl Iterator<Item = PathBuf>,
    most: u64,
    mut take: impl FnMut(R) -> bool,
) -> Result<u64> {
    let mut seen = 0;
    rows(files.take(MAX_FILES), |row| {
        let goes_on = seen < most && take(row);
        seen += u64::from(goes_on);
        goes_on
    })?;
    Ok(seen)
}

/// Counts a decision under its reason, and keeps it if there are few yet.
fn note(reasons: &mut BTreeMap<(String, String), Reason>, decision: Decision) {
    let outcome = decision.outcome.name().to_owned();
    let (rule, value, threshold, kept) = match decision.outcome {
        Outcome::Kept => return,
        Outcome::Dropped { rule, value, threshold } => {
            (rule, Some(number(value)), Some(number(threshold)), None)
        }
        Outcome::Duplicate { rule, kept, similarity } => {
            let kept = format!("record {} of {}", kept.record, kept.unit);
            (rule, Some(format!("similarity {}", number(similarity))), None, Some(kept))
        }
        Outcome::Excluded { reason } | Outcome::Unreadable { reason } => (reason, None, None, None),
    };
    let reason = reasons.entry((outcome.clone(), rule.clone())).or_insert_with(|| Reason {
        outcome,
        rule,
        threshold,
        ..Reason::default()
    });
    reason.records += 1;
    if reason.samples.len() < MAX_SAMPLES {
        reason.samples.push(Sample {
            id: decision.id.map(|id| short(&id)),
            source: decision.key.unit.clone(),
            record: decision.key.record,
            value,
            kept,
            text: None,
            key: decision.key,
        });
    }
}

fn kept(documents: &Opened) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    first_rows(documents.files(".parquet"), MAX_SAMPLES as u64, |document: Document| {
        kept.push(Kept {
            id: short(&document.id),
            source: document.key.unit.clone(),
            record: document.key.record,
            text: excerpt(&document.text, MAX_LETTERS),
            unit: document.key.unit,
        });
        true
    })?;
    Ok(kept)
}

/// Gives the samples of dropped records their texts, as extracted.
fn fill_texts(extracted: &Opened, reasons: &mut [Reason]) -> Result<()> {
    let mut wanted: HashMap<RowKey, &mut Sample> = reasons
        .iter_mut()
        .filter(|reason| reason.outcome == "dropped")
        .flat_map(|reason| reason.samples.iter_mut())
        .map(|sample| (sample.key.clone(), sample))
        .collect();
    first_rows(extracted.files(".parquet"), MAX_ROWS, |row: Extracted| {
        if let Some(sample) = wanted.remove(&row.key) {
            sample.text = row.text().map(|text| excerpt(text, MAX_LETTERS));
        }
        !wanted.is_empty()
    })?;
    Ok(())
}

/// Puts files in the place of units, as far as the table of sources names them.
fn name_sources(path: PathBuf, found: &mut Dropped) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let samples = found.reasons.iter().flat_map(|reason| &reason.samples);
    let units =
        samples.map(|sample| &sample.key.unit).chain(found.kept.iter().map(|kept| &kept.unit));
    let mut wanted: HashSet<String> = units.cloned().collect();
    let mut names: HashMap<String, String> = HashMap::new();
    first_rows(std::iter::once(path), MAX_ROWS, |row: SourceRow| {
        if wanted.remove(&row.unit) {
            names.insert(row.unit, row.path);
        }
        !wanted.is_empty()
    })?;
    let name = |unit: &str| {
        names.get(unit).map_or_else(|| format!("unit {unit}"), |path| excerpt(path, MAX_PATH))
    };
    for sample in found.reasons.iter_mut().flat_map(|reason| &mut reason.samples) {
        sample.source = name(&sample.key.unit);
    }
    for kept in &mut found.kept {
        kept.source = name(&kept.unit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(record: u64, outcome: Outcome) -> Decision {
        Decision {
            key: RowKey { unit: "u".into(), record },
            id: Some("0123456789abcdef".into()),
            outcome,
        }
    }

    #[test]
    fn counts_of_the_phase_stand_in_for_what_was_not_looked_at() {
        let reason = |outcome: &str, rule: &str| Reason {
            outcome: outcome.into(),
            rule: rule.into(),
            records: 1,
            ..Reason::default()
        };
        let mut reasons = vec![
            reason("dropped", "short_doc"),
            reason("duplicate", "exact"),
            reason("excluded", "a"),
            reason("excluded", "b"),
        ];
        let counts =
            [("short_doc", 7), ("long_doc", 3), ("duplicate", 5), ("excluded", 9), ("never", 0)];
        take_counts(&mut reasons, counts.into_iter(), true);
        let found: Vec<_> = reasons
            .iter()
            .map(|reason| (reason.rule.as_str(), reason.records, reason.is_least))
            .collect();
        assert_eq!(
            found,
            [
                ("short_doc", 7, false),
                ("exact", 5, false),
                ("a", 1, true),
                ("b", 1, true),
                ("long_doc", 3, false)
            ]
        );
    }

    #[test]
    fn a_reason_keeps_its_first_samples_and_counts_all() {
        let mut reasons = BTreeMap::new();
        note(&mut reasons, decision(0, Outcome::Kept));
        for record in 1..=5 {
            let rule = "short_doc".to_owned();
            let outcome = Outcome::Dropped { rule, value: record as f64, threshold: 50.0 };
            note(&mut reasons, decision(record, outcome));
        }
        let kept = RowKey { unit: "v".into(), record: 7 };
        let outcome = Outcome::Duplicate { rule: "exact".into(), kept, similarity: 1.0 };
        note(&mut reasons, decision(6, outcome));
        let found: Vec<&Reason> = reasons.values().collect();
        assert_eq!((found[0].records, found[0].threshold.as_deref()), (5, Some("50")));
        let records: Vec<u64> = found[0].samples.iter().map(|sample| sample.record).collect();
        assert_eq!(records, [1, 2, 3]);
        assert_eq!(found[0].samples[0].value.as_deref(), Some("1"));
        assert_eq!(found[0].samples[0].id.as_deref(), Some("0123456789ab"));
        assert_eq!(found[1].samples[0].kept.as_deref(), Some("record 7 of v"));
    }
}
