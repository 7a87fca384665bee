//! The rows that a model is asked about.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use corpus_prep::read::format::Compression;
use corpus_prep::read::rows::{LINE, NamedRow, NamedRows, RowFormat, RowSyntax};
use pipelines::context::Cancel;
use pipelines::error::Error;
use serde_json::Value;

use super::{Command, Format};

/// The column of texts where none is named.
pub const TEXT: &str = LINE;

/// The column of names of rows where none is named.
pub const ID: &str = "id";

/// What standard input is called.
const STDIN: &str = "-";

/// How often a program that waits for rows looks whether it is to stop.
const LISTEN_EVERY: Duration = Duration::from_millis(50);

/// What is said where the thread that reads has panicked.
const STOPPED: &str = "reading stopped without a word; this is a bug in seedbed: please report it";

/// A row.
pub struct Question {
    /// Its number in the input, from 0.
    pub record: u64,
    /// Where it stands, for messages.
    pub place: String,
    /// Its own name, a text or a number, if it has one.
    pub id: Option<Value>,
    pub content: Content,
}

/// What stands in a row.
pub enum Content {
    /// A text, and a second one for models of pairs.
    Text(String, Option<String>),
    /// A text that comes in words.
    Words(Vec<String>),
}

/// The rows, one batch at a time, read on a thread of its own: while standard input gives nothing, the program can still be
/// told to stop.
pub struct Input {
    num_bytes: u64,
    batches: Receiver<anyhow::Result<Batch>>,
    reader: JoinHandle<()>,
}

/// Rows that are asked for together.
pub struct Batch {
    pub rows: Vec<Question>,
    /// Bytes of the file that were read for them.
    pub num_bytes: u64,
}

/// Where rows come from.
struct Reader {
    rows: NamedRows<'static>,
    columns: Columns,
    num_bytes: u64,
    num_read: u64,
    num_rows: u64,
}

/// How a file is read.
#[derive(Clone)]
struct Source {
    path: PathBuf,
    format: Option<Format>,
    columns: Columns,
}

/// Where a row's parts stand.
#[derive(Clone)]
struct Columns {
    id: String,
    text: String,
    text_pair: Option<String>,
    tokens: Option<String>,
}

impl Input {
    /// Begins to read. Files that lack a column are refused here.
    pub fn open(command: &Command) -> anyhow::Result<Self> {
        let columns = Columns {
            id: command.id.clone(),
            text: command.text.clone(),
            text_pair: command.text_pair.clone(),
            tokens: command.tokens.clone(),
        };
        let source = Source { path: command.input.clone(), format: command.format, columns };
        let batch_size = command.batch_size.get();
        let (opened, is_opened) = mpsc::sync_channel(1);
        // One batch is ready while another is answered.
        let (ready, batches) = mpsc::sync_channel(1);
        let reader = std::thread::spawn(move || match Reader::open(source) {
            Ok(mut reader) => {
                let mut is_heard = opened.send(Ok(reader.num_bytes)).is_ok();
                while is_heard {
                    let batch = reader.batch(batch_size);
                    if batch.as_ref().is_ok_and(|batch| batch.rows.is_empty()) {
                        break;
                    }
                    let has_failed = batch.is_err();
                    is_heard = ready.send(batch).is_ok() && !has_failed;
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        });
        match is_opened.recv() {
            Ok(num_bytes) => Ok(Self { num_bytes: num_bytes?, batches, reader }),
            Err(_) => bail!(STOPPED),
        }
    }

    /// Bytes of the file; 0 where that is not known.
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// The next rows; `None` at the end.
    pub fn next(&mut self, cancel: &Cancel) -> anyhow::Result<Option<Batch>> {
        loop {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled.into());
            }
            match self.batches.recv_timeout(LISTEN_EVERY) {
                Ok(batch) => return batch.map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Makes sure that the reader came to the end of the input.
    pub fn finish(self) -> anyhow::Result<()> {
        self.reader.join().map_err(|_| anyhow!(STOPPED))
    }
}

impl Reader {
    fn open(source: Source) -> anyhow::Result<Self> {
        let Source { path, format, columns } = source;
        if format == Some(Format::Lines) && columns.named() != [TEXT] {
            bail!(
                "--format lines has one text a line, expected neither --text, --text-pair nor --tokens"
            );
        }
        let rows = if path.as_os_str() == STDIN {
            NamedRows::read(
                io::stdin(),
                "standard input",
                stdin_syntax(format)?,
                Compression::Plain,
            )?
        } else {
            let named = columns.named();
            let wanted: Vec<&str> = named.into_iter().chain([columns.id.as_str()]).collect();
            NamedRows::open(&path, format_of(&path, format)?, &wanted)?
        };
        for column in columns.named() {
            rows.must_have(column)?;
        }
        if columns.id != ID {
            rows.must_have(&columns.id)?;
        }
        // Of standard input it is not known.
        let num_bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
        Ok(Self { rows, columns, num_bytes, num_read: 0, num_rows: 0 })
    }

    /// The next rows, at most `most`; none at the end.
    fn batch(&mut self, most: usize) -> anyhow::Result<Batch> {
        let mut rows = Vec::new();
        for row in self.rows.by_ref().take(most) {
            rows.push(self.columns.question(self.num_rows, &row?)?);
            self.num_rows += 1;
        }
        let before = std::mem::replace(&mut self.num_read, self.rows.bytes_read(self.num_bytes));
        Ok(Batch { rows, num_bytes: self.num_read.saturating_sub(before) })
    }
}

fn stdin_syntax(format: Option<Format>) -> anyhow::Result<RowSyntax> {
    match format {
        None | Some(Format::Jsonl) => Ok(RowSyntax::Jsonl),
        Some(Format::Csv) => Ok(RowSyntax::Csv),
        Some(Format::Tsv) => Ok(RowSyntax::Tsv),
        Some(Format::Lines) => Ok(RowSyntax::Lines),
        Some(Format::Parquet) => {
            bail!("Parquet is read from its end, expected a file and not standard input")
        }
    }
}

impl Columns {
    /// Those that every row must have.
    fn named(&self) -> Vec<&str> {
        match &self.tokens {
            Some(tokens) => vec![tokens],
            None => [self.text.as_str()].into_iter().chain(self.text_pair.as_deref()).collect(),
        }
    }

    fn question(&self, record: u64, row: &NamedRow) -> anyhow::Result<Question> {
        let content = match &self.tokens {
            Some(tokens) => Content::Words(row.words(tokens)?),
            None => {
                let second = match &self.text_pair {
                    Some(column) => Some(row.text(column)?.to_owned()),
                    None => None,
                };
                Content::Text(row.text(&self.text)?.to_owned(), second)
            }
        };
        let id = row.name(&self.id).cloned();
        Ok(Question { record, place: row.place.to_string(), id, content })
    }
}

/// How the rows of a file stand in it.
fn format_of(path: &Path, format: Option<Format>) -> anyhow::Result<RowFormat> {
    let name = path.display().to_string();
    let (compression, _) = Compression::strip(&name);
    let stream = |syntax| Ok(RowFormat::Stream(syntax, compression));
    match format {
        None => RowFormat::of(&name)
            .with_context(|| format!("{name}: --format says how to read it, or its name")),
        Some(Format::Jsonl) => stream(RowSyntax::Jsonl),
        Some(Format::Csv) => stream(RowSyntax::Csv),
        Some(Format::Tsv) => stream(RowSyntax::Tsv),
        Some(Format::Lines) => stream(RowSyntax::Lines),
        Some(Format::Parquet) => Ok(RowFormat::Parquet),
    }
}
