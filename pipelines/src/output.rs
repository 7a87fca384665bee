//! What a task writes: files that enter the store together, or not at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde_json::Value;

use crate::digest::{Digest, HashingWriter};
use crate::error::{At, Error, Result};
use crate::record::{Counts, OutputRecord, Section, TaskRecord};
use crate::store::{Attempt, Store};

/// The outputs of one attempt at a task. Nothing of them is visible before all are done.
pub struct TaskOutput {
    store: Store,
    attempt: Attempt,
    outputs: BTreeMap<String, (PathBuf, OutputRecord)>,
    counts: Counts,
    details: Value,
}

impl TaskOutput {
    /// An attempt whose outputs will enter `store`. A stage is given one; tests and tools make their own.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn new(store: &Store) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            attempt: store.attempt()?,
            outputs: BTreeMap::new(),
            counts: Counts::new(),
            details: Value::Null,
        })
    }

    /// Starts the output `name`. It counts once it is [finished](TaskOutput::finish).
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(&self, name: &str) -> Result<OutputFile> {
        let path = self.attempt.dir().join(name.replace('/', "%"));
        let file = File::create_new(&path).at("create", &path)?;
        Ok(OutputFile {
            name: name.to_owned(),
            path,
            writer: HashingWriter::new(BufWriter::new(file)),
            section: None,
            sections: BTreeMap::new(),
        })
    }

    /// Takes a written file as an output.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(&mut self, file: OutputFile, size: Size) -> Result<()> {
        let (name, path, record) = file.close(size)?;
        self.outputs.insert(name, (path, record));
        Ok(())
    }

    /// Writes an output in one go.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(name)?;
        file.write_all(bytes).at("write", &file.path)?;
        self.finish(file, Size::Bytes)
    }

    /// Adds `count` to the count `name`.
    pub fn count(&mut self, name: &str, count: u64) {
        *self.counts.entry(name.to_owned()).or_default() += count;
    }

    /// Says what `artifact.json` should show of this task's result.
    pub fn details(&mut self, details: Value) {
        self.details = details;
    }

    /// Where a finished output stands until it is committed.
    pub(crate) fn path_of(&self, name: &str) -> Result<PathBuf> {
        let found = self.outputs.get(name).map(|(path, _)| path.clone());
        found.ok_or_else(|| Error::Undeclared { what: format!("the output `{name}`") })
    }

    /// Moves the outputs into the store and writes the task's record.
    ///
    /// # Errors
    /// When they cannot be moved, or an earlier attempt at the task with this key gave other bytes.
    pub fn commit(self, key: Digest) -> Result<TaskRecord> {
        let store = self.store.clone();
        let record = self.store(key)?;
        store.finish_task(&record)?;
        Ok(record)
    }

    /// Moves the outputs into the store, and gives the record that is still to be written.
    pub(crate) fn store(self, key: Digest) -> Result<TaskRecord> {
        for (path, record) in self.outputs.values() {
            self.store.adopt(path, &record.digest)?;
        }
        Ok(self.record(key))
    }

    /// The record of a task that wrote this.
    pub(crate) fn record(self, key: Digest) -> TaskRecord {
        let outputs = self.outputs.into_iter().map(|(name, (_, record))| (name, record));
        let (version, outputs) = (TaskRecord::VERSION, outputs.collect());
        let counts = self.counts.into_iter().collect();
        TaskRecord { version, key, outputs, counts, details: self.details }
    }
}

/// How large an output is, in the unit of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Its length says all.
    Bytes,
    /// Rows of a table.
    Rows(u64),
    /// Tokens of a shard.
    Tokens(u64),
}

/// A file that a task writes from start to end.
pub struct OutputFile {
    name: String,
    path: PathBuf,
    writer: HashingWriter<BufWriter<File>>,
    section: Option<OpenSection>,
    sections: BTreeMap<String, Section>,
}

struct OpenSection {
    name: String,
    offset: u64,
    hasher: blake3::Hasher,
}

impl OutputFile {
    /// Starts the section `name` at the present end, which also ends the section before.
    pub fn section(&mut self, name: impl Into<String>) {
        self.close_section();
        self.section = Some(OpenSection {
            name: name.into(),
            offset: self.writer.bytes(),
            hasher: blake3::Hasher::new(),
        });
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    fn close_section(&mut self) {
        let Some(open) = self.section.take() else { return };
        let bytes = self.writer.bytes() - open.offset;
        if bytes > 0 {
            let digest = Digest::from(&open.hasher);
            self.sections.insert(open.name, Section { offset: open.offset, bytes, digest });
        }
    }

    pub(crate) fn close(mut self, size: Size) -> Result<(String, PathBuf, OutputRecord)> {
        self.close_section();
        let bytes = self.writer.bytes();
        let (writer, digest) = self.writer.into_parts();
        let file =
            writer.into_inner().map_err(io::IntoInnerError::into_error).at("write", &self.path)?;
        file.sync_all().at("write", &self.path)?;
        let (rows, tokens) = match size {
            Size::Bytes => (None, None),
            Size::Rows(rows) => (Some(rows), None),
            Size::Tokens(tokens) => (None, Some(tokens)),
        };
        Ok((
            self.name,
            self.path,
            OutputRecord {
                digest,
                bytes,
                rows,
                tokens,
                sections: self.sections.into_iter().collect(),
            },
        ))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        if let Some(open) = &mut self.section {
            open.hasher.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
