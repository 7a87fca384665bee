//! The rows that a model is asked about.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, bail};
use corpus_prep::read::format::Compression;
use corpus_prep::read::rows::{LINE, Name, NamedRow, NamedRows, RowFormat, RowSyntax};
use pipelines::context::Cancel;

use super::{Command, Format};
use crate::worker::listen;

/// The column of texts where none is named.
pub const TEXT: &str = LINE;

/// The column of names of rows where none is named.
pub const ID: &str = "id";

/// What standard input is called.
const STDIN: &str = "-";

/// Bytes of text at which a batch ends, whatever its rows: memory holds a few batches.
const BATCH_BYTES: usize = 8 << 20;

/// What is said where a thread that reads or opens has panicked.
pub const STOPPED: &str =
    "a thread stopped without a word; this is a bug in seedbed: please report it";

/// A row.
pub struct Question {
    /// Its number in the input, from 0.
    pub record: u64,
    /// Where it stands, for messages.
    pub place: String,
    /// Its own name, if it has one.
    pub id: Option<Name>,
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
    /// Why there are no more rows, once those before were given.
    failed: Option<anyhow::Error>,
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
    /// The one that is asked for; it must be there then, and in every row.
    id: Option<String>,
    text: String,
    text_pair: Option<String>,
    tokens: Option<String>,
}

impl Input {
    /// Begins to read. Files that lack a column are refused here.
    pub fn open(command: &Command, cancel: &Cancel) -> anyhow::Result<Self> {
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
        match listen(&is_opened, cancel)? {
            Some(num_bytes) => Ok(Self { num_bytes: num_bytes?, batches, reader }),
            None => bail!(STOPPED),
        }
    }

    /// Bytes of the file; 0 where that is not known.
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// The next rows; `None` at the end.
    pub fn next(&mut self, cancel: &Cancel) -> anyhow::Result<Option<Batch>> {
        listen(&self.batches, cancel)?.transpose()
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
            let wanted: Vec<&str> = named.into_iter().chain([columns.id()]).collect();
            NamedRows::open(&path, format_of(&path, format)?, &wanted)?
        };
        for column in columns.named() {
            match columns.tokens {
                Some(_) => rows.must_have_words(column)?,
                None => rows.must_have_texts(column)?,
            }
        }
        if let Some(id) = &columns.id {
            rows.must_have(id)?;
        }
        // Of standard input it is not known.
        let num_bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
        Ok(Self { rows, columns, num_bytes, num_read: 0, num_rows: 0, failed: None })
    }

    /// The next rows, at most `most` and few bytes of text; none at the end. A row that cannot be read ends a batch, and is
    /// told in place of the next.
    fn batch(&mut self, most: usize) -> anyhow::Result<Batch> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (mut rows, mut num_bytes) = (Vec::new(), 0);
        while rows.len() < most && num_bytes < BATCH_BYTES {
            let Some(row) = self.rows.next() else { break };
            match row.map_err(Into::into).and_then(|row| self.columns.question(self.num_rows, &row))
            {
                Ok(question) => {
                    num_bytes += question.content.num_bytes();
                    rows.push(question);
                    self.num_rows += 1;
                }
                Err(error) if rows.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
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

impl Content {
    /// Bytes of its texts.
    fn num_bytes(&self) -> usize {
        match self {
            Self::Text(text, second) => text.len() + second.as_ref().map_or(0, String::len),
            Self::Words(words) => words.iter().map(String::len).sum(),
        }
    }
}

impl Columns {
    /// That of names.
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(ID)
    }

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
        let id = match &self.id {
            Some(id) => Some(row.name(id)?),
            None => row.name(ID).ok(),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of the rows `jsonl`, which stand in a file as long as the reader is open.
    fn reader(jsonl: &str) -> Reader {
        let file = tempfile::NamedTempFile::with_suffix(".jsonl").unwrap();
        std::fs::write(file.path(), jsonl).unwrap();
        let columns = Columns { id: None, text: TEXT.into(), text_pair: None, tokens: None };
        Reader::open(Source { path: file.path().to_owned(), format: None, columns }).unwrap()
    }

    fn records(batch: &Batch) -> Vec<u64> {
        batch.rows.iter().map(|row| row.record).collect()
    }

    #[test]
    fn a_batch_ends_at_its_rows_or_at_its_bytes() {
        let row = |bytes: usize| format!("{{\"text\":\"{}\"}}\n", "a".repeat(bytes));
        let mut long = reader(&row(BATCH_BYTES * 5 / 8).repeat(3));
        assert_eq!(records(&long.batch(256).unwrap()), [0, 1]);
        assert_eq!(records(&long.batch(256).unwrap()), [2]);
        assert!(long.batch(256).unwrap().rows.is_empty());
        let mut short = reader(&row(1).repeat(3));
        assert_eq!(records(&short.batch(2).unwrap()), [0, 1]);
        assert_eq!(records(&short.batch(2).unwrap()), [2]);
    }

    #[test]
    fn rows_before_a_bad_one_are_given() {
        let mut rows = reader("{\"text\":\"a\"}\n{\"text\":1}\n{\"text\":\"b\"}\n");
        assert_eq!(records(&rows.batch(256).unwrap()), [0]);
        let error = rows.batch(256).err().unwrap().to_string();
        assert!(error.ends_with(":2: field `text` is a number, expected a string"), "{error}");
    }
}
