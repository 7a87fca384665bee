//! How raw files are dealt into parts: a pure function of their contents.
//!
//! - A file up to `part_size` joins a *bucket*: all files whose digests share the shortest bit prefix that keeps the
//!   bucket within `part_size`. An added or changed file touches one bucket, or splits one in two.
//! - A larger file of lines is cut into *ranges* at places that its own lines decide, so an edit moves the cuts near it
//!   and no others.
//! - A larger Parquet file is cut into ranges of whole row groups.
//! - A larger file of another kind, such as a compressed one, is one *stream*.
//!
//! Names and paths play no role; files of equal content (and tag) are one unit.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Some bytes that one task reads: a small file, a stream, a range of lines, or row groups with the footer behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// BLAKE3 of the bytes, those of the footer behind the others.
    pub digest: Digest,
    /// What the stage needs to know of the file besides its bytes, such as its format; part of the key.
    pub tag: String,
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes, without the footer.
    pub bytes: u64,
    /// A second stretch of the file, which explains the first: the footer of a range of a Parquet file.
    pub footer: Option<Stretch>,
    /// Where the bytes were found, sorted. The first is read; the others are copies.
    pub paths: Vec<PathBuf>,
}

/// Some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// How a file larger than `part_size` may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// Between lines.
    Lines,
    /// Between row groups of Parquet.
    RowGroups,
}

/// Units that one task reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `bucket-0110` (digest prefix in bits), `range-…` or `stream-…` (digest).
    pub name: String,
    /// In order of digest, then tag.
    pub units: Vec<Unit>,
}

/// A file as found, or a range of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The unit, with one path.
    pub unit: Unit,
    /// Whether the unit is a range of a larger file.
    pub is_range: bool,
}

/// Deals `found` into parts, ordered by the digest of their first unit.
pub fn deal(found: Vec<Found>, part_size: u64) -> Vec<Part> {
    let mut small = Vec::new();
    let mut parts = Vec::new();
    for found in merge_copies(found) {
        let (kind, digest) = (if found.is_range { "range" } else { "stream" }, found.unit.digest);
        if found.is_range || found.unit.bytes > part_size {
            let name = part_name(kind, &found.unit);
            parts.push((digest, Part { name, units: vec![found.unit] }));
        } else {
            small.push(found.unit);
        }
    }
    bucket(small, String::new(), part_size, &mut parts);
    parts.sort_by(|(a, part_a), (b, part_b)| a.cmp(b).then_with(|| part_a.name.cmp(&part_b.name)));
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Names a part of one unit; equal bytes under two tags are two parts.
fn part_name(kind: &str, unit: &Unit) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(unit.digest.as_bytes()).update(unit.tag.as_bytes());
    format!("{kind}-{}", Digest::from(&hasher).short())
}

/// One entry for equal contents, all paths in it.
fn merge_copies(mut found: Vec<Found>) -> Vec<Found> {
    let mut merged: BTreeMap<(Digest, String), Found> = BTreeMap::new();
    found.sort_by(|one, other| {
        let (one, other) = (&one.unit, &other.unit);
        one.paths.cmp(&other.paths).then_with(|| one.offset.cmp(&other.offset))
    });
    for next in found {
        let entry = merged.entry((next.unit.digest, next.unit.tag.clone()));
        let kept = entry.or_insert_with(|| Found {
            unit: Unit { paths: Vec::new(), ..next.unit.clone() },
            is_range: next.is_range,
        });
        // What stands in a small file too goes where small files go, whatever the names are.
        kept.is_range &= next.is_range;
        kept.unit.paths.extend(next.unit.paths);
    }
    let mut merged: Vec<Found> = merged.into_values().collect();
    for found in &mut merged {
        // A range that stands twice in one file has the same path at two offsets; the first offset is read.
        found.unit.paths.sort();
    }
    merged
}

/// Splits `units` (sorted by digest) by one more bit of their digests until a bucket holds at most `part_size`.
fn bucket(units: Vec<Unit>, prefix: String, part_size: u64, parts: &mut Vec<(Digest, Part)>) {
    let Some(first) = units.first() else { return };
    let bytes: u64 = units.iter().map(|unit| unit.bytes).sum();
    let one_digest = units.iter().all(|unit| unit.digest == first.digest);
    if bytes <= part_size || one_digest {
        let name = if prefix.is_empty() { "bucket".to_owned() } else { format!("bucket-{prefix}") };
        parts.push((first.digest, Part { name, units }));
        return;
    }
    let depth = prefix.len();
    let (ones, zeros): (Vec<Unit>, Vec<Unit>) = units
        .into_iter()
        .partition(|unit| unit.digest.as_bytes()[depth / 8] >> (7 - depth % 8) & 1 == 1);
    bucket(zeros, format!("{prefix}0"), part_size, parts);
    bucket(ones, format!("{prefix}1"), part_size, parts);
}

