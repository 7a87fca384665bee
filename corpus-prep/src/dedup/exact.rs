//! Exact duplicates: of the records that hold one text, the one with the smallest row key is kept.

use super::index::{ENTRY_BYTES, Entry, KEY_BYTES, Key, whole};
use crate::error::Result;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Records between two signs of life.
pub const STRIDE: u64 = 1 << 20;

/// A record whose text another record keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The record that is dropped.
    pub dropped: Key,
    /// The record that is kept.
    pub kept: Key,
}

/// Bytes of a [`Duplicate`].
pub const DUPLICATE_BYTES: usize = 2 * KEY_BYTES;

impl Duplicate {
    /// The duplicate's bytes.
    pub fn bytes(&self) -> [u8; DUPLICATE_BYTES] {
        let mut bytes = [0; DUPLICATE_BYTES];
        bytes[..KEY_BYTES].copy_from_slice(self.dropped.bytes());
        bytes[KEY_BYTES..].copy_from_slice(self.kept.bytes());
        bytes
    }

    /// The duplicate with these bytes.
    pub fn from_bytes(bytes: &[u8; DUPLICATE_BYTES]) -> Self {
        let (mut dropped, mut kept) = ([0; KEY_BYTES], [0; KEY_BYTES]);
        dropped.copy_from_slice(&bytes[..KEY_BYTES]);
        kept.copy_from_slice(&bytes[KEY_BYTES..]);
        Self { dropped: Key::from_bytes(dropped), kept: Key::from_bytes(kept) }
    }
}

/// The duplicates that `bytes` hold, one behind the other; `file` names them in errors.
///
/// # Errors
/// [`Error::Unexpected`](crate::error::Error::Unexpected) when the last one is cut.
pub fn read(bytes: &[u8], file: &str) -> Result<Vec<Duplicate>> {
    Ok(whole(bytes, file, "duplicates")?.iter().map(Duplicate::from_bytes).collect())
}

