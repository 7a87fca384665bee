//! What labelled rows there are, and which column is what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Rows that are looked at.
const LOOKED_AT: usize = 2000;
/// Most labels of a column that holds labels, inclusive.
const MAX_LABELS: usize = 200;
/// Names of columns that say what rows have in common, in any case.
const GROUPS: [&str; 9] = [
    "group",
    "patient",
    "patient_id",
    "user",
    "user_id",
    "author",
    "customer",
    "customer_id",
    "document",
];
/// Names of columns that say a label, the likeliest first, in any case.
const LABELS: [&str; 6] = ["label", "labels", "category", "class", "intent", "target"];

/// A file of labelled rows.
pub struct Labels {
    /// Where it is.
    pub file: PathBuf,
    /// The column, or field, of the text: the one with the longest values.
    pub text: String,
    /// That of the label.
    pub label: String,
    /// That of what makes rows depend on each other, if a name says so.
    pub group: Option<String>,
    /// Rows that were looked at.
    pub rows: usize,
    /// Labels among them.
    pub distinct: usize,
}

#[derive(Default)]
struct ColumnSeen {
    bytes: u64,
    values: BTreeSet<String>,
}

impl Labels {
    /// Looks at the first rows of `file`.
    pub fn look(file: &Path) -> anyhow::Result<Self> {
        let name = file.to_string_lossy().to_ascii_lowercase();
        let rows = match name.rsplit('.').next() {
            Some("csv") => separated(file, b',')?,
            Some("tsv") => separated(file, b'\t')?,
            Some("jsonl" | "ndjson" | "json") => json_lines(file)?,
            _ => bail!(
                "{}: found a name that tells no format, expected .csv, .tsv or .jsonl; other labelled files are \
                 described in the manifest by hand",
                file.display()
            ),
        };
        let mut columns: BTreeMap<String, ColumnSeen> = BTreeMap::new();
        for (column, value) in rows.iter().flatten() {
            let seen = columns.entry(column.clone()).or_default();
            seen.bytes += value.len() as u64;
            if seen.values.len() <= MAX_LABELS {
                seen.values.insert(value.clone());
            }
        }
        let text = columns.iter().max_by_key(|(_, seen)| seen.bytes).map(|(name, _)| name.clone());
        let Some(text) = text.filter(|_| columns.len() > 1) else {
            bail!(
                "{}: found {} columns, expected one of text and one of labels",
                file.display(),
                columns.len()
            );
        };
        let is_label = |name: &&String, seen: &ColumnSeen| {
            **name != text
                && (2..=MAX_LABELS).contains(&seen.values.len())
                && seen.values.len() < rows.len()
        };
        let named = |names: &[&str]| {
            names
                .iter()
                .find_map(|wanted| columns.keys().find(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let group = named(&GROUPS).filter(|name| **name != text).cloned();
        let fewest = columns
            .iter()
            .filter(|(name, seen)| is_label(name, seen) && group.as_ref() != Some(*name))
            .min_by_key(|(_, seen)| seen.values.len())
            .map(|(name, _)| name);
        let label = named(&LABELS)
            .filter(|name| columns.get(*name).is_some_and(|seen| is_label(name, seen)));
        let Some(label) = label.or(fewest).cloned() else {
            bail!(
                "{}: found no column of 2 to {MAX_LABELS} different labels among {}",
                file.display(),
                columns.keys().cloned().collect::<Vec<_>>().join(", ")
            );
        };
        let distinct = columns[&label].values.len();
        Ok(Self { file: file.to_owned(), text, label, group, rows: rows.len(), distinct })
    }
}

type Rows = Vec<Vec<(String, String)>>;

fn separated(file: &Path, delimiter: u8) -> anyhow::Result<Rows> {
    let failed = || format!("cannot read {}", file.display());
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).from_path(file).with_context(failed)?;
    let names: Vec<String> =
        reader.headers().with_context(failed)?.iter().map(str::to_owned).collect();
    let row = |record: csv::StringRecord| {
        names.iter().cloned().zip(record.iter().map(str::to_owned)).collect()
    };
    reader.records().take(LOOKED_AT).map(|record| Ok(row(record.with_context(failed)?))).collect()
}

fn json_lines(file: &Path) -> anyhow::Result<Rows> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT);
    let row = |(at, line): (usize, &str)| {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)
            .with_context(|| {
                format!("{}:{}: expected one JSON object a line", file.display(), at + 1)
            })?;
        Ok(object
            .into_iter()
            .filter_map(|(name, value)| match value {
                serde_json::Value::String(text) => Some((name, text)),
                serde_json::Value::Number(number) => Some((name, number.to_string())),
                _ => None,
            })
            .collect())
    };
    lines.enumerate().map(row).collect()
}
