//! What models say of rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::error::ArrowError;
use codec::WordRule;
use corpus_prep::read::rows::Name;
use evaluate::{Classifier, EvaluateError, Tagger, tagger::Sentence};
use model::Sequence;
use pipelines::context::Cancel;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::spans::{Span, joined, spans};
use super::{Content, Question};
use crate::worker::check;

/// A model that answers.
pub enum Model {
    /// With the label of a text.
    Classifier(Classifier),
    /// With the entities in a text.
    Tagger { tagger: Tagger, rule: WordRule },
}

/// The answers for a batch of rows, in order.
pub enum Answers {
    Labels(Vec<Labelled>),
    Entities(Vec<Tagged>),
}

/// Why a row has no answer.
pub type Refusal = anyhow::Error;

/// The label of a row.
#[derive(Serialize)]
pub struct Labelled {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Name>,
    record: u64,
    /// The most probable one; of equals the first.
    label: String,
    probabilities: Probabilities,
    #[serde(skip)]
    is_cut: bool,
}

/// The probability of each label, in the order of the model's labels.
struct Probabilities(Vec<(String, f64)>);

impl Serialize for Probabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, probability)| (label, probability)))
    }
}

/// The entities of a row.
#[derive(Serialize)]
pub struct Tagged {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Name>,
    record: u64,
    /// The tag of each word, where the row comes in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    entities: Vec<Span>,
    #[serde(skip)]
    is_cut: bool,
}

impl Model {
    /// Answers for rows, in order: for all, or for those before the first that the model refuses, and why it does.
    ///
    /// # Errors
    /// When the model cannot be used, or the program is told to stop.
    pub fn answer(
        &mut self,
        rows: Vec<Question>,
        cancel: &Cancel,
    ) -> anyhow::Result<(Answers, Option<Refusal>)> {
        match self {
            Self::Classifier(classifier) => {
                let (sequences, refusal) = before_refusal(&rows, |row| {
                    let words: String;
                    let texts = match &row.content {
                        Content::Text(text, second) => (text.as_str(), second.as_deref()),
                        Content::Words(list) => {
                            words = list.join(" ");
                            (words.as_str(), None)
                        }
                    };
                    Ok(classifier.sequence(&row.place, texts)?)
                });
                let labelled = classify(classifier, rows, sequences, cancel)?;
                Ok((Answers::Labels(labelled), refusal))
            }
            Self::Tagger { tagger, rule } => {
                let (parsed, refusal) = before_refusal(&rows, |row| parse(tagger, *rule, row));
                Ok((Answers::Entities(tag(tagger, rows, parsed, cancel)?), refusal))
            }
        }
    }

    /// The answers for no rows.
    pub fn no_answers(&self) -> Answers {
        match self {
            Self::Classifier(_) => Answers::Labels(Vec::new()),
            Self::Tagger { .. } => Answers::Entities(Vec::new()),
        }
    }

    /// The labels of a classifier of texts.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Classifier(classifier) => classifier.labels(),
            Self::Tagger { .. } => &[],
        }
    }
}

/// What `read` makes of each row, up to the first that it refuses, and why it does.
fn before_refusal<T: Send>(
    rows: &[Question],
    read: impl Fn(&Question) -> anyhow::Result<T> + Sync + Send,
) -> (Vec<T>, Option<Refusal>) {
    // `collect` keeps the order.
    let all: Vec<anyhow::Result<T>> = rows.par_iter().map(read).collect();
    let mut good = Vec::with_capacity(all.len());
    for row in all {
        match row {
            Ok(row) => good.push(row),
            Err(refusal) => return (good, Some(refusal)),
        }
    }
    (good, None)
}

/// Labels of the first rows: of as many as there are sequences.
fn classify(
    classifier: &mut Classifier,
    rows: Vec<Question>,
    sequences: Vec<(Sequence, bool)>,
    cancel: &Cancel,
) -> anyhow::Result<Vec<Labelled>> {
    let (sequences, cut): (Vec<_>, Vec<bool>) = sequences.into_iter().unzip();
    let asked = classifier.probabilities(&sequences, &|| check(cancel)).map_err(plain)?;
    let answer = |((row, probabilities), is_cut): ((Question, Vec<f64>), bool)| {
        let all: Vec<(String, f64)> =
            classifier.labels().iter().cloned().zip(probabilities).collect();
        let best = all.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let label = best.map_or_else(String::new, |(label, _)| label.clone());
        Labelled {
            id: row.id,
            record: row.record,
            label,
            probabilities: Probabilities(all),
            is_cut,
        }
    };
    Ok(rows.into_iter().zip(asked).zip(cut).map(answer).collect())
}

/// The error, out of what it is wrapped in: that the program was told to stop is seen in it.
fn plain(error: EvaluateError) -> anyhow::Error {
    match error {
        EvaluateError::Frame(error) => error.into(),
        other => other.into(),
    }
}

/// A row as a tagger reads it.
struct Parsed {
    text: String,
    /// The bytes of its words.
    words: Vec<Range<usize>>,
    sentence: Sentence,
}

