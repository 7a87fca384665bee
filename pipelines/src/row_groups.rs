//! Ranges of Parquet files: row groups that stand behind each other and can be read apart from the others.
//!
//! A row group says nothing of itself: types, compression and places of columns stand in the file's footer. So a range is
//! read, and known, as the bytes of its row groups followed by those of the footer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::digest::Digest;
use crate::part::{FileRange, Stretch};

/// Bytes of the length of the metadata and of the word `PAR1`, which end a Parquet file.
const TAIL_BYTES: u64 = 8;

/// Cuts a Parquet file into ranges of at most `part_size` bytes, unless one row group is larger.
///
/// There are none if the file cannot be cut: it has one row group, its row groups overlap, or it is no Parquet file, which
/// whoever reads it will say.
///
/// # Errors
/// When `file` cannot be read.
pub fn row_group_ranges(file: &File, part_size: u64) -> io::Result<Vec<FileRange>> {
    let length = file.metadata()?.len();
    let Ok(metadata) = ParquetMetaDataReader::new().parse_and_finish(file) else {
        return Ok(Vec::new());
    };
    let footer = footer(file, length)?;
    let Some(groups) = stretches(&metadata, footer.offset) else { return Ok(Vec::new()) };
    let mut ranges: Vec<Stretch> = Vec::new();
    for group in groups {
        let end = group.offset + group.bytes;
        match ranges.last_mut() {
            Some(range) if end - range.offset <= part_size => range.bytes = end - range.offset,
            _ => ranges.push(group),
        }
    }
    if ranges.len() < 2 {
        return Ok(Vec::new());
    }
    ranges.into_iter().map(|range| with_digest(file, range, footer)).collect()
}

/// Where the row groups of `metadata` stand that lie in the range; all of them if it has no footer of its own.
pub fn in_range(metadata: &ParquetMetaData, range: Stretch) -> Vec<usize> {
    let groups = metadata.row_groups().iter().enumerate();
    let within = |group: &RowGroupMetaData| {
        stretch(group).is_some_and(|group| {
            group.offset >= range.offset && group.offset < range.offset + range.bytes
        })
    };
    groups.filter(|(_, group)| within(group)).map(|(at, _)| at).collect()
}

fn footer(mut file: &File, length: u64) -> io::Result<Stretch> {
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    file.read_exact(&mut tail)?;
    let bytes = (u64::from(u32::from_le_bytes(tail)) + TAIL_BYTES).min(length);
    Ok(Stretch { offset: length - bytes, bytes })
}

/// The row groups' places; `None` unless they stand behind each other and before `end`.
fn stretches(metadata: &ParquetMetaData, end: u64) -> Option<Vec<Stretch>> {
    let groups: Vec<Stretch> = metadata.row_groups().iter().map(stretch).collect::<Option<_>>()?;
    let mut free = 0;
    for group in &groups {
        if group.offset < free {
            return None;
        }
        free = group.offset + group.bytes;
    }
    (free <= end).then_some(groups)
}

/// From the first byte of a row group's columns to the last.
fn stretch(group: &RowGroupMetaData) -> Option<Stretch> {
    let column = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        let offset = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let offset = u64::try_from(offset.min(column.data_page_offset())).ok()?;
        Some((offset, offset.checked_add(u64::try_from(column.compressed_size()).ok()?)?))
    };
    let columns: Vec<(u64, u64)> = group.columns().iter().map(column).collect::<Option<_>>()?;
    let offset = columns.iter().map(|(from, _)| *from).min()?;
    let end = columns.iter().map(|(_, to)| *to).max()?;
    Some(Stretch { offset, bytes: end - offset })
}

fn with_digest(mut file: &File, range: Stretch, footer: Stretch) -> io::Result<FileRange> {
    let mut hasher = blake3::Hasher::new();
    for stretch in [range, footer] {
        file.seek(SeekFrom::Start(stretch.offset))?;
        let bytes = io::copy(&mut file.take(stretch.bytes), &mut hasher)?;
        if bytes < stretch.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let Stretch { offset, bytes } = range;
    Ok(FileRange { offset, bytes, digest: Digest::from(&hasher), footer: Some(footer) })
}
