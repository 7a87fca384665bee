//! Raw records to documents: what is kept of a JSON object or a file.

use super::csv::BadCsv;
use super::decompress::Fault;
use super::format::Syntax;
use super::html::{self, BadPage, Page};
use super::json::BadValue;
use super::mediawiki::{self, BadDump};
use super::raw::RawContent;
use super::records::{Content, Found};
use super::skip::Skipped;
use super::utf8::{self, InvalidByte, InvalidUtf8};
use super::warc::{BadPayload, BadWarc};
use ::csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8};
use pipelines::key::canonical;
use pipelines::size::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use std::collections::BTreeSet;

/// Names of the fields of a JSON record, or of columns, that have columns of their own. All others are kept in `metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The text: a string, in every record.
    pub text: String,
    /// A name of the record, kept as `source_id`: a string or a whole number.
    pub id: String,
    /// Where the record comes from: a string.
    pub source: String,
    /// Its address: a string.
    pub url: String,
    /// Its language: a string.
    pub lang: String,
}

impl Default for Fields {
    fn default() -> Self {
        let [text, id, source, url, lang] =
            ["text", "id", "source", "url", "lang"].map(String::from);
        Self { text, id, source, url, lang }
    }
}

/// One record as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The text.
    pub text: String,
    /// The record's own name.
    pub source_id: Option<String>,
    /// Where it comes from.
    pub source: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// Its language.
    pub lang: Option<String>,
    /// All other fields, as JSON with sorted keys; `None` if there are none.
    pub metadata: Option<String>,
    /// Bytes of the record that were no UTF-8 and became U+FFFD.
    pub replaced_bytes: u64,
}

/// What became of a record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// It has a text.
    Record(Record),
    /// It is no document.
    Skipped(Skipped),
    /// It cannot be read.
    Unreadable(Unreadable),
}

impl From<Result<Record, Unreadable>> for Parsed {
    fn from(read: Result<Record, Unreadable>) -> Self {
        match read {
            Ok(record) => Self::Record(record),
            Err(problem) => Self::Unreadable(problem),
        }
    }
}

