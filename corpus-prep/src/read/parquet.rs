//! Rows of Parquet files, a batch at a time.

use super::header::Header;
use super::json::{BadValue, objects};
use super::record::{Fields, Record, Unreadable};
use super::utf8::{self, InvalidUtf8};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Fields as ArrowFields, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use pipelines::input::TaskInput;
use pipelines::key::canonical;
use pipelines::part::Stretch;
use pipelines::row_groups;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Rows of a batch together are about this long.
const BATCH_BYTES: i64 = 4 << 20;

/// Most rows of a batch.
const BATCH_ROWS: i64 = 1024;

/// How columns may be compressed: what crate `parquet` is built with.
const CODECS: &str = "Snappy, gzip, LZ4, zstd or nothing";

/// Bytes of the length of the metadata and of the word `PAR1`, which end a footer.
const TAIL_BYTES: usize = 8;

/// A Parquet file, or a range of its row groups.
pub struct ParquetFile {
    file: File,
    header: Header,
    metadata: ArrowReaderMetadata,
    groups: Vec<Group>,
}

/// A row group that is to be read.
#[derive(Clone, Copy, Debug)]
struct Group {
    at: usize,
    /// Place of its first row in the file, from 0.
    first_row: u64,
    num_rows: u64,
    batch_rows: usize,
}

/// Rows that stand behind each other.
pub struct Batch {
    /// Place of the first row in the file, from 1.
    pub first_row: u64,
    /// The rows; or why these and all others of their row group are lost.
    pub rows: Result<RecordBatch, Unreadable>,
}

impl ParquetFile {
    /// Reads the footer of `unit`.
    ///
    /// # Errors
    /// When it cannot be read, is no footer of a Parquet file, or says that columns have the same name or are compressed in
    /// a way that is not read.
    pub fn open(unit: &TaskInput) -> Result<Self> {
        let failed = |source| Error::Io { file: unit.name().to_owned(), source };
        let file = File::open(unit.path()).map_err(failed)?;
        let range = Stretch { offset: unit.offset(), bytes: unit.bytes() };
        Self::read(file, unit.name(), unit.footer().map(|footer| (footer, range)))
    }

    /// Reads the footer of a file that messages call `name`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn whole(file: File, name: &str) -> Result<Self> {
        Self::read(file, name, None)
    }

    /// With a footer, only the row groups in the range beside it are read.
    fn read(mut file: File, name: &str, part: Option<(Stretch, Stretch)>) -> Result<Self> {
        let name = name.to_owned();
        let failed = |source| Error::Io { file: name.clone(), source };
        let parsed = match part.map(|(footer, _)| footer) {
            None => guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file)),
            Some(footer) => {
                let mut bytes = Vec::new();
                file.seek(SeekFrom::Start(footer.offset)).map_err(failed)?;
                (&file).take(footer.bytes).read_to_end(&mut bytes).map_err(failed)?;
                let end = bytes.len().saturating_sub(TAIL_BYTES);
                guarded(|| ParquetMetaDataReader::decode_metadata(&bytes[..end]))
            }
        };
        let bad = |message| Error::Parquet { file: name.clone(), message };
        // What the Arrow schema beside it says, such as dictionaries, only changes how the same values come out.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let parsed = parsed.map_err(bad)?;
        refuse_codecs(&parsed, &name)?;
        let groups = groups(&parsed, part.map(|(_, range)| range));
        let metadata = guarded(|| ArrowReaderMetadata::try_new(Arc::new(parsed), options));
        let metadata = metadata.map_err(bad)?;
        let header = header(metadata.schema().fields(), &name)?;
        Ok(Self { file, header, metadata, groups })
    }

    /// Names of the columns.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The type of the column `name`.
    pub fn type_of(&self, name: &str) -> Option<&DataType> {
        self.metadata.schema().field_with_name(name).ok().map(|field| field.data_type())
    }

    /// The types of the columns, in the order of the header.
    pub fn types(&self) -> Vec<DataType> {
        self.metadata.schema().fields().iter().map(|field| field.data_type().clone()).collect()
    }

    /// Rows in all.
    pub fn num_rows(&self) -> u64 {
        self.groups.iter().map(|group| group.num_rows).sum()
    }

    /// All rows in order, with the columns `wanted`, or all columns; one batch is in memory at a time.
    pub fn batches(self, wanted: Option<&[&str]>) -> Batches {
        let schema = self.metadata.parquet_schema();
        let mask = match wanted {
            None => ProjectionMask::all(),
            Some(wanted) => {
                let columns = self.header.names();
                let places = (0..columns.len()).filter(|at| wanted.contains(&&*columns[*at]));
                ProjectionMask::roots(schema, places)
            }
        };
        let Self { file, metadata, groups, .. } = self;
        Batches { file, metadata, mask, groups: groups.into(), reader: None }
    }
}

