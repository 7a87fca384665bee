//! What a file holds, by its name.

use super::raw::Cut;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// One JSON object a line.
    Jsonl,
    /// The whole file is one document, as it is: plain text, Markdown.
    Document,
}

/// How the bytes of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// Members of gzip, one after the other.
    Gzip,
    /// Frames of Zstandard, one after the other.
    Zstd,
}

/// Syntax and compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How records stand in the decoded bytes.
    pub syntax: Syntax,
    /// How the bytes are compressed.
    pub compression: Compression,
}

/// Ends of file names and what they say.
const SYNTAXES: [(&str, Syntax); 6] = [
    (".jsonl", Syntax::Jsonl),
    (".ndjson", Syntax::Jsonl),
    (".json", Syntax::Jsonl),
    (".txt", Syntax::Document),
    (".md", Syntax::Document),
    (".markdown", Syntax::Document),
];

/// The known ends of file names, for messages.
pub const KNOWN: &str =
    ".jsonl, .ndjson, .json (one object a line), .txt, .md, .markdown, each also with .gz or .zst";

impl Syntax {
    /// How decoded bytes are cut into records.
    pub fn cut(self) -> Cut {
        match self {
            Self::Jsonl => Cut::Lines,
            Self::Document => Cut::Whole,
        }
    }
}

impl Format {
    /// The format that the end of the file name `name` says, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] if it says none.
    pub fn of(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        let (compression, stem) = Compression::strip(&lower);
        let syntax =
            SYNTAXES.iter().find(|(end, _)| stem.ends_with(end)).map(|(_, syntax)| *syntax);
        let unknown = || Error::UnknownFormat { known: KNOWN };
        Ok(Self { syntax: syntax.ok_or_else(unknown)?, compression })
    }

    /// Whether the file may be cut between lines into ranges that are read apart.
    pub fn is_splittable(self) -> bool {
        self.syntax == Syntax::Jsonl && self.compression == Compression::Plain
    }
}

impl Compression {
    /// The compression that the end of a lower-case file name says, and the name without that end.
    pub fn strip(name: &str) -> (Self, &str) {
        if let Some(stem) = name.strip_suffix(".gz") {
            (Self::Gzip, stem)
        } else if let Some(stem) = name.strip_suffix(".zst") {
            (Self::Zstd, stem)
        } else {
            (Self::Plain, name)
        }
    }

    /// The end of the names of files that are compressed so.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// What one compressed piece is called, for messages.
    pub fn piece(self) -> &'static str {
        match self {
            Self::Plain => "file",
            Self::Gzip => "gzip member",
            Self::Zstd => "zstd frame",
        }
    }
}

/// A short name, such as `jsonl.gz`: what is read depends on it and on the bytes, not on the file's name.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syntax = match self.syntax {
            Syntax::Jsonl => "jsonl",
            Syntax::Document => "document",
        };
        write!(f, "{syntax}{}", self.compression.suffix())
    }
}

/// Reads the short name back.
impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let (compression, stem) = Compression::strip(name);
        match stem {
            "jsonl" => Ok(Self { syntax: Syntax::Jsonl, compression }),
            "document" => Ok(Self { syntax: Syntax::Document, compression }),
            _ => Err(Error::UnknownFormat { known: "jsonl, document" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let format = Format::of(name).unwrap();
        assert_eq!(format.to_string(), expected, "{name}");
        assert_eq!(expected.parse::<Format>().unwrap(), format);
    }

    #[test]
    fn the_end_of_the_name_tells_the_format() {
        check("a/b.jsonl", "jsonl");
        check("b.ndjson.zst", "jsonl.zst");
        check("b.JSON.GZ", "jsonl.gz");
        check("notes.txt", "document");
        check("README.md", "document");
        check("README.markdown.gz", "document.gz");
    }

    #[test]
    fn an_unknown_end_is_an_error_that_lists_the_known_ones() {
        let error = Format::of("data/table.xls.gz").unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { .. }));
        assert_eq!(
            error.to_string(),
            "the end of its name tells no format; expected one of .jsonl, .ndjson, \
             .json (one object a line), .txt, .md, .markdown, each also with .gz or .zst"
        );
    }

    #[test]
    fn only_plain_lines_can_be_cut() {
        assert!(Format::of("a.jsonl").unwrap().is_splittable());
        assert!(!Format::of("a.jsonl.gz").unwrap().is_splittable());
        assert!(!Format::of("a.txt").unwrap().is_splittable());
    }
}