/// Why a record cannot be read. It holds nothing of the record's content but the names of its fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The line is no JSON object.
    #[error("found {found}, expected one JSON object a line")]
    NotAnObject {
        /// What is there.
        found: &'static str,
    },
    /// The line is no JSON.
    #[error("found broken JSON at column {column} ({message}), expected one JSON object a line")]
    BrokenJson {
        /// The first byte that is wrong, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The object has no text.
    #[error("no field `{field}`; found {}", names(found))]
    NoText {
        /// The field that should hold the text.
        field: String,
        /// The fields that are there.
        found: Vec<String>,
    },
    /// The text is no string.
    #[error("field `{field}` is {found}, expected a string")]
    TextNotAString {
        /// The field that should hold the text.
        field: String,
        /// The type that is there.
        found: &'static str,
    },
    /// The name of the record is a number that is not read as it is written.
    #[error("field `{field}` is {INEXACT}")]
    InexactName {
        /// The field.
        field: String,
    },
    /// A value of Parquet cannot be kept.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// The record is longer than the config allows.
    #[error("a record of {found} bytes, expected at most {expected} (`max_record_bytes`)")]
    TooLong {
        /// Its length in bytes.
        found: u64,
        /// The bound.
        expected: u64,
    },
    /// A text of raw bytes is not UTF-8.
    #[error(
        "field `{field}` has the byte 0x{byte:02x}, expected UTF-8 \
         (`invalid_utf8 = \"repair\"` replaces such bytes by U+FFFD)"
    )]
    TextNotUtf8 {
        /// The field.
        field: String,
        /// The byte.
        byte: u8,
    },
    /// A row is longer than rows may be.
    #[error("a row of {found} bytes, expected at most {expected}")]
    RowTooLong {
        /// Its length in bytes.
        found: u64,
        /// The bound.
        expected: u64,
    },
    /// A row is not UTF-8.
    #[error("the byte 0x{byte:02x}, expected UTF-8")]
    NotUtf8 {
        /// The byte.
        byte: u8,
    },
    /// A field of a row is not UTF-8.
    #[error("field `{field}` has the byte 0x{byte:02x}, expected UTF-8")]
    FieldNotUtf8 {
        /// The field.
        field: String,
        /// The byte.
        byte: u8,
    },
    /// A file begins as UTF-16 does.
    #[error("found the byte-order mark of UTF-16, expected UTF-8")]
    Utf16,
    /// Words are no list of strings.
    #[error("field `{field}` is {found}, expected a list of strings")]
    NotAListOfStrings {
        /// The field that should hold the words.
        field: String,
        /// What is there.
        found: String,
    },
    /// The name of a row is none.
    #[error("field `{field}` is {found}, expected a string or a number")]
    NotAName {
        /// The field that should hold the name.
        field: String,
        /// The type that is there.
        found: &'static str,
    },
    /// A row of CSV is none.
    #[error(transparent)]
    Csv(BadCsv),
    /// A page is not to be read.
    #[error(transparent)]
    Page(BadPage),
    /// Rows of a Parquet file cannot be read.
    #[error("row group {row_group} is damaged ({message}); its {rows} rows from here on are lost")]
    DamagedRowGroup {
        /// Which, from 0.
        row_group: usize,
        /// How many of its rows are lost.
        rows: u64,
        /// What the parser says.
        message: String,
    },
    /// A record of a WARC file cannot be told from what follows it.
    #[error("{problem}; {lost} bytes from here on are lost")]
    Warc {
        /// Why.
        problem: BadWarc,
        /// Decoded bytes up to where reading goes on.
        lost: u64,
    },
    /// What a record of a WARC file holds cannot be read.
    #[error(transparent)]
    Payload(BadPayload),
    /// A stretch of a dump of MediaWiki holds no page.
    #[error("{problem}; {lost} bytes from here on are lost")]
    Dump {
        /// Why.
        problem: BadDump,
        /// Decoded bytes up to where reading goes on.
        lost: u64,
    },
    /// A page of a dump of MediaWiki cannot be read.
    #[error(transparent)]
    WikiPage(mediawiki::BadPage),
    /// The compressed stream is cut or corrupt.
    #[error("{}", broken(&fault.to_string(), fault, *decoded_offset))]
    BrokenStream {
        /// Where it breaks.
        fault: Fault,
        /// First decoded byte of the span that is lost.
        decoded_offset: u64,
    },
}

impl Unreadable {
    /// A word for counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotAnObject { .. } | Self::BrokenJson { .. } => "not_an_object",
            Self::NoText { .. } => "no_text",
            Self::TextNotAString { .. } => "text_not_a_string",
            Self::InexactName { .. } => "inexact_name",
            Self::Value(_) => "bad_value",
            Self::TooLong { .. } | Self::RowTooLong { .. } => "record_too_long",
            Self::TextNotUtf8 { .. } => "text_not_utf8",
            Self::NotUtf8 { .. } | Self::FieldNotUtf8 { .. } | Self::Utf16 => "not_utf8",
            Self::NotAListOfStrings { .. } => "not_a_list_of_strings",
            Self::NotAName { .. } => "not_a_name",
            Self::Csv(_) => "bad_csv",
            Self::Page(_) => "bad_page",
            Self::DamagedRowGroup { .. } => "damaged_row_group",
            Self::Warc { .. } => "bad_warc",
            Self::Payload(_) => "bad_payload",
            Self::Dump { .. } => "bad_dump",
            Self::WikiPage(_) => "bad_wiki_page",
            Self::BrokenStream { .. } => "broken_stream",
        }
    }

    /// Why, for tables: without the words of parsers, which may change with their versions.
    pub fn reason(&self) -> String {
        match self {
            Self::BrokenJson { column, .. } => {
                format!("found broken JSON at column {column}, expected one JSON object a line")
            }
            Self::Page(BadPage::GaveUp { .. }) => "the extractor of main text gave up".to_owned(),
            Self::DamagedRowGroup { row_group, rows, .. } => {
                format!("row group {row_group} is damaged; its {rows} rows from here on are lost")
            }
            Self::BrokenStream { fault, decoded_offset } => {
                broken(&fault.reason(), fault, *decoded_offset)
            }
            Self::Csv(BadCsv::Broken(fault)) => fault.reason(),
            other => other.to_string(),
        }
    }
}

