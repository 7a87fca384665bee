//! Phase `tag`: how fine-tuned token classifiers tag held-out rows, one task for each model and seed.

use std::num::NonZeroUsize;

use codec::{Window, WordPlace, first_window, overlapping_windows};
use metrics::{Decoding, EntityMode, Scheme, TagSet};
use model::{NumericProfile, Sequence, Sequences};
use pipelines::{
    context::{Context, Unit},
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    stage::{Phase, Task, View},
    table::{TableWriter, examples::Split, tag_predictions::TagPrediction},
};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    classify::{self, BATCH_TOKENS},
    config::TooLong,
    error::{EvaluateError, Result},
    held_out::{self, HeldOut},
    model_files::Loaded,
    scores::of,
};

/// Name of the phase.
pub const NAME: &str = "tag";

/// The table of predicted tags.
pub const TAG_PREDICTIONS: &str = "tag-predictions";

/// Rows that are asked for together.
const BATCH_ROWS: usize = 256;

/// Asks a token classifier for the rows of a split.
#[derive(Clone, Debug, Serialize)]
pub struct Tag {
    /// Whose rows.
    pub split: Split,
    /// Most tokens that are read together, if fewer than the context holds.
    pub max_length: Option<NonZeroUsize>,
    /// What happens to longer texts.
    pub too_long: TooLong,
    /// How scores become tags.
    pub decoding: Decoding,
    /// The arithmetic.
    pub numeric_profile: NumericProfile,
}

/// A row as a model reads it.
struct Sentence {
    /// Its windows, with special tokens.
    windows: Vec<Sequence>,
    /// Where the answer for each word stands; `None` where there is none.
    places: Vec<Option<WordPlace>>,
}

impl Phase for Tag {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        Ok(classify::tasks(view)?)
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut model = Loaded::read(inputs)?;
        self.numeric_profile.require().map_err(|source| EvaluateError::Model {
            name: model.name.clone(),
            source: Box::new(source),
        })?;
        let labels = model.tags()?;
        // Strict, so that tags of another scheme are refused: nothing but IOB2 is decoded.
        let tag_set = TagSet::new(&labels, EntityMode::Strict(Scheme::Iob2));
        let tag_set = tag_set.map_err(of(&model.name))?;
        let rows = held_out::rows(inputs, self.split)?;
        rows.iter().try_for_each(|row| check_types(&model, &tag_set, row))?;
        let room = self.room(&model)?;
        // `collect` keeps the order, and the first error of the rows' order is not promised.
        let sentences: Vec<Sentence> =
            rows.par_iter().map(|row| self.sentence(&model, room, row)).collect::<Result<_>>()?;
        ctx.begin(rows.len() as u64, Unit::Rows);
        let mut table = TableWriter::create(out, TAG_PREDICTIONS)?;
        for (rows, sentences) in rows.chunks(BATCH_ROWS).zip(sentences.chunks(BATCH_ROWS)) {
            ctx.check_cancelled()?;
            let logits = model.tag_logits(sentences)?;
            for ((row, sentence), logits) in rows.iter().zip(sentences).zip(logits) {
                let predicted = self.decode(&tag_set, sentence, &logits);
                let predicted = predicted.map_err(of(&model.name))?;
                let predicted =
                    predicted.into_iter().map(|tag| labels[tag as usize].clone()).collect();
                table.push(prediction(&model, row, predicted))?;
            }
            ctx.advance(rows.len() as u64);
        }
        let answered = |sentence: &Sentence| sentence.places.iter().flatten().count() as u64;
        let words = sentences.iter().map(|sentence| sentence.places.len() as u64).sum();
        out.count("rows", rows.len() as u64);
        out.count("windows", sentences.iter().map(|row| row.windows.len() as u64).sum());
        out.count("words", words);
        out.count("words_not_read", words - sentences.iter().map(answered).sum::<u64>());
        Ok(table.finish(out)?)
    }
}

impl Tag {
    /// Tokens of a text that fit between the special ones.
    fn room(&self, model: &Loaded) -> Result<NonZeroUsize> {
        let found = self.max_length.map_or(model.context(), |most| most.get().min(model.context()));
        let special = model.form.join(&[], None).tokens.len();
        NonZeroUsize::new(found.saturating_sub(special)).ok_or_else(|| EvaluateError::NoRoom {
            model: model.name.clone(),
            found,
            expected: special + 1,
        })
    }

