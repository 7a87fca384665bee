//! Labelled rows as token sequences.

use std::collections::BTreeSet;

use codec::{Codec, WordPlace};
use model::SequenceForm;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::table::TableReader;
use pipelines::table::examples::{Example, Split};
use rayon::prelude::*;

use crate::config::TooLong;
use crate::data::EXAMPLES;
use crate::error::FinetuneError;

/// Rows of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Token ids, special ones included.
    pub sequences: Vec<Vec<u32>>,
    /// What is learnt of them.
    pub targets: Targets,
}

/// What is learnt of sequences, as places in the label list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// The label of each sequence.
    Labels(Vec<u32>),
    /// The tags of sentences.
    Tags(Tags),
}

/// The tags of sentences that were cut into sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Of each sequence, the tag of each token; `None` where it is not learnt.
    pub tokens: Vec<Vec<Option<u32>>>,
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

/// A tagged sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The tag of each word.
    pub tags: Vec<u32>,
    /// Where the answer for each word stands, by sequence of the split; `None` where there is none.
    pub places: Vec<Option<WordPlace>>,
}

impl Rows {
    /// Number of rows of the examples.
    pub fn num_rows(&self) -> u64 {
        let rows = match &self.targets {
            Targets::Labels(labels) => labels.len(),
            Targets::Tags(tags) => tags.sentences.len(),
        };
        rows as u64
    }
}

/// Everything that a task learns from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The labels of the train split, sorted; of tags `O` first.
    pub labels: Vec<String>,
    /// The train split.
    pub train: Rows,
    /// The validation split.
    pub validation: Rows,
    /// Texts that were cut off.
    pub num_truncated: u64,
}

/// How texts become sequences.
pub struct Encoder<'a> {
    /// The vocabulary.
    pub codec: &'a Codec,
    /// How tokens become a sequence.
    pub form: SequenceForm,
    /// Most tokens of a sequence, special ones included.
    pub max_length: usize,
    /// What happens to longer texts.
    pub too_long: TooLong,
}

/// A row with what messages call it.
pub(crate) struct Named {
    pub(crate) file: String,
    pub(crate) example: Example,
}

impl Named {
    pub(crate) fn row(&self) -> String {
        match &self.example.source_id {
            Some(name) => format!("`{name}`"),
            None => format!(
                "{} of unit {} (sources.parquet of the step that made it names the unit's file)",
                self.example.key.record, self.example.key.unit
            ),
        }
    }

    fn label(&self) -> Result<&str, FinetuneError> {
        match self.example.labels.as_slice() {
            [label] => Ok(label),
            labels => Err(FinetuneError::Labels {
                name: self.file.clone(),
                row: self.row(),
                found: labels.len(),
            }),
        }
    }
}

impl Dataset {
    /// Reads and encodes the train and validation rows; test rows are not looked at.
    ///
    /// # Errors
    /// When a table cannot be read, a row has not one label and one text, is too long, or has a label that is on no row of
    /// train, or when train has fewer than two labels.
    pub fn read(inputs: &TaskInputs, encoder: &Encoder<'_>) -> Result<Self, TaskError> {
        let rows = named(inputs)?;
        let labels = labels(&rows)?;
        let encoded: Vec<Encoded> =
            rows.par_iter().map(|row| encoder.encode(row)).collect::<Result<_, FinetuneError>>()?;
        let num_truncated = encoded.iter().filter(|row| row.is_truncated).count() as u64;
        let [mut train, mut validation] = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for (row, encoded) in rows.iter().zip(encoded) {
            let label = place(&labels, row)?;
            let split = match row.example.split {
                Split::Train => &mut train,
                _ => &mut validation,
            };
            split.0.push(encoded.sequence);
            split.1.push(label);
        }
        let rows = |(sequences, labels)| Rows { sequences, targets: Targets::Labels(labels) };
        Ok(Self { labels, train: rows(train), validation: rows(validation), num_truncated })
    }
}

/// The place of the row's label in the list.
fn place(labels: &[String], row: &Named) -> Result<u32, FinetuneError> {
    let label = row.label()?;
    let place = labels.binary_search_by(|known| known.as_str().cmp(label)).ok();
    place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| FinetuneError::UnseenLabel {
        name: row.file.clone(),
        row: row.row(),
        split: row.example.split.name(),
        label: label.to_owned(),
        known: quoted(labels),
    })
}

pub(crate) fn named(inputs: &TaskInputs) -> Result<Vec<Named>, TaskError> {
    let mut rows = Vec::new();
    for input in inputs.all(EXAMPLES) {
        for batch in TableReader::<Example>::open(&input.map()?)? {
            let learnt = batch?.into_iter().filter(|example| example.split != Split::Test);
            rows.extend(learnt.map(|example| Named { file: input.name().to_owned(), example }));
        }
    }
    Ok(rows)
}

/// The labels of the train split, sorted.
fn labels(rows: &[Named]) -> Result<Vec<String>, FinetuneError> {
    let train = rows.iter().filter(|row| row.example.split == Split::Train);
    let labels: BTreeSet<&str> = train.map(Named::label).collect::<Result<_, _>>()?;
    let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
    if labels.len() < 2 {
        return Err(FinetuneError::TooFewLabels { found: labels.len(), known: quoted(&labels) });
    }
    Ok(labels)
}

pub(crate) fn quoted(labels: &[String]) -> String {
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}

struct Encoded {
    sequence: Vec<u32>,
    is_truncated: bool,
}

impl Encoder<'_> {
    fn encode(&self, row: &Named) -> Result<Encoded, FinetuneError> {
        let name = || row.file.clone();
        if row.example.text_pair.is_some() {
            return Err(FinetuneError::TextPair { name: name(), row: row.row() });
        }
        let tokens = self
            .codec
            .encode(&row.example.text)
            .map_err(|source| FinetuneError::Encode { name: name(), row: row.row(), source })?;
        let sequence = self.form.join(&tokens, None);
        let (found, expected) = (sequence.tokens.len(), self.max_length);
        let is_truncated = found > expected;
        match self.too_long {
            TooLong::Refuse if is_truncated => {
                Err(FinetuneError::TooLong { name: name(), row: row.row(), found, expected })
            }
            _ => Ok(Encoded { sequence: self.form.cut(sequence, expected).tokens, is_truncated }),
        }
    }
}
