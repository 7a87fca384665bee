//! What labelled rows there are, and which column is what.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use corpus_prep::error::Error;
use corpus_prep::examples::FileFormat;
use corpus_prep::examples::config::Encoding;
use corpus_prep::examples::format::RowFormat;
use corpus_prep::examples::row::{self, BadRow, RowReader, Tokens};
use corpus_prep::examples::tag::{self, Tag};
use corpus_prep::read::decompress::Decoder;
use corpus_prep::read::rows::NamedRow;
use serde::Serialize;

use super::head::{Column, Columns, MAX_VALUES, head};

/// Rows that are looked at.
const LOOKED_AT: usize = 2000;
/// Names of columns that say what rows have in common, in any case.
const GROUPS: [&str; 9] = [
    "group",
    "patient",
    "patient_id",
    "user",
    "user_id",
    "author",
    "customer",
    "customer_id",
    "document",
];
/// Names of columns that say a label, the likeliest first, in any case.
const LABELS: [&str; 6] = ["label", "labels", "category", "class", "intent", "target"];
/// The fields of the words of a sentence, and of their tags.
const TOKENS: [&str; 2] = ["tokens", "tags"];

/// A file of labelled rows.
#[derive(Serialize)]
pub struct Labels {
    /// Where it is.
    pub file: PathBuf,
    /// Rows that were looked at.
    pub rows: usize,
    /// What they teach.
    pub taught: Taught,
    /// The column of what makes rows depend on each other, if a name says so.
    pub group: Option<String>,
}

/// What labelled rows teach.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taught {
    /// The label of a text.
    Label {
        /// The column of texts: the one with the longest values.
        text: String,
        /// That of labels.
        label: String,
        /// Labels among the rows.
        distinct: usize,
    },
    /// The entities that tags of words mark.
    Tags {
        /// Types of entities among the rows.
        types: usize,
        /// Whether the file begins documents, whose sentences are one group; `None` where its format has none.
        has_documents: Option<bool>,
    },
}

impl Labels {
    /// Looks at the first rows of `file`.
    pub fn look(file: &Path) -> anyhow::Result<Self> {
        let format = FileFormat::of(file, None)
            .map_err(|message| anyhow!("{}: {message}", file.display()))?;
        if format.rows == RowFormat::Conll {
            return Self::conll(file, &format);
        }
        let rows = head(file, LOOKED_AT, |_| true)?.into_iter();
        let rows: Vec<NamedRow> = rows.collect::<anyhow::Result<_>>()?;
        ensure!(!rows.is_empty(), "{}: found no row, expected labelled ones", file.display());
        let columns = columns(&rows);
        let (group, taught) = match rows.iter().all(has_tags) {
            true => (named(&columns, &GROUPS), tags(&rows, file)?),
            false => texts(&columns, file)?,
        };
        Ok(Self { file: file.to_owned(), rows: rows.len(), taught, group })
    }

    /// Looks at a file with a word and its tag a line.
    #[expect(clippy::result_large_err, reason = "it is what the reader takes")]
    fn conll(file: &Path, format: &FileFormat) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let failed = || format!("cannot read {name}");
        let decoder = Decoder::new(File::open(file).with_context(failed)?, format.compression)
            .with_context(failed)?;
        let (mut rows, mut types, mut has_documents) = (0, BTreeSet::new(), false);
        let read = conll_reader().read(decoder, format, &name, |row| {
            rows += 1;
            types.extend(tag::entities(&row.tags).map(String::from));
            has_documents |= row.group.is_some();
            if rows < LOOKED_AT {
                Ok(())
            } else {
                Err(Error::NoTrainEntities { rows: rows as u64 })
            }
        });
        match read {
            // That is where looking stops.
            Err(Error::NoTrainEntities { .. }) => {}
            read => drop(read?),
        }
        let taught = tagged(types.len(), Some(has_documents), file)?;
        Ok(Self { file: file.to_owned(), rows, taught, group: None })
    }
}

impl Labels {
    /// What to know of rows that depend on each other.
    pub fn hint(&self) -> &'static str {
        match (&self.group, &self.taught) {
            (Some(_), _) => "Rows of a group stand in one split.",
            (None, Taught::Tags { has_documents: Some(true), .. }) => {
                "Sentences of a document stand in one split."
            }
            (None, Taught::Tags { has_documents: Some(false), .. }) => {
                "If sentences depend on each other, such as those of a letter, begin it with a line `-DOCSTART-`."
            }
            (None, _) => {
                "If rows depend on each other, such as those of a patient, name the column: group = \"patient\"."
            }
        }
    }
}