/// The names of `fields`; those of fields in a column are all different as well.
fn header(fields: &ArrowFields, file: &str) -> Result<Header> {
    let names = fields.iter().map(|field| field.name().clone()).collect();
    for field in fields {
        match field.data_type() {
            DataType::Struct(fields) => drop(header(fields, file)?),
            DataType::List(item) => drop(header(&ArrowFields::from(vec![Arc::clone(item)]), file)?),
            _ => {}
        }
    }
    Header::new(file, names)
}

fn refuse_codecs(metadata: &ParquetMetaData, file: &str) -> Result<()> {
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let found = match chunk.compression() {
            Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::LZ4
            | Compression::LZ4_RAW
            | Compression::ZSTD(_) => continue,
            Compression::BROTLI(_) => "Brotli",
            Compression::LZO => "LZO",
        };
        let column = chunk.column_path().string();
        return Err(Error::Codec { file: file.to_owned(), column, found, expected: CODECS });
    }
    Ok(())
}

fn groups(metadata: &ParquetMetaData, range: Option<Stretch>) -> Vec<Group> {
    let wanted = range.map(|range| row_groups::in_range(metadata, range));
    let mut first_row = 0;
    let mut groups = Vec::new();
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let num_rows = u64::try_from(group.num_rows()).unwrap_or(0);
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&at)) {
            let row_bytes = group.total_byte_size() / group.num_rows().max(1);
            let batch_rows = (BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS);
            let batch_rows = usize::try_from(batch_rows).unwrap_or(1);
            groups.push(Group { at, first_row, num_rows, batch_rows });
        }
        first_row += num_rows;
    }
    groups
}

/// The batches of a file.
pub struct Batches {
    file: File,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    groups: VecDeque<Group>,
    /// The row group that is being read, and how many of its rows were given.
    reader: Option<(Group, ParquetRecordBatchReader, u64)>,
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        loop {
            let (group, mut reader, done) = match self.reader.take() {
                Some(open) => open,
                None => {
                    let group = self.groups.pop_front()?;
                    match self.start(group) {
                        Ok(reader) => (group, reader, 0),
                        Err(problem) => return Some(lost(group, 0, problem)),
                    }
                }
            };
            match guarded(|| reader.next().transpose()) {
                Ok(None) if done == group.num_rows => {}
                Ok(None) => return Some(lost(group, done, "the rows end here".into())),
                Ok(Some(rows)) => {
                    let first_row = group.first_row + done + 1;
                    self.reader = Some((group, reader, done + rows.num_rows() as u64));
                    return Some(Batch { first_row, rows: Ok(rows) });
                }
                Err(problem) => return Some(lost(group, done, problem)),
            }
        }
    }
}

impl Batches {
    fn start(&self, group: Group) -> Result<ParquetRecordBatchReader, String> {
        let file = self.file.try_clone().map_err(|error| error.to_string())?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group.at])
                .with_projection(self.mask.clone())
                .with_batch_size(group.batch_rows);
        guarded(|| builder.build())
    }
}

