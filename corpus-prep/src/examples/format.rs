//! How a labelled file is read, by its name and the manifest.

use super::config::ExampleFormat;
use crate::read::format::{Compression, Format, Syntax};
use pipelines::table::examples::ExampleTask;
use std::fmt;
use std::path::Path;

/// What must be known of a labelled file besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFormat {
    /// How rows stand in it.
    pub rows: RowFormat,
    /// How it is compressed.
    pub compression: Compression,
}

/// How rows stand in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Comma-separated values with a header.
    Csv,
    /// The same with tabs, unless the manifest names a delimiter.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// The columns of a token on each line.
    Conll,
    /// Columns of values.
    Parquet,
    /// On each line a label, the delimiter, and the text.
    LabelText,
    /// The file is a row; its folder is called this.
    Folder(String),
}

/// The names by which the format is known without `format`, for messages.
const KNOWN: &str = ".csv, .tsv, .jsonl, .ndjson, .json (one object a line), .conll, .iob, .iob2, .bio, each also with .gz, .zst or .bz2, and \
     .parquet";

/// Ends of names of CoNLL files.
const CONLL: [&str; 4] = [".conll", ".iob", ".iob2", ".bio"];

impl FileFormat {
    /// The format of the file at `path` where the manifest says `format`.
    ///
    /// # Errors
    /// With a message if neither the name nor the manifest tells it.
    pub fn of(path: &Path, format: Option<ExampleFormat>) -> Result<Self, String> {
        let lower = path.to_string_lossy().to_ascii_lowercase();
        let (compression, stem) = Compression::strip(&lower);
        let is_tsv = stem.ends_with(".tsv");
        let rows = match format {
            Some(ExampleFormat::Csv) if is_tsv => RowFormat::Tsv,
            Some(ExampleFormat::Csv) => RowFormat::Csv,
            Some(ExampleFormat::Jsonl) => RowFormat::Jsonl,
            Some(ExampleFormat::Conll) => RowFormat::Conll,
            Some(ExampleFormat::LabelText) => RowFormat::LabelText,
            Some(ExampleFormat::Folder) => RowFormat::Folder(folder(path)?),
            None if CONLL.iter().any(|end| stem.ends_with(end)) => RowFormat::Conll,
            None => match Format::of(&lower).map(|format| format.syntax) {
                Ok(Syntax::Csv) => RowFormat::Csv,
                Ok(Syntax::Tsv) => RowFormat::Tsv,
                Ok(Syntax::Jsonl) => RowFormat::Jsonl,
                Ok(Syntax::Parquet) => RowFormat::Parquet,
                Ok(Syntax::Document | Syntax::Html | Syntax::Warc | Syntax::MediaWiki) | Err(_) => {
                    return Err(format!(
                        "the end of its name tells no format; expected one of {KNOWN}, or `format` in `examples`"
                    ));
                }
            },
        };
        Ok(Self { rows, compression })
    }

    /// Whether files of this format hold what `task` learns from.
    pub fn fits(&self, task: ExampleTask) -> bool {
        match (task, &self.rows) {
            (_, RowFormat::Jsonl | RowFormat::Parquet) => true,
            (ExampleTask::TokenClassification, rows) => *rows == RowFormat::Conll,
            (ExampleTask::SequenceClassification, rows) => *rows != RowFormat::Conll,
        }
    }

    /// The format that [`fmt::Display`] wrote as `tag`.
    pub fn parse(tag: &str) -> Option<Self> {
        let (name, folder) = tag.split_once(':').unwrap_or((tag, ""));
        let (compression, name) = Compression::strip(name);
        let rows = match name {
            "csv" => RowFormat::Csv,
            "tsv" => RowFormat::Tsv,
            "jsonl" => RowFormat::Jsonl,
            "conll" => RowFormat::Conll,
            "parquet" => RowFormat::Parquet,
            "label-text" => RowFormat::LabelText,
            "folder" => RowFormat::Folder(folder.into()),
            _ => return None,
        };
        Some(Self { rows, compression })
    }
}

fn folder(path: &Path) -> Result<String, String> {
    let name = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.map(String::from)
        .ok_or_else(|| "it stands in no folder whose name could be its label".into())
}

/// A short name, such as `csv.gz`, or `folder:spam`.
impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = self.compression.suffix();
        match &self.rows {
            RowFormat::Csv => write!(f, "csv{suffix}"),
            RowFormat::Tsv => write!(f, "tsv{suffix}"),
            RowFormat::Jsonl => write!(f, "jsonl{suffix}"),
            RowFormat::Conll => write!(f, "conll{suffix}"),
            RowFormat::Parquet => write!(f, "parquet{suffix}"),
            RowFormat::LabelText => write!(f, "label-text{suffix}"),
            RowFormat::Folder(label) => write!(f, "folder{suffix}:{label}"),
        }
    }
}

/// The tag of a file where the manifest says `format`.
pub fn tag(format: Option<ExampleFormat>) -> fn(&Path) -> Result<String, String> {
    match format {
        None => |path| Ok(FileFormat::of(path, None)?.to_string()),
        Some(ExampleFormat::Csv) => {
            |path| Ok(FileFormat::of(path, Some(ExampleFormat::Csv))?.to_string())
        }
        Some(ExampleFormat::Jsonl) => {
            |path| Ok(FileFormat::of(path, Some(ExampleFormat::Jsonl))?.to_string())
        }
        Some(ExampleFormat::Conll) => {
            |path| Ok(FileFormat::of(path, Some(ExampleFormat::Conll))?.to_string())
        }
        Some(ExampleFormat::LabelText) => {
            |path| Ok(FileFormat::of(path, Some(ExampleFormat::LabelText))?.to_string())
        }
        Some(ExampleFormat::Folder) => {
            |path| Ok(FileFormat::of(path, Some(ExampleFormat::Folder))?.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, format: Option<ExampleFormat>, expected: &str) {
        let tag = tag(format)(Path::new(path)).unwrap();
        assert_eq!(tag, expected);
        assert_eq!(FileFormat::parse(&tag).unwrap().to_string(), expected);
    }

    #[test]
    fn the_name_or_the_manifest_tells_the_format() {
        check("a/b.csv", None, "csv");
        check("b.TSV.gz", None, "tsv.gz");
        check("b.json", None, "jsonl");
        check("b.parquet", None, "parquet");
        check("b.bio.zst", None, "conll.zst");
        check("eng.train", Some(ExampleFormat::Conll), "conll");
        check("b.tsv", Some(ExampleFormat::Csv), "tsv");
        check("train.label", Some(ExampleFormat::LabelText), "label-text");
        check("mail/spam/0001.zst", Some(ExampleFormat::Folder), "folder.zst:spam");
    }

    #[test]
    fn an_untold_format_is_an_error_that_says_what_to_do() {
        let error = tag(None)(Path::new("a/train.label")).unwrap_err();
        assert!(error.starts_with("the end of its name tells no format; expected one of .csv"));
        assert!(error.ends_with("or `format` in `examples`"));
        assert!(tag(Some(ExampleFormat::Folder))(Path::new("file")).is_err());
    }
}