/// Reads tokens from the first column, and tags from the last.
fn conll_reader() -> RowReader {
    RowReader {
        columns: row::Columns {
            text: String::new(),
            text_pair: None,
            label: String::new(),
            group: None,
            id: None,
        },
        encoding: Encoding::default(),
        delimiter: None,
        tokens: Some(Tokens::default()),
    }
}

fn has_tags(row: &NamedRow) -> bool {
    TOKENS.iter().all(|field| row.has_list(field))
}

/// The tags of the words of `rows`.
fn tags(rows: &[NamedRow], file: &Path) -> anyhow::Result<Taught> {
    let mut types = BTreeSet::new();
    for row in rows {
        let [tokens, tags] = TOKENS;
        let (tokens, tags) = (row.words(tokens)?.len(), row.words(tags)?);
        if tokens != tags.len() {
            let problem = BadRow::UnequalLists { tokens, tags: tags.len() };
            bail!("{}: {problem}", row.place);
        }
        let unknown = tags.iter().find(|tag| Tag::parse(tag).is_none());
        if let Some(tag) = unknown.cloned() {
            bail!("{}: {}", row.place, BadRow::UnknownTag { tag });
        }
        let tagged = tag::to_iob2(&tags, None).map(|tagged| tagged.tags).unwrap_or_default();
        types.extend(tag::entities(&tagged).map(String::from));
    }
    tagged(types.len(), None, file)
}

fn tagged(types: usize, has_documents: Option<bool>, file: &Path) -> anyhow::Result<Taught> {
    ensure!(
        types > 0,
        "{}: found no tag of an entity in the first rows, expected some such as `B-PER`",
        file.display()
    );
    Ok(Taught::Tags { types, has_documents })
}

/// The texts and numbers of `rows`, by column.
fn columns(rows: &[NamedRow]) -> Columns {
    let mut columns = Columns::default();
    for row in rows {
        columns.add(row.texts_and_numbers());
    }
    columns
}

/// The first of the `wanted` names, in any case, that a column has.
fn named(columns: &Columns, wanted: &[&str]) -> Option<String> {
    let named =
        |wanted: &&str| columns.columns.keys().find(|name| name.eq_ignore_ascii_case(wanted));
    wanted.iter().find_map(named).cloned()
}

/// The columns of groups, and of texts with their labels. Every row must have a text and a label.
fn texts(columns: &Columns, file: &Path) -> anyhow::Result<(Option<String>, Taught)> {
    let is_full = |column: &Column| column.filled == columns.num_rows;
    let Some(text) = columns.longest(is_full).filter(|_| columns.columns.len() > 1) else {
        bail!(
            "{}: found the columns {}, expected one of texts and one of labels, filled in every row",
            file.display(),
            columns.names()
        );
    };
    let group = named(columns, &GROUPS).filter(|name| name != text);
    let is_label = |name: &str, column: &Column| {
        let num_values = column.values.len();
        let tells = (2..=MAX_VALUES).contains(&num_values) && num_values < columns.num_rows;
        name != text && is_full(column) && tells
    };
    let Some(label) = label(columns, group.as_deref(), is_label) else {
        bail!(
            "{}: found no column of 2 to {MAX_VALUES} different labels, filled in every row, among {}",
            file.display(),
            columns.names()
        );
    };
    let distinct = columns.columns[label].values.len();
    Ok((group, Taught::Label { text: text.to_owned(), label: label.to_owned(), distinct }))
}

/// The column of labels: one whose name says so, or else that of the fewest values that is not the `group`.
fn label<'c>(
    columns: &'c Columns,
    group: Option<&str>,
    is_label: impl Fn(&str, &Column) -> bool,
) -> Option<&'c str> {
    let fit = || columns.columns.iter().filter(|(name, column)| is_label(name, column));
    let says_so =
        LABELS.iter().find_map(|wanted| fit().find(|(name, _)| name.eq_ignore_ascii_case(wanted)));
    let fewest = || {
        let others = fit().filter(|(name, _)| Some(name.as_str()) != group);
        others.min_by_key(|(_, column)| column.values.len())
    };
    says_so.or_else(fewest).map(|(name, _)| name.as_str())
}
