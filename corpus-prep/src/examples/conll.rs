//! Sentences of files with a token a line, as of the CoNLL shared tasks.
//!
//! A line holds the columns of one token; a blank line ends a sentence, and a line that starts with `-DOCSTART-` begins a
//! document, whose sentences are one group.

use super::config::Column;
use super::row::{BadRow, Row, RowReader, Tokens, bad_row};
use crate::error::{Error, Result};
use crate::read::decompress::Decoder;
use crate::read::raw::{Cut, MAX_ROW_BYTES, RawRecords};
use pipelines::digest::text_id;

const DOCUMENT: &str = "-DOCSTART-";

impl RowReader {
    /// Gives the sentences of a CoNLL file to `push`, in order, and says how many lines begin a document.
    pub(super) fn conll(
        &self,
        decoder: Decoder<'_>,
        columns: &Tokens,
        file: &str,
        push: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<u64> {
        let mut sentence = Sentence::default();
        let mut document = Document::default();
        let (mut layout, mut num_documents, mut last_line) = (None, 0, None);
        for record in RawRecords::new(decoder, Cut::Lines, MAX_ROW_BYTES) {
            let record = record.map_err(|source| Error::Io { file: file.to_owned(), source })?;
            let line = record.line;
            let text = self.content(record.content).map_err(|error| bad_row(file, line, error))?;
            let starts_document = text.starts_with(DOCUMENT);
            // Blank lines are no records; the numbers of lines know them.
            let follows = last_line.zip(line).is_some_and(|(last, line)| last + 1 == line);
            if !follows || starts_document {
                document.add(sentence.end(columns, file)?, file, push)?;
            }
            last_line = line;
            if starts_document {
                document.end(push)?;
                document.is_open = true;
                num_documents += 1;
                continue;
            }
            let layout = match &mut layout {
                Some(known) => known,
                None => layout.insert(Layout::of(self, columns, &text, file, line)?),
            };
            sentence.add(layout, &text, line).map_err(|error| bad_row(file, line, error))?;
        }
        document.add(sentence.end(columns, file)?, file, push)?;
        document.end(push)?;
        Ok(num_documents)
    }
}

/// How the columns of a file stand on its lines.
struct Layout {
    /// `None`: runs of blanks.
    delimiter: Option<char>,
    num_columns: usize,
    tokens: usize,
    tags: usize,
    group: Option<usize>,
    id: Option<usize>,
}

impl Layout {
    /// The layout of the file whose first token stands on `first`.
    fn of(
        reader: &RowReader,
        columns: &Tokens,
        first: &str,
        file: &str,
        line: Option<u64>,
    ) -> Result<Self> {
        let delimiter = reader.delimiter.or(first.contains('\t').then_some('\t'));
        let found = split(first, delimiter).len();
        let num_columns = columns.names.as_ref().map_or(found, Vec::len);
        let named = |name: &String| {
            let place = columns.names.iter().flatten().position(|known| known == name);
            place.ok_or_else(|| Error::MissingColumn {
                file: file.to_owned(),
                column: name.clone(),
                found: match &columns.names {
                    Some(names) => format!("`{}` in `columns`", names.join("`, `")),
                    None => format!("{num_columns} columns without names; `columns` names them"),
                },
            })
        };
        let at = |column: &Option<Column>, default: usize| match column {
            None => Ok(default),
            Some(Column::Name(name)) => named(name),
            Some(Column::Place(place)) if place.get() > num_columns => {
                let problem = BadRow::NumColumns {
                    found: num_columns,
                    expected: format!("at least {place}"),
                };
                Err(bad_row(file, line, problem))
            }
            Some(Column::Place(place)) => Ok(place.get() - 1),
        };
        let tokens = at(&columns.tokens, 0)?;
        let tags = at(&columns.tags, num_columns - 1)?;
        if tokens == tags {
            let expected = "one for tokens and another for tags".into();
            return Err(bad_row(file, line, BadRow::NumColumns { found: num_columns, expected }));
        }
        let maybe_named = |name: &Option<String>| name.as_ref().map(named).transpose();
        let (group, id) = (maybe_named(&reader.columns.group)?, maybe_named(&reader.columns.id)?);
        Ok(Self { delimiter, num_columns, tokens, tags, group, id })
    }
}

fn split(line: &str, delimiter: Option<char>) -> Vec<&str> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    match delimiter {
        Some(delimiter) => line.split(delimiter).collect(),
        None => line.split_ascii_whitespace().collect(),
    }
}