fn parse(tagger: &Tagger, rule: WordRule, row: &Question) -> anyhow::Result<Parsed> {
    let (text, words) = match &row.content {
        Content::Text(text, _) => (text.clone(), rule.spans(text)),
        Content::Words(words) => joined(words),
    };
    let slices: Vec<&str> = words.iter().map(|span| &text[span.clone()]).collect();
    let sentence = tagger.sentence(&row.place, &slices)?;
    Ok(Parsed { text, words, sentence })
}

/// Entities of the first rows: of as many as were parsed.
fn tag(
    tagger: &mut Tagger,
    rows: Vec<Question>,
    parsed: Vec<Parsed>,
    cancel: &Cancel,
) -> anyhow::Result<Vec<Tagged>> {
    let (mut texts, mut sentences) = (Vec::new(), Vec::new());
    for Parsed { text, words, sentence } in parsed {
        texts.push((text, words));
        sentences.push(sentence);
    }
    let asked = tagger.tag(&sentences, &|| check(cancel)).map_err(plain)?;
    let mut tagged = Vec::with_capacity(sentences.len());
    for (((row, (text, words)), sentence), tags) in
        rows.into_iter().zip(texts).zip(sentences).zip(asked)
    {
        let numbers: Vec<u32> = tags.iter().map(|word| word.tag).collect();
        let entities = tagger.tag_set().entities(&numbers)?;
        let name = |tag: &u32| tagger.labels()[*tag as usize].clone();
        tagged.push(Tagged {
            id: row.id,
            record: row.record,
            tags: matches!(row.content, Content::Words(_))
                .then(|| numbers.iter().map(name).collect()),
            entities: spans(&text, &words, &tags, &entities, tagger.tag_set().types()),
            is_cut: sentence.is_cut(),
        });
    }
    Ok(tagged)
}

impl Answers {
    /// Rows that were answered for.
    pub fn num_rows(&self) -> u64 {
        match self {
            Self::Labels(rows) => rows.len() as u64,
            Self::Entities(rows) => rows.len() as u64,
        }
    }

    /// Entities in all rows.
    pub fn num_entities(&self) -> u64 {
        match self {
            Self::Labels(_) => 0,
            Self::Entities(rows) => rows.iter().map(|row| row.entities.len() as u64).sum(),
        }
    }

    /// Rows of whose texts only the first tokens were read.
    pub fn num_cut(&self) -> u64 {
        match self {
            Self::Labels(rows) => rows.iter().filter(|row| row.is_cut).count() as u64,
            Self::Entities(rows) => rows.iter().filter(|row| row.is_cut).count() as u64,
        }
    }

    /// The answers as JSON, one object for each row.
    ///
    /// # Errors
    /// None that answers of a model have: a number that is none, which JSON cannot say, never is one.
    pub fn objects(&self) -> serde_json::Result<Vec<String>> {
        match self {
            Self::Labels(rows) => rows.iter().map(serde_json::to_string).collect(),
            Self::Entities(rows) => rows.iter().map(serde_json::to_string).collect(),
        }
    }

    /// The answers as a table: a row for each text, or for each entity. A classifier's has a column for each of `labels`.
    ///
    /// # Errors
    /// None that answers of one model have.
    pub fn table(&self, labels: &[String]) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Labels(rows) => label_table(rows, labels),
            Self::Entities(rows) => entity_table(rows),
        }
    }
}

fn label_table(rows: &[Labelled], labels: &[String]) -> Result<RecordBatch, ArrowError> {
    let mut columns = name_columns(rows.iter().map(|row| (&row.id, row.record)));
    let of_rows = rows.iter().map(|row| row.label.as_str());
    columns.push(("label".into(), Arc::new(StringArray::from_iter_values(of_rows)), false));
    for (at, label) in labels.iter().enumerate() {
        let of_rows = rows.iter().map(|row| row.probabilities.0[at].1);
        let column = Arc::new(Float64Array::from_iter_values(of_rows));
        columns.push((format!("probability.{label}"), column, false));
    }
    RecordBatch::try_from_iter_with_nullable(columns)
}

fn entity_table(rows: &[Tagged]) -> Result<RecordBatch, ArrowError> {
    let all = || rows.iter().flat_map(|row| row.entities.iter().map(move |entity| (row, entity)));
    let texts = |of: fn(&Span) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all().map(|(_, entity)| of(entity))))
    };
    let numbers = |of: fn(&Span) -> usize| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(all().map(|(_, entity)| of(entity) as u64)))
    };
    let scores = Float64Array::from_iter_values(all().map(|(_, entity)| entity.score));
    let mut columns = name_columns(all().map(|(row, _)| (&row.id, row.record)));
    columns.extend([
        ("type".into(), texts(|entity| &entity.r#type), false),
        ("text".into(), texts(|entity| &entity.text), false),
        ("start".into(), numbers(|entity| entity.start), false),
        ("end".into(), numbers(|entity| entity.end), false),
        ("score".into(), Arc::new(scores) as ArrayRef, false),
    ]);
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// Which row of the input a row is of.
fn name_columns<'a>(
    rows: impl Iterator<Item = (&'a Option<Name>, u64)> + Clone,
) -> Vec<(String, ArrayRef, bool)> {
    let ids: StringArray = rows.clone().map(|(id, _)| id.as_ref().map(Name::as_str)).collect();
    let records = UInt64Array::from_iter_values(rows.map(|(_, record)| record));
    vec![("id".into(), Arc::new(ids), true), ("record".into(), Arc::new(records), false)]
}