/// Finds the duplicates among the entries of all parts, and gives those of each part, sorted, to `give`: part after part.
/// `parts` holds each part's sorted entries of one range of ids. Returns how many entries there are.
///
/// The parts are merged: memory holds one entry a part, and at most `most` duplicates or those of one part. Where there are
/// more, the merge is done again for every few parts. `heard` is told of every [`STRIDE`] records and of the rest, and once
/// before each further merge.
///
/// # Errors
/// What `heard` or `give` fails with.
pub fn find<E>(
    parts: &[&[[u8; ENTRY_BYTES]]],
    most: usize,
    mut heard: impl FnMut(u64) -> Result<(), E>,
    mut give: impl FnMut(usize, Vec<Duplicate>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut counts = vec![0; parts.len()];
    let mut found = vec![Vec::new(); parts.len()];
    let (mut num_records, mut num_found) = (0, 0);
    merge(parts, |part, duplicate| {
        num_records += 1;
        if let Some(duplicate) = duplicate {
            counts[part] += 1;
            num_found += 1;
            if num_found <= most {
                found[part].push(duplicate);
            } else if num_found == most + 1 {
                found = Vec::new();
            }
        }
        if num_records % STRIDE == 0 { heard(STRIDE) } else { Ok(()) }
    })?;
    heard(num_records % STRIDE)?;
    let mut give_sorted = |part, mut duplicates: Vec<Duplicate>| {
        duplicates.sort_unstable();
        give(part, duplicates)
    };
    if num_found <= most {
        found.into_iter().enumerate().try_for_each(|(part, found)| give_sorted(part, found))?;
        return Ok(num_records);
    }
    for group in groups(&counts, most) {
        heard(0)?;
        let mut found: Vec<_> =
            counts[group.clone()].iter().map(|count| Vec::with_capacity(*count)).collect();
        merge(parts, |part, duplicate| {
            if let Some(duplicate) = duplicate.filter(|_| group.contains(&part)) {
                found[part - group.start].push(duplicate);
            }
            Ok(())
        })?;
        group.zip(found).try_for_each(|(part, found)| give_sorted(part, found))?;
    }
    Ok(num_records)
}

/// Visits all entries in order: the part of each, and what is to be said of it if an earlier one holds its text.
fn merge<E>(
    parts: &[&[[u8; ENTRY_BYTES]]],
    mut visit: impl FnMut(usize, Option<Duplicate>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursors: Vec<_> =
        parts.iter().map(|entries| entries.iter().map(Entry::from_bytes)).collect();
    let mut heads = BinaryHeap::new();
    for (part, cursor) in cursors.iter_mut().enumerate() {
        heads.extend(cursor.next().map(|entry| Reverse((entry, part))));
    }
    let mut kept: Option<Entry> = None;
    while let Some(Reverse((entry, part))) = heads.pop() {
        heads.extend(cursors[part].next().map(|entry| Reverse((entry, part))));
        // Entries of one id come in the order of their keys, so the first is the smallest.
        let first = kept.filter(|first| first.id == entry.id);
        if first.is_none() {
            kept = Some(entry);
        }
        visit(part, first.map(|first| Duplicate { dropped: entry.key, kept: first.key }))?;
    }
    Ok(())
}

/// Neighbours dealt into groups of at most `most` together, or of one.
fn groups(counts: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (part, count) in counts.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if sum + count <= most => group.end = part + 1,
            _ => {
                groups.push(part..part + 1);
                sum = 0;
            }
        }
        sum += count;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::table::documents::RowKey;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashMap};

    /// Texts of each part, one record each; parts are units.
    fn entries(parts: &[Vec<String>]) -> Vec<Vec<Entry>> {
        let key = |part: usize, record: usize| RowKey {
            unit: pipelines::digest::text_id(&part.to_string()),
            record: record as u64,
        };
        let part_entries = |(part, texts): (usize, &Vec<String>)| {
            let mut entries: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(record, text)| Entry::of(text, &key(part, record)).unwrap())
                .collect();
            entries.sort();
            entries
        };
        parts.iter().enumerate().map(part_entries).collect()
    }

    fn dropped(parts: &[Vec<Entry>]) -> Vec<BTreeSet<Duplicate>> {
        let all = dropped_with(parts, usize::MAX);
        for most in [0, 1, 3] {
            assert_eq!(dropped_with(parts, most), all, "at most {most} at once");
        }
        all
    }

    fn dropped_with(parts: &[Vec<Entry>], most: usize) -> Vec<BTreeSet<Duplicate>> {
        let bytes: Vec<Vec<_>> =
            parts.iter().map(|part| part.iter().map(Entry::bytes).collect()).collect();
        let bytes: Vec<&[_]> = bytes.iter().map(Vec::as_slice).collect();
        let (mut found, mut heard) = (Vec::new(), 0);
        let num_records = find(
            &bytes,
            most,
            |count| {
                heard += count;
                Ok::<_, ()>(())
            },
            |part, duplicates| {
                assert!(part == found.len() && duplicates.is_sorted());
                found.push(BTreeSet::from_iter(duplicates));
                Ok(())
            },
        );
        let expected = parts.iter().map(Vec::len).sum::<usize>() as u64;
        assert_eq!((num_records.unwrap(), heard), (expected, expected));
        found
    }

    fn oracle(parts: &[Vec<Entry>]) -> Vec<BTreeSet<Duplicate>> {
        let mut kept: HashMap<[u8; 16], Key> = HashMap::new();
        for entry in parts.iter().flatten() {
            let smallest = kept.entry(entry.id).or_insert(entry.key);
            *smallest = entry.key.min(*smallest);
        }
        let duplicate = |entry: &Entry| Duplicate { dropped: entry.key, kept: kept[&entry.id] };
        let duplicates = |part: &Vec<Entry>| {
            part.iter().map(duplicate).filter(|found| found.dropped != found.kept).collect()
        };
        parts.iter().map(duplicates).collect()
    }

    fn corpus() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec("[ab]{0,3}", 0..20), 0..6)
    }

    proptest! {
        #[test]
        fn the_merge_finds_what_a_hash_map_finds(texts in corpus()) {
            let parts = entries(&texts);
            prop_assert_eq!(dropped(&parts), oracle(&parts));
        }

        #[test]
        fn what_is_kept_does_not_depend_on_the_order_of_the_parts(texts in corpus()) {
            let mut parts = entries(&texts);
            let forward: BTreeSet<_> = dropped(&parts).into_iter().flatten().collect();
            parts.reverse();
            let backward: BTreeSet<_> = dropped(&parts).into_iter().flatten().collect();
            prop_assert_eq!(forward, backward);
        }

        #[test]
        fn removing_duplicates_twice_equals_once(texts in corpus()) {
            let mut parts = entries(&texts);
            let found = dropped(&parts);
            for (part, found) in parts.iter_mut().zip(found) {
                let gone: BTreeSet<_> = found.iter().map(|duplicate| duplicate.dropped).collect();
                part.retain(|entry| !gone.contains(&entry.key));
            }
            prop_assert!(dropped(&parts).iter().all(BTreeSet::is_empty));
        }
    }

    #[test]
    fn bytes_of_a_duplicate_are_read_back() {
        let parts = entries(&[vec!["a".into(), "a".into()]]);
        let [found] = &dropped(&parts)[..] else { panic!("one part") };
        let duplicate = found.first().unwrap();
        assert_eq!(Duplicate::from_bytes(&duplicate.bytes()), *duplicate);
        assert_eq!(duplicate.kept.row_key().record, 0);
    }
}