/// One range of a larger file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRange {
    /// First byte.
    pub offset: u64,
    /// Length in bytes; a range of lines ends after a line end, or with the file.
    pub bytes: u64,
    /// BLAKE3 of the bytes, those of the footer behind the others.
    pub digest: Digest,
    /// The footer of the Parquet file.
    pub footer: Option<Stretch>,
}

/// Cuts a file of lines into ranges of at most `part_size` bytes, unless one line is longer.
///
/// A range ends after a line whose BLAKE3 says so, with a chance in proportion to the line's length that makes ranges of
/// about half of `part_size`; never before a quarter of it, and at the latest where the next line would not fit.
///
/// # Errors
/// When `reader` fails.
pub fn line_ranges(mut reader: impl BufRead, part_size: u64) -> io::Result<Vec<FileRange>> {
    let mut ranges = Vec::new();
    let mut open = OpenRange::at(0);
    while let Some(line) = Line::read(&mut reader, &open.hasher)? {
        let ends_range = line.ends_range(part_size);
        if open.bytes > 0 && open.bytes + line.bytes > part_size {
            open = open.close(&mut ranges);
            open.hasher = line.hasher;
        } else {
            open.hasher = line.behind;
        }
        open.bytes += line.bytes;
        if open.bytes >= part_size / 4 && ends_range {
            open = open.close(&mut ranges);
        }
    }
    if open.bytes > 0 {
        open.close(&mut ranges);
    }
    Ok(ranges)
}

struct OpenRange {
    offset: u64,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl OpenRange {
    fn at(offset: u64) -> Self {
        Self { offset, bytes: 0, hasher: blake3::Hasher::new() }
    }

    fn close(self, ranges: &mut Vec<FileRange>) -> Self {
        let digest = Digest::from(&self.hasher);
        ranges.push(FileRange { offset: self.offset, bytes: self.bytes, digest, footer: None });
        Self::at(self.offset + self.bytes)
    }
}

/// A line, of which only its digests are held: it may be as long as the file.
struct Line {
    bytes: u64,
    hasher: blake3::Hasher,
    /// Hashes the line behind all that the open range has.
    behind: blake3::Hasher,
}

impl Line {
    /// The next line, its end included; `None` at the end of the file.
    fn read(reader: &mut impl BufRead, open: &blake3::Hasher) -> io::Result<Option<Self>> {
        let mut line = Self { bytes: 0, hasher: blake3::Hasher::new(), behind: open.clone() };
        loop {
            let held = match reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                held => held?,
            };
            let end = memchr::memchr(b'\n', held);
            let stretch = &held[..end.map_or(held.len(), |at| at + 1)];
            line.hasher.update(stretch);
            line.behind.update(stretch);
            let length = stretch.len();
            line.bytes += length as u64;
            reader.consume(length);
            if end.is_some() || length == 0 {
                return Ok((line.bytes > 0).then_some(line));
            }
        }
    }