fn broken(reason: &str, fault: &Fault, decoded_offset: u64) -> String {
    let lost = match fault.resumed {
        Some(resumed) => format!("up to compressed byte {resumed}"),
        None => "on".to_owned(),
    };
    format!("{reason}; the records from decoded byte {decoded_offset} {lost} are lost")
}

fn names(found: &[String]) -> String {
    if found.is_empty() { "no fields".into() } else { format!("`{}`", found.join("`, `")) }
}

/// How records are parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parser {
    /// The fields of JSON records.
    pub fields: Fields,
    /// What happens to bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// Longest record, in bytes.
    pub max_record_bytes: ByteSize,
    /// What stands between the fields of CSV; `None` for the format's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Namespaces of MediaWiki whose pages are read.
    #[serde(skip_serializing_if = "is_articles_alone")]
    pub namespaces: BTreeSet<i64>,
}

/// The namespace of articles.
pub fn articles() -> BTreeSet<i64> {
    BTreeSet::from([0])
}

fn is_articles_alone(namespaces: &BTreeSet<i64>) -> bool {
    *namespaces == articles()
}

impl Parser {
    /// Parses one record of a file of `syntax`.
    ///
    /// # Errors
    /// [`InvalidByte`] where invalid UTF-8 is refused; its offset is from the start of the record.
    pub fn parse(&self, found: Found, syntax: Syntax) -> Result<Parsed, InvalidByte> {
        let expected = self.max_record_bytes.0;
        let unreadable = |problem| Ok(Parsed::Unreadable(problem));
        match found.content {
            Content::Bytes(RawContent::Whole(bytes)) => {
                self.bytes(bytes, syntax, found.offset).map(Parsed::from)
            }
            Content::Bytes(RawContent::TooLong { bytes }) => {
                unreadable(Unreadable::TooLong { found: bytes, expected })
            }
            Content::Bytes(RawContent::Broken(fault)) => {
                unreadable(Unreadable::BrokenStream { fault, decoded_offset: found.offset })
            }
            Content::Cells { header, cells } => self.cells(&header, &cells).map(Parsed::Record),
            Content::Parsed(record) => Ok(Parsed::Record(*record)),
            Content::Warc(entry) => entry.parse(expected, self.invalid_utf8),
            Content::Page(page) => page.parse(&self.namespaces, self.invalid_utf8),
            Content::Skipped(skipped) => Ok(Parsed::Skipped(*skipped)),
            Content::Bad(problem) => unreadable(problem),
        }
    }

    /// A line, or a file, which begins at decoded byte `offset`.
    fn bytes(
        &self,
        bytes: Vec<u8>,
        syntax: Syntax,
        offset: u64,
    ) -> Result<Result<Record, Unreadable>, InvalidByte> {
        if syntax == Syntax::Html {
            return Ok(page(&bytes, (offset > 0).then_some(UTF_8)));
        }
        let (text, replaced_bytes) = utf8::decode(bytes, self.invalid_utf8)?;
        let record = match syntax {
            Syntax::Jsonl => self.object(&text),
            _ => Ok(Record { text, ..Record::default() }),
        };
        Ok(record.map(|record| Record { replaced_bytes, ..record }))
    }