/// The sentence that is being read.
#[derive(Default)]
struct Sentence {
    tokens: Vec<String>,
    tags: Vec<String>,
    /// The line of each token.
    lines: Vec<Option<u64>>,
    bytes: u64,
    group: Option<String>,
    id: Option<String>,
}

impl Sentence {
    fn add(&mut self, layout: &Layout, text: &str, line: Option<u64>) -> Result<(), BadRow> {
        let columns = split(text, layout.delimiter);
        if columns.len() != layout.num_columns {
            let expected = format!("{} as on the lines before", layout.num_columns);
            return Err(BadRow::NumColumns { found: columns.len(), expected });
        }
        self.bytes += text.len() as u64;
        if self.bytes > MAX_ROW_BYTES {
            return Err(BadRow::TooLong { bytes: self.bytes });
        }
        if self.tokens.is_empty() {
            let value = |at: usize| Some(columns[at].to_owned()).filter(|value| !value.is_empty());
            (self.group, self.id) = (layout.group.and_then(value), layout.id.and_then(value));
        }
        self.tokens.push(columns[layout.tokens].to_owned());
        self.tags.push(columns[layout.tags].to_owned());
        self.lines.push(line);
        Ok(())
    }

    /// The sentence as a row, if it has a token. The next one is begun.
    fn end(&mut self, columns: &Tokens, file: &str) -> Result<Option<Row>> {
        let Self { tokens, tags, lines, group, id, .. } = std::mem::take(self);
        let Some(first) = lines.first().copied() else { return Ok(None) };
        let row = columns.row(tokens, tags).map_err(|(at, problem)| {
            bad_row(file, lines.get(at).or(lines.last()).copied().flatten(), problem)
        })?;
        Ok(Some(Row { line: first, group, id, ..row }))
    }
}

/// The document that is being read. Its sentences wait for its end, since its content is its name.
#[derive(Default)]
struct Document {
    is_open: bool,
    rows: Vec<Row>,
    bytes: u64,
}

impl Document {
    fn add(
        &mut self,
        row: Option<Row>,
        file: &str,
        push: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let Some(row) = row else { return Ok(()) };
        if !self.is_open {
            return push(row);
        }
        self.bytes += row.text.len() as u64;
        if self.bytes > MAX_ROW_BYTES {
            return Err(bad_row(file, row.line, BadRow::TooLong { bytes: self.bytes }));
        }
        self.rows.push(row);
        Ok(())
    }

