//! Rows of labelled files, one at a time.

use super::config::{Column, Encoding};
use super::format::{FileFormat, RowFormat};
use super::tag::{self, BadTag, Scheme};
use crate::error::{Error, Result};
use crate::read::csv::BadCsv;
use crate::read::decompress::{Decoder, Fault};
use crate::read::raw::{Cut, MAX_ROW_BYTES, RawContent, RawRecords};
use crate::read::record::{INEXACT, Unreadable, broken_json, exact_name, type_of};
use crate::read::{InvalidUtf8, Place, utf8};
use serde::Serialize;
use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;

/// Names of the columns or fields that a row is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// The text.
    pub text: String,
    /// The second text.
    pub text_pair: Option<String>,
    /// The label.
    pub label: String,
    /// What makes rows depend on each other.
    pub group: Option<String>,
    /// The row's own name.
    pub id: Option<String>,
}

/// Where tokens and their tags stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// The tokens; `None`: the field `tokens`, or the first column.
    pub tokens: Option<Column>,
    /// Their tags; `None`: the field `tags`, or the last column.
    pub tags: Option<Column>,
    /// Names of the columns of CoNLL files.
    pub names: Option<Vec<String>>,
    /// The scheme that tags must obey.
    pub scheme: Option<Scheme>,
}

/// A row as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its first line in the file, from 1; `None` where the file is the row.
    pub line: Option<u64>,
    /// The text.
    pub text: String,
    /// The second text.
    pub text_pair: Option<String>,
    /// The label; empty where tokens carry tags.
    pub label: String,
    /// What makes rows depend on each other.
    pub group: Option<String>,
    /// The row's own name.
    pub id: Option<String>,
    /// The tokens, where they carry tags.
    pub tokens: Vec<String>,
    /// Their tags in IOB2.
    pub tags: Vec<String>,
    /// The schemes that allow the tags as they were found.
    pub schemes: BTreeSet<Scheme>,
}

/// Why a row is no example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// It has no text or no label.
    #[error("no {what} in `{column}`, expected one in every row")]
    Missing {
        /// `text`, `second text` or `label`.
        what: &'static str,
        /// Where it should stand.
        column: String,
    },
    /// A line has a label only.
    #[error("no {delimiter:?} behind the label, expected a label, {delimiter:?} and a text")]
    NoDelimiter {
        /// What should stand between label and text.
        delimiter: char,
    },
    /// A row of CSV is none.
    #[error(transparent)]
    Csv(#[from] BadCsv),
    /// A line is no JSON object.
    #[error(transparent)]
    NotAnObject(Unreadable),
    /// A field of a JSON object is of the wrong type.
    #[error("field `{field}` is {found}, expected a string or a number")]
    WrongType {
        /// The field.
        field: String,
        /// The type that is there.
        found: &'static str,
    },
    /// A group, a name or a label is a number that is not read as it is written.
    #[error("field `{field}` is {INEXACT}")]
    InexactNumber {
        /// The field.
        field: String,
    },
    /// A line of tokens has too few or too many columns.
    #[error("{found} columns, expected {expected}")]
    NumColumns {
        /// Columns of the line.
        found: usize,
        /// How many there should be.
        expected: String,
    },
    /// A token is empty.
    #[error("an empty token, expected one on every line")]
    EmptyToken,
    /// There are more tokens than tags, or fewer.
    #[error("{tokens} tokens and {tags} tags, expected at least one token and a tag for each")]
    UnequalLists {
        /// How many tokens.
        tokens: usize,
        /// How many tags.
        tags: usize,
    },
    /// A field of a JSON object is no list of strings.
    #[error("field `{field}` {found}, expected a list of strings")]
    NotAList {
        /// The field.
        field: String,
        /// What is there.
        found: String,
    },
    /// A tag marks no entity.
    #[error(
        "the tag `{tag}`, expected `O`, or `B-`, `I-`, `E-` or `S-` and a type, such as `B-PER`"
    )]
    UnknownTag {
        /// The tag.
        tag: String,
    },
    /// A tag stands where the scheme that the manifest names does not have it.
    #[error(
        "{tag} behind {before}, which `{scheme}` does not have (without `scheme`, it is read as conlleval does)"
    )]
    TagNotAllowed {
        /// The tag.
        tag: String,
        /// What stands before it.
        before: String,
        /// The scheme.
        scheme: Scheme,
    },
    /// A byte is not UTF-8.
    #[error("byte 0x{byte:02x}, expected UTF-8 (is it `encoding = \"latin-1\"`?)")]
    InvalidUtf8 {
        /// The byte.
        byte: u8,
    },
    /// A line or file is longer than a row may be.
    #[error("{bytes} bytes, expected at most {MAX_ROW_BYTES}")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// The compressed stream is cut or corrupt.
    #[error(transparent)]
    BrokenStream(Fault),
}