    /// A row of CSV; empty fields but for the text say nothing and are left out.
    fn cells(&self, header: &[String], cells: &ByteRecord) -> Result<Record, InvalidByte> {
        let Fields { text, id, source, url, lang } = &self.fields;
        let (mut record, mut metadata) = (Record::default(), Map::new());
        for (name, cell) in header.iter().zip(cells) {
            let (value, replaced) = utf8::decode(cell.to_vec(), self.invalid_utf8)
                .map_err(|invalid| InvalidByte { column: Some(name.clone()), ..invalid })?;
            record.replaced_bytes += replaced;
            match name {
                _ if name == text => record.text = value,
                _ if value.is_empty() => {}
                _ if name == id => record.source_id = Some(value),
                _ if name == source => record.source = Some(value),
                _ if name == url => record.url = Some(value),
                _ if name == lang => record.lang = Some(value),
                _ => drop(metadata.insert(name.clone(), Value::String(value))),
            }
        }
        let metadata = (!metadata.is_empty()).then(|| canonical(&Value::Object(metadata)));
        Ok(Record { metadata, ..record })
    }

    fn object(&self, line: &str) -> Result<Record, Unreadable> {
        let mut object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            Ok(other) => return Err(Unreadable::NotAnObject { found: type_of(&other) }),
            Err(error) => return Err(broken_json(&error)),
        };
        let field = &self.fields.text;
        let text = match object.remove(field) {
            Some(Value::String(text)) => text,
            Some(other) => {
                return Err(Unreadable::TextNotAString {
                    field: field.clone(),
                    found: type_of(&other),
                });
            }
            None => {
                let mut found: Vec<_> = object.into_iter().map(|(key, _)| key).collect();
                found.sort();
                return Err(Unreadable::NoText { field: field.clone(), found });
            }
        };
        Ok(Record {
            text,
            source_id: take_name(&mut object, &self.fields.id)?,
            source: take_string(&mut object, &self.fields.source),
            url: take_string(&mut object, &self.fields.url),
            lang: take_string(&mut object, &self.fields.lang),
            metadata: (!object.is_empty()).then(|| canonical(&Value::Object(object))),
            replaced_bytes: 0,
        })
    }
}

/// The main text of a page; its title is metadata.
fn page(bytes: &[u8], marked: Option<&'static Encoding>) -> Result<Record, Unreadable> {
    let Page { text, title, replaced_bytes } =
        html::read(bytes, marked, None).map_err(Unreadable::Page)?;
    let metadata = title.map(|title| canonical(&json!({ "title": title })));
    Ok(Record { text, metadata, replaced_bytes, ..Record::default() })
}

/// The type of a JSON value, for messages.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Says where a line stops being JSON, without the line number, which would always be 1.
pub fn broken_json(error: &serde_json::Error) -> Unreadable {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    Unreadable::BrokenJson { column: error.column(), message }
}

/// What a number is that [`exact_name`] refuses, for messages.
pub const INEXACT: &str =
    "a number with a fraction or of more than 64 bits, expected a whole one: write it as a string";

/// A number as a name. `None` if it is not whole or has more than 64 bits: such numbers are rounded when they are read,
/// and two of them may become one.
pub fn exact_name(number: &Number) -> Option<String> {
    (number.is_i64() || number.is_u64()).then(|| number.to_string())
}

fn take_string(object: &mut Map<String, Value>, field: &str) -> Option<String> {
    match object.remove(field)? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => {
            object.insert(field.to_owned(), other);
            None
        }
    }
}

