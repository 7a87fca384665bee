//! Raw files: found by globs, named by digests, dealt into parts.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{At, Result};
use crate::part::{Cut, FileRange, Found, Part, Unit, deal, line_ranges};
use crate::publish::OutDir;
use crate::row_groups::row_group_ranges;
use crate::stage::FileSet;
use crate::store::Store;

/// A file that changed so shortly before it was hashed may change again without its times showing it.
const DISTRUSTED: Duration = Duration::from_secs(2);

/// The cache ends with BLAKE3 of what stands before.
const DIGEST_BYTES: usize = 32;

/// Digests of files that were hashed before, trusted while size, times and inode stay the same.
pub struct DigestCache {
    path: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    changed: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    hashed_at_nanos: u128,
    digest: Digest,
    /// The part size that the ranges were cut for, and the ranges: none if the file turned out to be in one piece.
    ranges: Option<(u64, Vec<FileRange>)>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    fn settled_at(&self, hashed_at_nanos: u128) -> bool {
        let latest = self.modified.max(self.changed);
        let nanos = i128::from(latest.0) * 1_000_000_000 + i128::from(latest.1);
        let limit = i128::try_from(hashed_at_nanos.saturating_sub(DISTRUSTED.as_nanos()))
            .unwrap_or(i128::MAX);
        nanos < limit
    }
}

impl DigestCache {
    /// The cache of `store`; empty if there is none or it cannot be understood.
    pub fn open(store: &Store) -> Self {
        let path = store.root().join("digests");
        let entries = fs::read(&path).ok().and_then(|bytes| {
            let (entries, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
            // A damaged cache would name raw files by digests that are not theirs.
            (digest == Digest::of(entries).as_bytes())
                .then(|| serde_json::from_slice(entries).ok())?
        });
        Self { path, entries: entries.unwrap_or_default(), changed: false }
    }

    /// Writes what was learnt.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&mut self, store: &Store) -> Result<()> {
        if std::mem::take(&mut self.changed) {
            let mut bytes = serde_json::to_vec(&self.entries)
                .map_err(std::io::Error::other)
                .at("write", &self.path)?;
            bytes.extend(Digest::of(&bytes).as_bytes());
            store.write_in_place(&self.path, &bytes)?;
        }
        Ok(())
    }

    /// BLAKE3 of the file at `path`, and its length in bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&mut self, path: &Path) -> Result<(Digest, u64)> {
        let entry = self.entry(path, Cut::Whole, 0)?;
        let found = (entry.digest, entry.stamp.bytes);
        self.remember(path.to_owned(), entry);
        Ok(found)
    }

    /// The files that `set` names, dealt into parts. Paths in units start with `base`.
    ///
    /// # Errors
    /// When a glob is wrong or matches nothing, or a file cannot be read.
    pub fn parts(&mut self, base: &Path, set: &FileSet) -> Result<Vec<Part>, String> {
        let mut found = Vec::new();
        for path in expand(base, &set.globs)? {
            let tag =
                (set.tag)(&path).map_err(|message| format!("{}: {message}", path.display()))?;
            found.push((path, tag));
        }
        let entries: Vec<Entry> = found
            .par_iter()
            .map(|(path, tag)| self.entry(path, (set.cut)(tag), set.part_size))
            .collect::<Result<_>>()
            .map_err(|error| crate::error::chain(&error))?;
        let mut units = Vec::new();
        for ((path, tag), entry) in found.into_iter().zip(entries) {
            units.extend(entry.units(&path, &tag));
            self.remember(path, entry);
        }
        Ok(deal(units, set.part_size))
    }

    fn remember(&mut self, path: PathBuf, entry: Entry) {
        let known = self.entries.get(&path);
        if known.is_none_or(|known| known.hashed_at_nanos != entry.hashed_at_nanos) {
            self.entries.insert(path, entry);
            self.changed = true;
        }
    }

    fn entry(&self, path: &Path, cut: Cut, part_size: u64) -> Result<Entry> {
        let metadata = fs::metadata(path).at("read", path)?;
        let stamp = Stamp::of(&metadata);
        let wants_ranges = cut != Cut::Whole && stamp.bytes > part_size;
        if let Some(known) = self.entries.get(path) {
            let size = known.ranges.as_ref().map(|(size, _)| *size);
            let fits = size == wants_ranges.then_some(part_size);
            if known.stamp == stamp && stamp.settled_at(known.hashed_at_nanos) && fits {
                return Ok(known.clone());
            }
        }
        let hashed_at_nanos =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let file = File::open(path).at("open", path)?;
        let (digest, _) = Digest::of_reader(&file).at("read", path)?;
        let ranges = match wants_ranges {
            true => Some((part_size, ranges(path, cut, part_size)?)),
            false => None,
        };
        Ok(Entry { stamp, hashed_at_nanos, digest, ranges })
    }
}