/// Reads labelled files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowReader {
    /// Names of columns or fields.
    pub columns: Columns,
    /// How characters are written as bytes.
    pub encoding: Encoding,
    /// What stands between fields; `None` for the format's own.
    pub delimiter: Option<char>,
    /// Where tokens and tags stand, if rows have them in place of a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

impl RowReader {
    /// Gives the rows of a decoded file to `push`, in order, and says how many lines begin a document of several rows.
    ///
    /// # Errors
    /// [`Error::BadRow`] and [`Error::MissingColumn`] with file and line, and what `push` fails with.
    pub fn read(
        &self,
        decoder: Decoder<'_>,
        format: &FileFormat,
        file: &str,
        mut push: impl FnMut(Row) -> Result<()>,
    ) -> Result<u64> {
        match &format.rows {
            RowFormat::Conll => {
                let tokens = self.tokens.clone().unwrap_or_default();
                return self.conll(decoder, &tokens, file, &mut push);
            }
            // It is not a stream of bytes; see `RowReader::parquet`.
            RowFormat::Parquet => Ok(()),
            RowFormat::Csv => self.csv(decoder, self.delimiter.unwrap_or(','), file, &mut push),
            RowFormat::Tsv => self.csv(decoder, self.delimiter.unwrap_or('\t'), file, &mut push),
            RowFormat::Jsonl => {
                self.records(decoder, Cut::Lines, file, &mut push, |text| self.object(text))
            }
            RowFormat::LabelText => {
                self.records(decoder, Cut::Lines, file, &mut push, |text| self.label_text(text))
            }
            RowFormat::Folder(label) => {
                self.records(decoder, Cut::Whole, file, &mut push, |text| {
                    self.checked(Row { text: text.into(), label: label.clone(), ..Row::default() })
                })
            }
        }
        .map(|()| 0)
    }

    fn records(
        &self,
        decoder: Decoder<'_>,
        cut: Cut,
        file: &str,
        push: &mut dyn FnMut(Row) -> Result<()>,
        parse: impl Fn(&str) -> Result<Row, BadRow>,
    ) -> Result<()> {
        for record in RawRecords::new(decoder, cut, MAX_ROW_BYTES) {
            let record = record.map_err(|source| Error::Io { file: file.to_owned(), source })?;
            let line = record.line;
            let row = self.content(record.content).and_then(|text| parse(&text));
            let row = row.map_err(|problem| bad_row(file, line, problem))?;
            push(Row { line, ..row })?;
        }
        Ok(())
    }

    pub(super) fn content(&self, content: RawContent) -> Result<String, BadRow> {
        match content {
            RawContent::Whole(bytes) => self.decode(&bytes),
            RawContent::TooLong { bytes } => Err(BadRow::TooLong { bytes }),
            RawContent::Broken(fault) => Err(BadRow::BrokenStream(fault)),
        }
    }

    /// The text of `bytes` in the file's encoding.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<String, BadRow> {
        match self.encoding {
            Encoding::Latin1 => Ok(bytes.iter().copied().map(char::from).collect()),
            Encoding::Utf8 => utf8::decode(bytes.to_vec(), InvalidUtf8::Refuse)
                .map(|(text, _)| text)
                .map_err(|invalid| BadRow::InvalidUtf8 { byte: invalid.byte }),
        }
    }

    fn label_text(&self, line: &str) -> Result<Row, BadRow> {
        let delimiter = self.delimiter.unwrap_or(' ');
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (label, text) = line.split_once(delimiter).ok_or(BadRow::NoDelimiter { delimiter })?;
        self.checked(Row { text: text.into(), label: label.into(), ..Row::default() })
    }

    fn object(&self, line: &str) -> Result<Row, BadRow> {
        let object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            Ok(other) => {
                return Err(BadRow::NotAnObject(Unreadable::NotAnObject {
                    found: type_of(&other),
                }));
            }
            Err(error) => return Err(BadRow::NotAnObject(broken_json(&error))),
        };
        self.fields(&object)
    }

    /// A row of named values.
    pub(super) fn fields(&self, object: &Map<String, Value>) -> Result<Row, BadRow> {
        let text = |name: &String| field(object, name, exact);
        let maybe_text = |name: &Option<String>| name.as_ref().map_or(Ok(None), text);
        let name = |name: &Option<String>| {
            name.as_ref().map_or(Ok(None), |name| field(object, name, exact_name))
        };
        let filled = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        let (group, id) = (name(&self.columns.group)?, name(&self.columns.id)?);
        if let Some(columns) = &self.tokens {
            return Ok(Row { group: filled(group), id: filled(id), ..columns.object(object)? });
        }
        self.checked(Row {
            text: text(&self.columns.text)?.unwrap_or_default(),
            text_pair: maybe_text(&self.columns.text_pair)?,
            label: text(&self.columns.label)?.unwrap_or_default(),
            group,
            id,
            ..Row::default()
        })
    }

    /// A row with a text and a label; empty groups and names are none.
    pub(super) fn checked(&self, row: Row) -> Result<Row, BadRow> {
        let missing = |what, column: &str| Err(BadRow::Missing { what, column: column.into() });
        if row.text.trim().is_empty() {
            return missing("text", &self.columns.text);
        }
        if row.label.trim().is_empty() {
            return missing("label", &self.columns.label);
        }
        match &self.columns.text_pair {
            Some(column) if row.text_pair.as_deref().unwrap_or_default().trim().is_empty() => {
                return missing("second text", column);
            }
            _ => {}
        }
        let filled = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        let (group, id) = (filled(row.group), filled(row.id));
        Ok(Row { label: row.label.trim().into(), group, id, ..row })
    }
}

