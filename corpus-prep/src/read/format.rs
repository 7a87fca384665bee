//! What a file holds, by its name.

use crate::error::{Error, Result};
use pipelines::part::Cut;
use std::fmt;
use std::str::FromStr;

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// One JSON object a line.
    Jsonl,
    /// The whole file is one document, as it is: plain text, Markdown.
    Document,
    /// Comma-separated values with a header.
    Csv,
    /// The same with tabs, unless the manifest names a delimiter.
    Tsv,
    /// The whole file is one page, of which the main text is taken.
    Html,
    /// Columns of values.
    Parquet,
    /// What a crawl fetched, or texts made of it.
    Warc,
    /// Pages of a wiki.
    MediaWiki,
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
    /// Streams of bzip2, one after the other.
    Bzip2,
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
const SYNTAXES: [(&str, Syntax); 15] = [
    (".jsonl", Syntax::Jsonl),
    (".ndjson", Syntax::Jsonl),
    (".json", Syntax::Jsonl),
    (".txt", Syntax::Document),
    (".md", Syntax::Document),
    (".markdown", Syntax::Document),
    (".csv", Syntax::Csv),
    (".tsv", Syntax::Tsv),
    (".html", Syntax::Html),
    (".htm", Syntax::Html),
    (".parquet", Syntax::Parquet),
    (".warc", Syntax::Warc),
    (".wet", Syntax::Warc),
    (".wat", Syntax::Warc),
    (".xml", Syntax::MediaWiki),
];

/// Short names of syntaxes, which stand in keys.
const NAMES: [(&str, Syntax); 8] = [
    ("jsonl", Syntax::Jsonl),
    ("document", Syntax::Document),
    ("csv", Syntax::Csv),
    ("tsv", Syntax::Tsv),
    ("html", Syntax::Html),
    ("parquet", Syntax::Parquet),
    ("warc", Syntax::Warc),
    ("mediawiki", Syntax::MediaWiki),
];

/// The known ends of file names, for messages.
pub const KNOWN: &str = ".jsonl, .ndjson, .json (one object a line), .csv, .tsv, .txt, .md, .markdown, .html, .htm, .warc, \
     .wet, .wat, .xml (a dump of MediaWiki), each also with .gz, .zst or .bz2, and .parquet";

impl Format {
    /// The format that the end of the file name `name` says, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] if it says none.
    pub fn of(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        let (compression, stem) = Compression::strip(&lower);
        let found = SYNTAXES.iter().find(|(end, _)| stem.ends_with(end));
        match found.map(|(_, syntax)| *syntax) {
            // Parquet is read from its end, and has its own compression.
            Some(Syntax::Parquet) if compression != Compression::Plain => None,
            other => other,
        }
        .map(|syntax| Self { syntax, compression })
        .ok_or(Error::UnknownFormat { known: KNOWN })
    }

    /// Whether records behind a damaged stretch are found again, by the marks with which they begin.
    pub fn is_found_again(self) -> bool {
        matches!(self.syntax, Syntax::Warc | Syntax::MediaWiki)
    }

    /// How the file may be cut into ranges that are read apart. Quotes in CSV may hold line ends.
    pub fn cut(self) -> Cut {
        match (self.syntax, self.compression) {
            (Syntax::Jsonl, Compression::Plain) => Cut::Lines,
            (Syntax::Parquet, _) => Cut::RowGroups,
            _ => Cut::Whole,
        }
    }
}

impl Compression {
    /// The compression that the end of a lower-case file name says, and the name without that end.
    pub fn strip(name: &str) -> (Self, &str) {
        if let Some(stem) = name.strip_suffix(".gz") {
            (Self::Gzip, stem)
        } else if let Some(stem) = name.strip_suffix(".zst") {
            (Self::Zstd, stem)
        } else if let Some(stem) = name.strip_suffix(".bz2") {
            (Self::Bzip2, stem)
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
            Self::Bzip2 => ".bz2",
        }
    }

    /// What one compressed piece is called, for messages.
    pub fn piece(self) -> &'static str {
        match self {
            Self::Plain => "file",
            Self::Gzip => "gzip member",
            Self::Zstd => "zstd frame",
            Self::Bzip2 => "bzip2 stream",
        }
    }
}

/// A short name, such as `jsonl.gz`: what is read depends on it and on the bytes, not on the file's name.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(_, syntax)| *syntax == self.syntax);
        let syntax = named.map_or("", |(name, _)| name);
        write!(f, "{syntax}{}", self.compression.suffix())
    }
}

/// Reads the short name back.
impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let (compression, stem) = Compression::strip(name);
        let named = NAMES.iter().find(|(name, _)| *name == stem);
        let unknown = Error::UnknownFormat {
            known: "jsonl, document, csv, tsv, html, parquet, warc, mediawiki",
        };
        named.map(|(_, syntax)| Self { syntax: *syntax, compression }).ok_or(unknown)
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
        check("a.csv.zst", "csv.zst");
        check("a.TSV", "tsv");
        check("index.htm.gz", "html.gz");
        check("part-0.parquet", "parquet");
        check("CC-MAIN-0.warc.wet.gz", "warc.gz");
        check("crawl.warc.zst", "warc.zst");
        check("b.csv.bz2", "csv.bz2");
        check("enwiki-pages-articles.xml.bz2", "mediawiki.bz2");
        assert!(Format::of("part-0.parquet.gz").is_err());
    }

    #[test]
    fn an_unknown_end_is_an_error_that_lists_the_known_ones() {
        let error = Format::of("data/table.xls.gz").unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { .. }));
        assert_eq!(
            error.to_string(),
            "the end of its name tells no format; expected one of .jsonl, .ndjson, .json (one object a line), .csv, \
             .tsv, .txt, .md, .markdown, .html, .htm, .warc, .wet, .wat, .xml (a dump of MediaWiki), \
             each also with .gz, .zst or .bz2, and .parquet"
        );
    }

    #[test]
    fn only_plain_lines_and_row_groups_can_be_cut() {
        let cut = |name| Format::of(name).unwrap().cut();
        assert_eq!(cut("a.jsonl"), Cut::Lines);
        assert_eq!(cut("a.parquet"), Cut::RowGroups);
        for name in ["a.jsonl.gz", "a.txt", "a.csv", "a.html"] {
            assert_eq!(cut(name), Cut::Whole, "{name}");
        }
    }
}
