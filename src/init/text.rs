//! What raw text there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use corpus_prep::read::Format;
use corpus_prep::read::decompress::Decoder;
use corpus_prep::read::format::{Compression, KNOWN, Syntax};
use corpus_prep::read::raw::{Cut, RawContent, RawRecords};

use super::is_readable;

/// Records of a file that are looked at.
const LOOKED_AT: usize = 50;
/// Longest record that is looked at, in bytes.
const MAX_RECORD_BYTES: u64 = 16 << 20;
/// How much longer text is than its compressed form, about.
const RATIO: u64 = 3;

/// Files of raw text.
pub struct Corpus {
    /// Globs that name them.
    pub globs: Vec<PathBuf>,
    /// How many there are.
    pub files: usize,
    /// Their bytes, decoded; for compressed files a guess.
    pub text_bytes: u64,
    /// The field of JSON records that holds the text; `None` where there are no such records.
    pub text_field: Option<String>,
}

impl Corpus {
    /// Looks at files, and at folders to any depth.
    ///
    /// `labels` must not be among them: no model is to be pre-trained on rows that it is judged by.
    pub fn look(data: &[PathBuf], labels: Option<&Path>) -> anyhow::Result<Self> {
        let mut corpus = Self { globs: Vec::new(), files: 0, text_bytes: 0, text_field: None };
        let mut lengths = BTreeMap::new();
        for path in data {
            let metadata =
                fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
            if !metadata.is_dir() {
                if !is_readable(path) {
                    bail!("{}: its name tells no format; expected one of {KNOWN}", path.display());
                }
                refuse_labels(path, labels)?;
                corpus.globs.push(escaped(path));
                corpus.add(path, &mut lengths)?;
                continue;
            }
            let mut endings = BTreeSet::new();
            for file in files_below(path)? {
                refuse_labels(&file, labels)?;
                endings.insert(ending(&file));
                corpus.add(&file, &mut lengths)?;
            }
            if endings.is_empty() {
                bail!("{}: found no file of text; expected one of {KNOWN}", path.display());
            }
            corpus.globs.extend(
                endings.iter().map(|ending| escaped(path).join("**").join(format!("*{ending}"))),
            );
        }
        if corpus.text_bytes == 0 {
            bail!("found {} files without a byte, expected text", corpus.files);
        }
        // The longest field; of equal ones the first by name.
        corpus.text_field = lengths
            .into_iter()
            .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))
            .map(|(field, _)| field);
        Ok(corpus)
    }

    fn add(&mut self, path: &Path, lengths: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let format = Format::of(name)?;
        let bytes =
            fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        let is_packed = format.compression != Compression::Plain;
        self.files += 1;
        self.text_bytes += if is_packed { bytes * RATIO } else { bytes };
        if format.syntax == Syntax::Jsonl {
            for (field, length) in string_fields(path, format)? {
                *lengths.entry(field).or_default() += length;
            }
        }
        Ok(())
    }
}

fn refuse_labels(file: &Path, labels: Option<&Path>) -> anyhow::Result<()> {
    let same = |labels: &Path| Some(fs::canonicalize(labels).ok()? == fs::canonicalize(file).ok()?);
    match labels {
        Some(labels) if same(labels) == Some(true) => bail!(
            "{}: found the labelled file among the raw text, expected it elsewhere: models would be pre-trained on the rows \
             that they are judged by",
            labels.display()
        ),
        _ => Ok(()),
    }
}

/// `path` as a glob that matches nothing else.
fn escaped(path: &Path) -> PathBuf {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        match letter {
            '[' | ']' | '*' | '?' => text.extend(['[', letter, ']']),
            plain => text.push(plain),
        }
    }
    text.into()
}

/// Files below `dir` whose names tell a known format, by path. Links to folders are not followed, hidden folders and the results
/// of runs are left out.
fn files_below(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut open, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        let failed = || format!("cannot read {}", dir.display());
        for entry in fs::read_dir(&dir).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let kind = entry.file_type().with_context(failed)?;
            if kind.is_dir() {
                let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !is_hidden && !entry.path().join(".seedbed").exists() {
                    open.push(entry.path());
                }
            } else if is_readable(&entry.path()) && entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What a glob for files like `path` ends in: the name from its known ending on, such as `.jsonl.gz`.
fn ending(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let dots = name.char_indices().filter(|(_, letter)| *letter == '.').map(|(at, _)| at);
    let shortest =
        dots.collect::<Vec<_>>().into_iter().rev().find(|at| Format::of(&name[*at..]).is_ok());
    shortest.map_or_else(|| name.clone(), |at| name[at..].to_owned())
}

/// The strings of the first records by field, with their length together in bytes.
fn string_fields(path: &Path, format: Format) -> anyhow::Result<BTreeMap<String, u64>> {
    let failed = || format!("cannot read {}", path.display());
    let file = fs::File::open(path).with_context(failed)?;
    let decoder = Decoder::new(file, format.compression).with_context(failed)?;
    let mut lengths = BTreeMap::new();
    for record in RawRecords::new(decoder, Cut::Lines, MAX_RECORD_BYTES).take(LOOKED_AT) {
        let RawContent::Whole(bytes) = record.with_context(failed)?.content else { continue };
        let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&bytes) else {
            continue;
        };
        for (field, value) in object {
            if let serde_json::Value::String(text) = value {
                *lengths.entry(field).or_default() += text.len() as u64;
            }
        }
    }
    Ok(lengths)
}