impl Tokens {
    /// A row of tokens and the tags that were found; its text is the tokens with a blank between them.
    ///
    /// # Errors
    /// What is wrong, and at which token, from 0.
    pub(super) fn row(
        &self,
        tokens: Vec<String>,
        tags: Vec<String>,
    ) -> Result<Row, (usize, BadRow)> {
        if tokens.is_empty() || tokens.len() != tags.len() {
            return Err((0, BadRow::UnequalLists { tokens: tokens.len(), tags: tags.len() }));
        }
        if let Some(at) = tokens.iter().position(String::is_empty) {
            return Err((at, BadRow::EmptyToken));
        }
        let tagged =
            tag::to_iob2(&tags, self.scheme).map_err(|error| self.bad_tag(&tags, error))?;
        let (text, schemes) = (tokens.join(" "), tagged.schemes);
        Ok(Row { text, tokens, tags: tagged.tags, schemes, ..Row::default() })
    }

    fn bad_tag(&self, tags: &[String], error: BadTag) -> (usize, BadRow) {
        match (error, self.scheme) {
            (BadTag::NotAllowed(at), Some(scheme)) => {
                let before = at.checked_sub(1).map(|before| format!("`{}`", tags[before]));
                let before = before.unwrap_or_else(|| "the start of the sentence".into());
                let tag = tags.get(at).map(|tag| format!("the tag `{tag}`"));
                let tag = tag.unwrap_or_else(|| "the end of the sentence".into());
                (at, BadRow::TagNotAllowed { tag, before, scheme })
            }
            (BadTag::Unknown(at) | BadTag::NotAllowed(at), _) => {
                (at, BadRow::UnknownTag { tag: tags[at].clone() })
            }
        }
    }

    fn object(&self, object: &Map<String, Value>) -> Result<Row, BadRow> {
        let list = |column: &Option<Column>, default: &str| match column {
            Some(Column::Name(name)) => strings(object, name),
            _ => strings(object, default),
        };
        let (tokens, tags) = (list(&self.tokens, "tokens")?, list(&self.tags, "tags")?);
        self.row(tokens, tags).map_err(|(_, problem)| problem)
    }
}

fn strings(object: &Map<String, Value>, name: &str) -> Result<Vec<String>, BadRow> {
    let wrong = |found: String| BadRow::NotAList { field: name.into(), found };
    let items = match object.get(name) {
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(format!("is {}", type_of(other)))),
        None => return Err(wrong("is missing".into())),
    };
    let item = |(at, item): (usize, &Value)| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(format!("has {} as item {}", type_of(other), at + 1))),
    };
    items.iter().enumerate().map(item).collect()
}

/// A number as a text or label. `None` if it is so large that it is rounded when it is read.
fn exact(number: &Number) -> Option<String> {
    /// Up to here every whole number is a float of its own.
    const MAX: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    let is_small = number.as_f64().is_some_and(|number| number.abs() < MAX);
    if is_small { Some(number.to_string()) } else { exact_name(number) }
}

