//! The rows that a model is asked about.

use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use corpus_prep::read::format::Compression;
use corpus_prep::read::rows::{LINE, NamedRow, NamedRows, RowFormat, RowSyntax};
use serde_json::Value;

use super::{Command, Format};

/// The column of texts where none is named.
pub const TEXT: &str = LINE;

/// The column of names of rows where none is named.
pub const ID: &str = "id";

/// What standard input is called.
const STDIN: &str = "-";

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

/// The rows, one batch at a time.
pub struct Input {
    rows: NamedRows<'static>,
    columns: Columns,
    num_bytes: u64,
    num_read: u64,
    num_rows: u64,
}

/// Where a row's parts stand.
struct Columns {
    id: String,
    text: String,
    text_pair: Option<String>,
    tokens: Option<String>,
}

impl Input {
    pub fn open(command: &Command) -> anyhow::Result<Self> {
        let columns = Columns {
            id: command.id.clone(),
            text: command.text.clone(),
            text_pair: command.text_pair.clone(),
            tokens: command.tokens.clone(),
        };
        let path = &command.input;
        if command.format == Some(Format::Lines) && columns.named() != [TEXT] {
            bail!(
                "--format lines has one text a line, expected neither --text, --text-pair nor --tokens"
            );
        }
        let rows = if path.as_os_str() == STDIN {
            let syntax = match command.format {
                None | Some(Format::Jsonl) => RowSyntax::Jsonl,
                Some(Format::Csv) => RowSyntax::Csv,
                Some(Format::Tsv) => RowSyntax::Tsv,
                Some(Format::Lines) => RowSyntax::Lines,
                Some(Format::Parquet) => {
                    bail!("Parquet is read from its end, expected a file and not standard input")
                }
            };
            NamedRows::read(io::stdin(), "standard input", syntax, Compression::Plain)?
        } else {
            let named = columns.named();
            let wanted: Vec<&str> = named.into_iter().chain([columns.id.as_str()]).collect();
            NamedRows::open(path, format_of(path, command.format)?, &wanted)?
        };
        for column in columns.named() {
            rows.must_have(column)?;
        }
        if columns.id != ID {
            rows.must_have(&columns.id)?;
        }
        // Of standard input it is not known.
        let num_bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        Ok(Self { rows, columns, num_bytes, num_read: 0, num_rows: 0 })
    }

    /// Bytes of the file; 0 where that is not known.
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// Bytes that were read since this was asked last.
    pub fn bytes_read_since(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.num_read, self.rows.bytes_read(self.num_bytes));
        self.num_read.saturating_sub(before)
    }

    /// The next rows, at most `most`; none at the end.
    pub fn batch(&mut self, most: usize) -> anyhow::Result<Vec<Question>> {
        let mut batch = Vec::new();
        for row in self.rows.by_ref().take(most) {
            batch.push(self.columns.question(self.num_rows, &row?)?);
            self.num_rows += 1;
        }
        Ok(batch)
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