/// The rest of a row group, of which `done` rows were read.
fn lost(group: Group, done: u64, message: String) -> Batch {
    let problem = Unreadable::DamagedRowGroup {
        row_group: group.at,
        rows: group.num_rows.saturating_sub(done),
        message,
    };
    Batch { first_row: group.first_row + done + 1, rows: Err(problem) }
}

/// The parser panics on some damaged files; that is one more way to find them damaged.
fn guarded<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the parser stumbles over it".into()),
    }
}

/// The rows of `batch` as records.
///
/// # Errors
/// With a message, when the column of texts is not there.
pub fn records(
    batch: &RecordBatch,
    fields: &Fields,
    invalid: InvalidUtf8,
) -> Result<Vec<Result<Record, Unreadable>>, String> {
    let column = |name: &str| batch.column_by_name(name);
    let id = column(&fields.id).filter(|array| is_string(array) || array.data_type().is_integer());
    let [source, url, lang] = [&fields.source, &fields.url, &fields.lang]
        .map(|name| column(name).filter(|array| is_string(array)));
    let taken =
        [(id, &fields.id), (source, &fields.source), (url, &fields.url), (lang, &fields.lang)];
    let is_taken = |name: &String| {
        *name == fields.text || taken.iter().any(|(array, known)| array.is_some() && *known == name)
    };
    let schema = batch.schema();
    let others: Vec<usize> =
        (0..schema.fields().len()).filter(|at| !is_taken(schema.field(*at).name())).collect();
    let metadata = match others.is_empty() {
        true => vec![Ok(Map::new()); batch.num_rows()],
        false => objects(&batch.project(&others).map_err(|error| error.to_string())?),
    };
    let text = batch.column_by_name(&fields.text).ok_or("its column of texts is not there")?;
    let row = |(at, metadata): (usize, Result<Map<String, Value>, BadValue>)| {
        let (text, replaced_bytes) = text_at(text, at, fields, invalid)?;
        let metadata = metadata?;
        let name = |array: Option<&ArrayRef>| array.and_then(|array| name_at(array, at));
        Ok(Record {
            text,
            source_id: name(id),
            source: name(source),
            url: name(url),
            lang: name(lang),
            metadata: (!metadata.is_empty()).then(|| canonical(&Value::Object(metadata))),
            replaced_bytes,
        })
    };
    Ok(metadata.into_iter().enumerate().map(row).collect())
}

/// Whether a column of this type can hold texts.
pub fn is_text(found: &DataType) -> bool {
    matches!(found, DataType::Utf8 | DataType::Binary)
}

fn is_string(array: &ArrayRef) -> bool {
    array.data_type() == &DataType::Utf8
}

/// The text that stands in a column of texts, and how many of its bytes were replaced.
pub(super) fn text_at(
    array: &ArrayRef,
    at: usize,
    fields: &Fields,
    invalid: InvalidUtf8,
) -> Result<(String, u64), Unreadable> {
    if array.is_null(at) {
        return Err(Unreadable::TextNotAString { field: fields.text.clone(), found: "null" });
    }
    match array.as_string_opt::<i32>() {
        Some(texts) => Ok((texts.value(at).to_owned(), 0)),
        None => {
            let bytes = array.as_binary_opt::<i32>().map_or(&[][..], |bytes| bytes.value(at));
            utf8::decode(bytes.to_vec(), invalid).map_err(|invalid| Unreadable::TextNotUtf8 {
                field: fields.text.clone(),
                byte: invalid.byte,
            })
        }
    }
}

fn name_at(array: &ArrayRef, at: usize) -> Option<String> {
    if array.is_null(at) {
        return None;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(texts.value(at).to_owned());
    }
    let wide =
        if array.data_type().is_unsigned_integer() { DataType::UInt64 } else { DataType::Int64 };
    let number = arrow::compute::cast(&array.slice(at, 1), &wide).ok()?;
    match wide {
        DataType::UInt64 => Some(number.as_primitive::<UInt64Type>().value(0).to_string()),
        _ => Some(number.as_primitive::<Int64Type>().value(0).to_string()),
    }
}