fn field(
    object: &Map<String, Value>,
    name: &str,
    exact: fn(&Number) -> Option<String>,
) -> Result<Option<String>, BadRow> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => match exact(number) {
            Some(number) => Ok(Some(number)),
            None => Err(BadRow::InexactNumber { field: name.into() }),
        },
        Some(other) => Err(BadRow::WrongType { field: name.into(), found: type_of(other) }),
    }
}

/// The error of a row of `file`.
pub(super) fn bad_row(file: &str, line: Option<u64>, problem: BadRow) -> Error {
    Error::BadRow { place: Place { file: file.into(), base: 0, line }, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::format::Compression;
    use std::path::Path;

    fn reader() -> RowReader {
        let columns = Columns {
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            group: Some("group".into()),
            id: Some("id".into()),
        };
        RowReader { columns, encoding: Encoding::Utf8, delimiter: None, tokens: None }
    }

    fn read(reader: &RowReader, file: &str, format: RowFormat, bytes: &[u8]) -> Result<Vec<Row>> {
        let decoder = Decoder::new(bytes, Compression::Plain).unwrap();
        let format = FileFormat { rows: format, compression: Compression::Plain };
        let mut rows = Vec::new();
        reader.read(decoder, &format, file, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    fn row(line: u64, text: &str, label: &str, group: Option<&str>, id: Option<&str>) -> Row {
        let [group, id] = [group, id].map(|value| value.map(String::from));
        Row {
            line: Some(line),
            text: text.into(),
            label: label.into(),
            group,
            id,
            ..Row::default()
        }
    }

    #[test]
    fn csv_fields_may_hold_line_ends_quotes_and_delimiters() {
        let bytes = b"\xef\xbb\xbfid,label,text,group,other\r\n1,yes,\"a, \"\"b\"\"\nc\",g,x\r\n\r\n2, no ,d,,\n";
        let rows = read(&reader(), "a.csv", RowFormat::Csv, bytes).unwrap();
        let expected = [
            row(2, "a, \"b\"\nc", "yes", Some("g"), Some("1")),
            row(5, "d", "no", None, Some("2")),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn jsonl_labels_may_be_numbers() {
        let bytes = b"{\"text\":\"a\",\"label\":1,\"group\":null,\"id\":7}\n\n{\"label\":\"x\",\"text\":\"b\"}";
        let rows = read(&reader(), "a.jsonl", RowFormat::Jsonl, bytes).unwrap();
        assert_eq!(rows, [row(1, "a", "1", None, Some("7")), row(3, "b", "x", None, None)]);
    }

    #[test]
    fn numbers_are_names_if_they_are_exact() {
        let line = |group: &str, label: &str| {
            let line = format!(r#"{{"text":"a","label":{label},"group":{group}}}"#);
            let rows = read(&reader(), "a.jsonl", RowFormat::Jsonl, line.as_bytes());
            let row = rows.map_err(|error| error.to_string())?.remove(0);
            Ok((row.group.unwrap(), row.label))
        };
        let name = |group: &str, label: &str| Ok((group.to_owned(), label.to_owned()));
        let (least, most) = ("-9223372036854775808", "18446744073709551615");
        assert_eq!(line(least, most), name(least, most));
        assert_eq!(line("7", "0.5"), name("7", "0.5"));
        let refused = |field: &str| {
            Err(format!(
                "a.jsonl:1: field `{field}` is a number with a fraction or of more than 64 bits, \
                 expected a whole one: write it as a string"
            ))
        };
        for number in ["18446744073709551616", "18446744073709551617", "-9223372036854775809"] {
            assert_eq!(line(number, "1"), refused("group"));
            assert_eq!(line("1", number), refused("label"));
        }
        assert_eq!(line("1.5", "1"), refused("group"));
    }

    #[test]
    fn the_first_delimiter_ends_the_label() {
        let rows = read(&reader(), "a", RowFormat::LabelText, b"1 two words\r\n0  b\n").unwrap();
        assert_eq!(rows, [row(1, "two words", "1", None, None), row(2, " b", "0", None, None)]);
        let tabs = RowReader { delimiter: Some('\t'), ..reader() };
        let rows = read(&tabs, "a", RowFormat::LabelText, b"very good\ttext\there\n").unwrap();
        assert_eq!(rows, [row(1, "text\there", "very good", None, None)]);
    }

    #[test]
    fn a_file_of_a_folder_is_a_row() {
        let rows = read(&reader(), "spam/1", RowFormat::Folder("spam".into()), b"a\nb\n").unwrap();
        assert_eq!(rows, [Row { line: None, ..row(0, "a\nb\n", "spam", None, None) }]);
    }

    #[test]
    fn latin_1_bytes_are_characters() {
        let latin = RowReader { encoding: Encoding::Latin1, ..reader() };
        let rows = read(&latin, "a", RowFormat::LabelText, b"x caf\xe9\n").unwrap();
        assert_eq!(rows[0].text, "café");
        let columns = Columns { text: "Größe".into(), group: None, id: None, ..latin.columns };
        let named = RowReader { columns, ..latin };
        let rows =
            read(&named, "a.csv", RowFormat::Csv, b"Gr\xf6\xdfe,label\ncaf\xe9,x\n").unwrap();
        assert_eq!((&*rows[0].text, &*rows[0].label), ("café", "x"));
    }

    #[test]
    fn lists_of_tokens_and_tags_are_rows() {
        let tagged = RowReader { tokens: Some(Tokens::default()), ..reader() };
        let bytes = br#"{"tokens":["a","b"],"tags":["I-X","O"],"group":"g","id":3}"#;
        let rows = read(&tagged, "a.jsonl", RowFormat::Jsonl, bytes).unwrap();
        let (tokens, tags) = (["a", "b"].map(String::from), ["B-X", "O"].map(String::from));
        let schemes = BTreeSet::from([Scheme::Iob1]);
        let expected = Row {
            tokens: tokens.to_vec(),
            tags: tags.to_vec(),
            schemes,
            ..row(1, "a b", "", Some("g"), Some("3"))
        };
        assert_eq!(rows, [expected]);
        let check = |line: &str, expected: &str| {
            let error = read(&tagged, "a.jsonl", RowFormat::Jsonl, line.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), format!("a.jsonl:1: {expected}"));
        };
        check(
            r#"{"tokens":["a","b"],"tags":["O"]}"#,
            "2 tokens and 1 tags, expected at least one token and a tag for each",
        );
        check(
            r#"{"tokens":["a"],"tags":[0]}"#,
            "field `tags` has a number as item 1, expected a list of strings",
        );
        check(r#"{"tags":[]}"#, "field `tokens` is missing, expected a list of strings");
    }

    #[track_caller]
    fn check_error(name: &str, bytes: &[u8], expected: &str) {
        let format = FileFormat::of(Path::new(name), None)
            .map_or(RowFormat::LabelText, |format| format.rows);
        assert_eq!(read(&reader(), name, format, bytes).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_name_file_and_line() {
        check_error(
            "a.csv",
            b"id,text,group\n",
            "a.csv: no column `label`; found `id`, `text`, `group`",
        );
        check_error(
            "a.csv",
            b"id,text,label,group\n1,a,x,\n2,,x,\n",
            "a.csv:3: no text in `text`, expected one in every row",
        );
        check_error(
            "a.csv",
            b"id,text,label,group\n1,\"a\nb\",\"\",\n",
            "a.csv:2: no label in `label`, expected one in every row",
        );
        check_error(
            "a.csv",
            b"id,text,label,group\n1,a,x\n",
            "a.csv:2: 3 fields, expected 4 as in the header; is a quote missing?",
        );
        check_error(
            "a.csv",
            b"id,text,label,group\n1,caf\xe9,x,\n",
            "a.csv:2: byte 0xe9, expected UTF-8 (is it `encoding = \"latin-1\"`?)",
        );
        check_error(
            "a.csv",
            b"id,text,label,caf\xe9\n",
            "a.csv:1: byte 0xe9, expected UTF-8 (is it `encoding = \"latin-1\"`?)",
        );
        check_error(
            "a.csv",
            b"id,text,label,group,n,n\n",
            "a.csv: two columns `n`, expected different names; found `id`, `text`, `label`, `group`, `n`, `n`",
        );
        check_error(
            "a.csv",
            b"group,id,label,text\n,1,x,\"a\"\n,2,x,\"not closed\n,3,x,b\n,4,x,\"c\"\n,5,x,\"d\"\n",
            "a.csv:3: a stray quote on line 5: a closing quote with text behind it, expected a delimiter or the end of \
             the row (is an earlier quote not closed? within a quoted field, a quote is written twice)",
        );
        check_error(
            "a.csv",
            b"group,id,label,text\n,1,x,a\n,2,y,\"b\n,3,x,c\n,4,y,d\n",
            "a.csv:3: a quoted field that does not end, expected a closing quote",
        );
        check_error(
            "a.jsonl",
            b"{\"text\":\"a\",\"label\":[1]}",
            "a.jsonl:1: field `label` is an array, expected a string or a number",
        );
        check_error(
            "a.label",
            b"x a\ny\n",
            "a.label:2: no ' ' behind the label, expected a label, ' ' and a text",
        );
    }
}