    fn end(&mut self, push: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let Self { rows, .. } = std::mem::take(self);
        let texts: Vec<_> = rows.iter().map(|row| row.text.as_str()).collect();
        let name = text_id(&texts.join("\n"));
        rows.into_iter().try_for_each(|row| {
            let group = row.group.clone().unwrap_or_else(|| name.clone());
            push(Row { group: Some(group), ..row })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Encoding;
    use super::super::format::{FileFormat, RowFormat};
    use super::super::row::Columns;
    use super::super::tag::Scheme;
    use super::*;
    use crate::read::format::Compression;

    fn reader(columns: Tokens) -> RowReader {
        let named = Columns {
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            group: None,
            id: None,
        };
        RowReader {
            columns: named,
            encoding: Encoding::Utf8,
            delimiter: None,
            tokens: Some(columns),
        }
    }

    fn read(reader: &RowReader, text: &str) -> Result<Vec<Row>> {
        let decoder = Decoder::new(text.as_bytes(), Compression::Plain).unwrap();
        let format = FileFormat { rows: RowFormat::Conll, compression: Compression::Plain };
        let mut rows = Vec::new();
        reader.read(decoder, &format, "a.conll", |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn blank_lines_end_sentences_and_docstart_lines_begin_groups() {
        let text = "-DOCSTART- -X- O\r\n\r\nAda NNP I-PER\r\nL. NNP I-PER\r\n \r\nwrote VB O\r\n-DOCSTART- -X- O\nso RB O";
        let rows = read(&reader(Tokens::default()), text).unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.line, row.text.as_str())).collect();
        assert_eq!(found, [(Some(3), "Ada L."), (Some(6), "wrote"), (Some(8), "so")]);
        assert_eq!(rows[0].tags, ["B-PER", "I-PER"]);
        let groups: Vec<_> = rows.iter().map(|row| row.group.clone().unwrap()).collect();
        assert_eq!(groups, [text_id("Ada L.\nwrote"), text_id("Ada L.\nwrote"), text_id("so")]);
    }

    #[test]
    fn columns_are_found_by_name_or_place() {
        let text = "O\t7\tNew York\t_\nB-LOC\t7\tRiga\t_\n";
        let place = |place| Some(Column::Place(std::num::NonZeroUsize::new(place).unwrap()));
        let by_place = Tokens { tokens: place(3), tags: place(1), ..Tokens::default() };
        let rows = read(&reader(by_place), text).unwrap();
        assert_eq!((&rows[0].tokens[0], &rows[0].tags[1]), (&"New York".into(), &"B-LOC".into()));
        let name = |name: &str| Some(Column::Name(name.into()));
        let names = ["ner", "doc", "word", "_"].map(String::from).to_vec();
        let by_name =
            Tokens { tokens: name("word"), tags: name("ner"), names: Some(names), scheme: None };
        let mut reader = reader(by_name);
        reader.columns.group = Some("doc".into());
        let rows = read(&reader, text).unwrap();
        assert_eq!((rows[0].tokens.len(), rows[0].group.as_deref()), (2, Some("7")));
    }

    #[track_caller]
    fn check_error(columns: Tokens, text: &str, expected: &str) {
        assert_eq!(read(&reader(columns), text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_name_file_and_line() {
        let plain = Tokens::default;
        check_error(
            plain(),
            "a NN O\n\nb NN\n",
            "a.conll:3: 2 columns, expected 3 as on the lines before",
        );
        check_error(
            plain(),
            "a O\nb X-PER\n",
            "a.conll:2: the tag `X-PER`, expected `O`, or `B-`, `I-`, `E-` or `S-` and a type, such as `B-PER`",
        );
        check_error(
            plain(),
            "a\n",
            "a.conll:1: 1 columns, expected one for tokens and another for tags",
        );
        check_error(
            plain(),
            "a\tO\n\tO\n",
            "a.conll:2: an empty token, expected one on every line",
        );
        let strict = |scheme| Tokens { scheme: Some(scheme), ..Tokens::default() };
        check_error(
            strict(Scheme::Iob2),
            "a O\nb I-PER\n",
            "a.conll:2: the tag `I-PER` behind `O`, which `iob2` does not have (without `scheme`, it is read as \
             conlleval does)",
        );
        check_error(
            strict(Scheme::Bioes),
            "a B-PER\n\nb O\n",
            "a.conll:1: the end of the sentence behind `B-PER`, which `bioes` does not have (without `scheme`, it is \
             read as conlleval does)",
        );
        let name = Tokens { tags: Some(Column::Name("ner".into())), ..Tokens::default() };
        check_error(
            name,
            "a O\n",
            "a.conll: no column `ner`; found 2 columns without names; `columns` names them",
        );
        let place = Column::Place(std::num::NonZeroUsize::new(4).unwrap());
        check_error(
            Tokens { tags: Some(place), ..Tokens::default() },
            "a O\n",
            "a.conll:1: 2 columns, expected at least 4",
        );
    }
}
