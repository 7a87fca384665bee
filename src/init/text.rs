//! What raw text there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use corpus_prep::read::Format;
use corpus_prep::read::format::{Compression, KNOWN, Syntax};
use corpus_prep::read::parquet::is_text;

use super::head::{Column, Columns, head};

/// Records of a file that are looked at.
const LOOKED_AT: usize = 50;
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
    /// The field of records, or column, that holds the text; `None` where there are no such records.
    pub text_field: Option<String>,
}

impl Corpus {
    /// Looks at files, and at folders to any depth. No glob names what runs of a manifest in `base` will write.
    ///
    /// `labels` must not be among them: no model is to be pre-trained on rows that it is judged by.
    pub fn look(data: &[PathBuf], labels: Option<&Path>, base: &Path) -> anyhow::Result<Self> {
        let mut corpus = Self { globs: Vec::new(), files: 0, text_bytes: 0, text_field: None };
        let mut columns = Columns::default();
        for path in data {
            let files = files_of(path)?;
            for file in &files {
                refuse_labels(file, labels)?;
                corpus.add(file, &mut columns)?;
            }
            corpus.globs.extend(match path.is_dir() {
                true => globs(path, &files, base),
                false => vec![escaped(path)],
            });
        }
        if corpus.text_bytes == 0 {
            bail!("found {} files without a byte, expected text", corpus.files);
        }
        corpus.text_field = text_field(&columns)?;
        Ok(corpus)
    }

    fn add(&mut self, path: &Path, columns: &mut Columns) -> anyhow::Result<()> {
        let format = format_of(path)?;
        let bytes =
            fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        let is_packed = format.compression != Compression::Plain;
        self.files += 1;
        self.text_bytes += if is_packed { bytes * RATIO } else { bytes };
        match format.syntax {
            Syntax::Document | Syntax::Html | Syntax::Warc | Syntax::MediaWiki => Ok(()),
            _ => add_texts(path, columns),
        }
    }
}

fn format_of(path: &Path) -> anyhow::Result<Format> {
    Ok(Format::of(path.file_name().and_then(|name| name.to_str()).unwrap_or_default())?)
}

/// The texts of the first records of the file at `path`. A record that cannot be read is passed over, unless all are so.
fn add_texts(path: &Path, columns: &mut Columns) -> anyhow::Result<()> {
    let (mut refused, mut num_read) = (None, 0);
    for row in head(path, LOOKED_AT, is_text)? {
        match row {
            Ok(row) => {
                num_read += 1;
                columns.add(row.texts());
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if num_read == 0 => Err(error),
        _ => Ok(()),
    }
}

/// The field that holds the text: the longest of those that no record lacks.
fn text_field(columns: &Columns) -> anyhow::Result<Option<String>> {
    if columns.num_rows == 0 {
        return Ok(None);
    }
    if let Some(field) = columns.longest(|column| column.present == columns.num_rows) {
        return Ok(Some(field.to_owned()));
    }
    let found = |(name, column): (&String, &Column)| format!("`{name}` in {}", column.present);
    let found: Vec<String> = columns.columns.iter().map(found).collect();
    bail!(
        "found no field of text that all records have: of {} there is {}; files whose texts have other names are read by steps \
         of their own",
        columns.num_rows,
        if found.is_empty() { "none with a text".to_owned() } else { found.join(", ") }
    )
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
pub fn escaped(path: &Path) -> PathBuf {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        match letter {
            '[' | ']' | '*' | '?' => text.extend(['[', letter, ']']),
            plain => text.push(plain),
        }
    }
    text.into()
}

/// Globs for `files`, which stand below `dir`. Of a folder that holds `base` each inner one has its own.
fn globs(dir: &Path, files: &[PathBuf], base: &Path) -> Vec<PathBuf> {
    let endings =
        |files: &[PathBuf]| files.iter().map(|file| ending(file)).collect::<BTreeSet<_>>();
    let all = |dir: PathBuf, files: &[PathBuf]| {
        endings(files).into_iter().map(move |ending| dir.join(format!("*{ending}"))).collect()
    };
    if !holds(dir, base) {
        return all(escaped(dir).join("**"), files);
    }
    let (here, below): (Vec<PathBuf>, Vec<PathBuf>) =
        files.iter().cloned().partition(|file| file.parent() == Some(dir));
    let mut found: Vec<PathBuf> = all(escaped(dir), &here);
    for inner in below.chunk_by(|a, b| child(dir, a) == child(dir, b)) {
        found.extend(child(dir, &inner[0]).iter().flat_map(|child| globs(child, inner, base)));
    }
    found
}

/// The folder in `dir` that `file` stands in or below.
fn child(dir: &Path, file: &Path) -> Option<PathBuf> {
    Some(dir.join(file.strip_prefix(dir).ok()?.components().next()?))
}

fn holds(dir: &Path, base: &Path) -> bool {
    let whole = |path: &Path| {
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path })
    };
    matches!((whole(dir), whole(base)), (Ok(dir), Ok(base)) if base.starts_with(&dir))
}

/// The file at `path`, or the files below it whose names tell a known format, folder by folder.
fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_file = !metadata.is_dir();
    let files = match is_file {
        true => Vec::from_iter(is_readable(path).then(|| path.to_owned())),
        false => files_below(path)?,
    };
    match (files.is_empty(), is_file) {
        (false, _) => Ok(files),
        (true, true) => {
            bail!("{}: its name tells no format; expected one of {KNOWN}", path.display())
        }
        (true, false) => {
            bail!("{}: found no file of text; expected one of {KNOWN}", path.display())
        }
    }
}

/// Whether `path` has a name that corpus preparation knows.
fn is_readable(path: &Path) -> bool {
    format_of(path).is_ok()
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