    /// Whether a range may end after it: true for `bytes / (part_size / 4)` of all lines.
    fn ends_range(&self, part_size: u64) -> bool {
        let hash = self.hasher.finalize();
        let head =
            hash.as_bytes().iter().take(8).fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let share =
            u128::from(u64::MAX) * u128::from(self.bytes) / u128::from((part_size / 4).max(1));
        u128::from(head) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn file(name: &str, content: &[u8]) -> Found {
        let unit = Unit {
            digest: Digest::of(content),
            tag: "jsonl".into(),
            offset: 0,
            bytes: content.len() as u64,
            footer: None,
            paths: vec![name.into()],
        };
        Found { unit, is_range: false }
    }

    fn index(offset: u64) -> usize {
        usize::try_from(offset).unwrap()
    }

    fn contents(parts: &[Part]) -> BTreeSet<Vec<Digest>> {
        parts.iter().map(|part| part.units.iter().map(|unit| unit.digest).collect()).collect()
    }

    #[test]
    fn copies_are_one_unit_with_all_their_paths() {
        let parts = deal(vec![file("b", b"same"), file("a", b"same"), file("c", b"other")], 100);
        assert_eq!(parts.len(), 1);
        let paths: usize = parts[0].units.iter().map(|unit| unit.paths.len()).sum();
        assert_eq!((parts[0].units.len(), paths), (2, 3));
    }

    #[test]
    fn a_file_that_equals_a_range_is_dealt_as_a_file_whatever_it_is_called() {
        let range = |name: &str| {
            let mut found = file(name, b"same");
            found.unit.offset = 500;
            Found { is_range: true, ..found }
        };
        for (small, large) in [("a", "b"), ("b", "a")] {
            let parts = deal(vec![file(small, b"same"), range(large)], 100);
            assert_eq!((parts.len(), &*parts[0].name), (1, "bucket"));
            let unit = &parts[0].units[0];
            let offset = if unit.paths[0].ends_with(small) { 0 } else { 500 };
            assert_eq!(unit.offset, offset);
        }
    }

    #[test]
    fn a_bucket_holds_at_most_part_size() {
        let files = (0..200u32).map(|at| file(&at.to_string(), format!("content {at}").as_bytes()));
        for part in deal(files.collect(), 100) {
            assert!(part.units.iter().map(|unit| unit.bytes).sum::<u64>() <= 100, "{}", part.name);
        }
    }

    #[test]
    fn a_file_larger_than_part_size_is_a_part_of_its_own() {
        let parts = deal(vec![file("big", &[b'x'; 101]), file("small", b"x")], 100);
        let names: Vec<&str> = parts.iter().map(|part| &part.name[..6]).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"stream") && names.contains(&"bucket"));
    }

    proptest! {
        #[test]
        fn parts_depend_on_the_set_of_contents_alone(seed in 0u32..1000, size in 20u64..400) {
            let mut files: Vec<Found> =
                (0..40).map(|at| file(&at.to_string(), format!("{seed} {at}").as_bytes())).collect();
            let parts = deal(files.clone(), size);
            files.reverse();
            prop_assert_eq!(&parts, &deal(files, size));
        }

        #[test]
        fn an_added_file_changes_one_bucket_or_splits_one(seed in 0u32..1000) {
            let mut files: Vec<Found> =
                (0..60).map(|at| file(&at.to_string(), format!("{seed} {at}").as_bytes())).collect();
            let before = contents(&deal(files.clone(), 60));
            files.push(file("new", format!("{seed} new").as_bytes()));
            let after = contents(&deal(files, 60));
            prop_assert!(before.difference(&after).count() <= 1);
            // A split goes on until both halves fit; only the halves of one old bucket can be new.
            let old: BTreeSet<Digest> = before.difference(&after).flatten().copied().collect();
            let moved: BTreeSet<Digest> = after.difference(&before).flatten().copied().collect();
            prop_assert!(moved.difference(&old).count() == 1);
        }

        #[test]
        fn ranges_cover_the_file_in_order(lines in prop::collection::vec("[a-z]{0,40}", 0..200), size in 16u64..400) {
            let text = lines.join("\n");
            let ranges = line_ranges(text.as_bytes(), size).unwrap();
            let mut at = 0;
            for range in &ranges {
                prop_assert_eq!(range.offset, at);
                let bytes = &text.as_bytes()[index(at)..index(at + range.bytes)];
                prop_assert_eq!(range.digest, Digest::of(bytes));
                at += range.bytes;
                prop_assert!(bytes.ends_with(b"\n") || at == text.len() as u64);
                prop_assert!(range.bytes <= size || !bytes[..bytes.len() - 1].contains(&b'\n'));
            }
            prop_assert_eq!(at, text.len() as u64);
        }
    }

    #[test]
    fn a_line_that_no_buffer_holds_is_cut_as_one_that_it_does() {
        let lines: Vec<String> = (0..100usize).map(|at| "x".repeat(at * at % 91) + "\n").collect();
        let text = lines.concat();
        let narrow = std::io::BufReader::with_capacity(7, text.as_bytes());
        assert_eq!(line_ranges(narrow, 256).unwrap(), line_ranges(text.as_bytes(), 256).unwrap());
    }

    #[test]
    fn an_edit_moves_only_the_cuts_near_it() {
        let lines: Vec<String> = (0..4000).map(|at| format!("line number {at}\n")).collect();
        let before = line_ranges(lines.concat().as_bytes(), 4096).unwrap();
        let mut edited = lines;
        edited[100] = "a new and longer line\n".into();
        let after = line_ranges(edited.concat().as_bytes(), 4096).unwrap();
        let old: BTreeSet<Digest> = before.iter().map(|range| range.digest).collect();
        let fresh = after.iter().filter(|range| !old.contains(&range.digest)).count();
        assert!(before.len() > 20 && fresh <= 3, "{fresh} of {} ranges are new", after.len());
    }
}