    fn sentence(&self, model: &Loaded, room: NonZeroUsize, row: &HeldOut) -> Result<Sentence> {
        let place = || row.place.clone();
        let words = model
            .codec
            .encode_words(row.tagged()?.0)
            .map_err(|source| EvaluateError::Encode { place: place(), source })?;
        let num_tokens = words.ids.len();
        let windows = match self.too_long {
            TooLong::Refuse if num_tokens > room.get() => {
                let special = model.form.join(&[], None).tokens.len();
                return Err(EvaluateError::TooLongSentence {
                    place: place(),
                    model: model.name.clone(),
                    found: num_tokens + special,
                    expected: room.get() + special,
                });
            }
            TooLong::Windows => overlapping_windows(num_tokens, room),
            TooLong::Refuse | TooLong::Truncate => first_window(num_tokens, room),
        };
        let before = usize::from(model.form.prefix().is_some());
        let places = words.places(&windows).into_iter();
        let behind = |found: WordPlace| WordPlace { token: before + found.token, ..found };
        let join = |window: &Window| model.form.join(&words.ids[window.tokens.clone()], None);
        Ok(Sentence {
            windows: windows.iter().map(join).collect(),
            places: places.map(|found| found.map(behind)).collect(),
        })
    }

    fn decode(
        &self,
        tag_set: &TagSet,
        sentence: &Sentence,
        logits: &[Vec<f32>],
    ) -> Result<Vec<u32>, metrics::MetricsError> {
        let num_tags = tag_set.num_tags();
        let row = |place: WordPlace| &logits[place.window][place.token * num_tags..][..num_tags];
        let words: Vec<_> = sentence.places.iter().map(|place| place.map(row)).collect();
        tag_set.tag_words(&words, self.decoding)
    }
}

/// Refuses a row with entities of a type that the model does not know.
fn check_types(model: &Loaded, tag_set: &TagSet, row: &HeldOut) -> Result<()> {
    let known = tag_set.types();
    let is_known = |tag: &&String| {
        tag.split_once('-').is_none_or(|(_, kind)| known.iter().any(|known| known == kind))
    };
    match row.tagged()?.1.iter().find(|tag| !is_known(tag)) {
        None => Ok(()),
        Some(tag) => Err(EvaluateError::UnknownTag {
            place: row.place.clone(),
            model: model.name.clone(),
            tag: tag.clone(),
            known: known.join(", "),
        }),
    }
}

fn prediction(model: &Loaded, row: &HeldOut, predicted: Vec<String>) -> TagPrediction {
    TagPrediction {
        model: model.name.clone(),
        seed: model.seed,
        id: row.example.id.clone(),
        key: row.example.key.clone(),
        group: row.example.group.clone(),
        tags: row.example.tags.clone(),
        predicted,
    }
}

impl Loaded {
    /// Logits of every tag for each token of each window: `[sentences][windows][tokens, tags]`.
    fn tag_logits(&mut self, sentences: &[Sentence]) -> Result<Vec<Vec<Vec<f32>>>> {
        let windows: Vec<&Sequence> = sentences.iter().flat_map(|row| &row.windows).collect();
        let mut logits = Vec::with_capacity(windows.len());
        for batch in batches(&windows) {
            logits.extend(self.window_logits(batch)?);
        }
        let mut logits = logits.into_iter();
        Ok(sentences.iter().map(|row| logits.by_ref().take(row.windows.len()).collect()).collect())
    }

    fn window_logits(&mut self, windows: &[&Sequence]) -> Result<Vec<Vec<f32>>> {
        let sequences: Sequences = windows.iter().copied().collect();
        let asked = self.model.logits(&sequences).map_err(|source| EvaluateError::Model {
            name: self.name.clone(),
            source: Box::new(source),
        })?;
        let num_tags = asked.len() / sequences.tokens().len();
        let bounds = sequences.offsets().windows(2);
        Ok(bounds.map(|at| asked[at[0] * num_tags..at[1] * num_tags].to_vec()).collect())
    }
}

/// Windows, cut so that few tokens go together. A window's bits do not depend on the cut.
fn batches<'a>(mut windows: &'a [&'a Sequence]) -> impl Iterator<Item = &'a [&'a Sequence]> {
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fits = |window: &&&Sequence| {
            tokens += window.tokens.len();
            tokens <= BATCH_TOKENS
        };
        let count = windows.iter().take_while(fits).count().max(1).min(windows.len());
        let (batch, rest) = windows.split_at(count);
        windows = rest;
        (count > 0).then_some(batch)
    })
}