fn ranges(path: &Path, cut: Cut, part_size: u64) -> Result<Vec<FileRange>> {
    let file = File::open(path).at("open", path)?;
    let ranges = match cut {
        Cut::Whole => Ok(Vec::new()),
        Cut::Lines => line_ranges(BufReader::with_capacity(1 << 20, file), part_size),
        Cut::RowGroups => row_group_ranges(&file, part_size),
    };
    ranges.at("read", path)
}

impl Entry {
    fn units(&self, path: &Path, tag: &str) -> Vec<Found> {
        let unit = |range: &FileRange| Unit {
            digest: range.digest,
            tag: tag.to_owned(),
            offset: range.offset,
            bytes: range.bytes,
            footer: range.footer,
            paths: vec![path.to_owned()],
        };
        let ranges = self.ranges.as_ref().map_or(&[][..], |(_, ranges)| ranges);
        if ranges.is_empty() {
            let (digest, bytes) = (self.digest, self.stamp.bytes);
            let whole = FileRange { offset: 0, bytes, digest, footer: None };
            return vec![Found { unit: unit(&whole), is_range: false }];
        }
        ranges.iter().map(|range| Found { unit: unit(range), is_range: true }).collect()
    }
}

/// What a glob's wildcards match: not names that begin with a dot, as in a shell.
const WILDCARDS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: true,
};

/// The files that match `globs` under `base`, each once, in order. Wildcards pass over results of the program, which would
/// otherwise be its next run's data.
fn expand(base: &Path, globs: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for pattern in globs {
        let full = base.join(pattern);
        let root =
            base.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", base.display()))?;
        let escaped = Path::new(&glob::Pattern::escape(root)).join(pattern);
        let matches = glob::glob_with(&escaped.to_string_lossy(), WILDCARDS)
            .map_err(|error| format!("`{pattern}`: {error}"))?;
        let before = files.len();
        let mut results = ResultDirs::behind(&literal(base, pattern));
        for found in matches {
            let path = found.map_err(|error| format!("`{pattern}`: {error}"))?;
            if results.hold(&path) {
                continue;
            }
            if path.is_file() {
                files.push(path);
            } else if !path.is_dir() {
                let link = if path.is_symlink() { "a link to nothing" } else { "no regular file" };
                return Err(format!(
                    "`{pattern}` matches {}, found {link}, expected a file",
                    path.display()
                ));
            }
        }
        if files.len() == before {
            let seen = if full.is_dir() {
                "is a directory; add `/*` for its files"
            } else {
                "matches no file"
            };
            return Err(format!(
                "`{pattern}` {seen} (looked in {})",
                if root.is_empty() { "." } else { root }
            ));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// What a pattern names before its first wildcard.
fn literal(base: &Path, pattern: &str) -> PathBuf {
    let is_literal =
        |name: &Component<'_>| !name.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    base.join(Path::new(pattern).components().take_while(is_literal).collect::<PathBuf>())
}

/// The same path, without names that stand for the directory before them: a glob gives it either way.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|name| *name != Component::CurDir).collect()
}

/// Directories of results that wildcards have met.
struct ResultDirs {
    /// Results are looked for below it.
    behind: PathBuf,
    known: HashMap<PathBuf, bool>,
}

impl ResultDirs {
    fn behind(dir: &Path) -> Self {
        Self { behind: without_dots(dir), known: HashMap::new() }
    }

    /// Whether the file at `path` stands in such a directory.
    fn hold(&mut self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.are(&without_dots(dir)))
    }

    fn are(&mut self, dir: &Path) -> bool {
        if !dir.starts_with(&self.behind) || dir == self.behind {
            return false;
        }
        if let Some(known) = self.known.get(dir) {
            return *known;
        }
        let found =
            dir.join(OutDir::STORE).is_dir() || dir.parent().is_some_and(|parent| self.are(parent));
        self.known.insert(dir.to_owned(), found);
        found
    }
}