fn take_name(object: &mut Map<String, Value>, field: &str) -> Result<Option<String>, Unreadable> {
    let Some(Value::Number(number)) = object.get(field) else {
        return Ok(take_string(object, field));
    };
    let name = exact_name(number);
    object.remove(field);
    name.map(Some).ok_or_else(|| Unreadable::InexactName { field: field.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Record, Unreadable> {
        let parser = Parser {
            fields: Fields::default(),
            invalid_utf8: InvalidUtf8::Refuse,
            max_record_bytes: ByteSize(100),
            delimiter: None,
            namespaces: articles(),
        };
        let content = Content::Bytes(RawContent::Whole(line.into()));
        let found = Found { line: Some(1), offset: 0, content };
        match parser.parse(found, Syntax::Jsonl).unwrap() {
            Parsed::Record(record) => Ok(record),
            Parsed::Unreadable(problem) => Err(problem),
            Parsed::Skipped(skipped) => panic!("{skipped:?}"),
        }
    }

    #[test]
    fn known_fields_have_columns_and_all_others_are_metadata() {
        let line = r#"{"z":{"b":1,"a":[2.50,null]},"id":17,"text":"né","lang":"en","url":null,"source":["x"],"a":"\u0001"}"#;
        let record = parse(line).unwrap();
        assert_eq!((record.text.as_str(), record.source_id.as_deref()), ("né", Some("17")));
        assert_eq!((record.lang.as_deref(), record.url, record.source), (Some("en"), None, None));
        let metadata = r#"{"a":"\u0001","source":["x"],"z":{"a":[2.5,null],"b":1}}"#;
        assert_eq!(record.metadata.as_deref(), Some(metadata));
        assert_eq!(parse(r#"{"text":""}"#).unwrap(), Record::default());
    }

    #[test]
    fn names_are_numbers_that_are_exact() {
        let name = |number: &str| {
            let record = parse(&format!(r#"{{"text":"a","id":{number}}}"#));
            record.map(|record| record.source_id.unwrap()).map_err(|problem| problem.to_string())
        };
        for number in ["0", "-9223372036854775808", "18446744073709551615"] {
            assert_eq!(name(number), Ok(number.to_owned()));
        }
        let refused = "field `id` is a number with a fraction or of more than 64 bits, expected a whole one: \
                       write it as a string";
        for number in ["18446744073709551616", "-9223372036854775809", "1.5", "1e3"] {
            assert_eq!(name(number), Err(refused.to_owned()), "{number}");
        }
    }

    #[test]
    fn reasons_have_no_words_of_parsers() {
        let problem = parse(r#"{"text":"x""#).unwrap_err();
        let reason = "found broken JSON at column 11, expected one JSON object a line";
        assert_eq!(problem.reason(), reason);
        let problem = Unreadable::DamagedRowGroup { row_group: 1, rows: 2, message: "EOF".into() };
        let reason = "row group 1 is damaged; its 2 rows from here on are lost";
        assert_eq!(problem.reason(), reason);
        let gave_up = Unreadable::Page(BadPage::GaveUp { message: "why".into() });
        assert_eq!(gave_up.reason(), "the extractor of main text gave up");
        let fault = |found: &str| Unreadable::BrokenStream {
            fault: Fault { offset: 7, found: found.into(), expected: "gzip".into(), resumed: None },
            decoded_offset: 3,
        };
        let lost = "the records from decoded byte 3 on are lost";
        let corrupt = format!("found corrupt data, expected gzip; {lost}");
        assert_eq!(fault("bad code").reason(), corrupt);
        assert_eq!(fault("the end of the file").reason(), fault("the end of the file").to_string());
    }

    #[track_caller]
    fn check_unreadable(line: &str, name: &str, message: &str) {
        let problem = parse(line).unwrap_err();
        assert_eq!((problem.name(), problem.to_string().as_str()), (name, message));
    }

    #[test]
    fn a_record_without_text_says_what_was_found_and_expected() {
        check_unreadable(
            r#"{"body":"x","author":1}"#,
            "no_text",
            "no field `text`; found `author`, `body`",
        );
        check_unreadable("{}", "no_text", "no field `text`; found no fields");
        check_unreadable(
            r#"{"text":null}"#,
            "text_not_a_string",
            "field `text` is null, expected a string",
        );
        check_unreadable("[1]", "not_an_object", "found an array, expected one JSON object a line");
        check_unreadable(
            r#"{"text":"x""#,
            "not_an_object",
            "found broken JSON at column 11 (EOF while parsing an object), expected one JSON object a line",
        );
    }
}
