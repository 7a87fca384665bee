//! Phase `tag`: how fine-tuned token classifiers tag held-out rows, one task for each model and seed.

use std::num::NonZeroUsize;

use metrics::Decoding;
use model::NumericProfile;
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
    classify::{self, BATCH_ROWS},
    config::TooLong,
    error::{EvaluateError, Result},
    held_out::{self, HeldOut},
    model_files::Loaded,
    tagger::{Sentence, Tagger, WordTag},
};

/// Name of the phase.
pub const NAME: &str = "tag";

/// The table of predicted tags.
pub const TAG_PREDICTIONS: &str = "tag-predictions";

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

impl Phase for Tag {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
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
        let model = Loaded::read(inputs, self.numeric_profile)?;
        let mut tagger = Tagger::new(model, self.max_length, self.too_long, self.decoding)?;
        let rows = held_out::rows(inputs, self.split)?;
        rows.iter().try_for_each(|row| check_types(&tagger, row))?;
        // `collect` keeps the order, and the first error of the rows' order is not promised.
        let sentence = |row: &HeldOut| tagger.sentence(&row.place, row.tagged()?.0);
        let sentences: Vec<Sentence> = rows.par_iter().map(sentence).collect::<Result<_>>()?;
        ctx.begin(rows.len() as u64, Unit::Rows);
        let mut table = TableWriter::create(out, TAG_PREDICTIONS)?;
        for (rows, sentences) in rows.chunks(BATCH_ROWS).zip(sentences.chunks(BATCH_ROWS)) {
            ctx.check_cancelled()?;
            let asked = tagger.tag(sentences, &|| ctx.check_cancelled())?;
            for (row, tags) in rows.iter().zip(asked) {
                let name = |word: WordTag| tagger.labels()[word.tag as usize].clone();
                let predicted = tags.into_iter().map(name).collect();
                table.push(prediction(&tagger, row, predicted))?;
            }
            ctx.advance(rows.len() as u64);
        }
        let sum = |count: fn(&Sentence) -> usize| sentences.iter().map(count).sum::<usize>() as u64;
        let words = sum(Sentence::num_words);
        out.count("rows", rows.len() as u64);
        out.count("windows", sum(Sentence::num_windows));
        out.count("words", words);
        out.count("words_not_read", words - sum(Sentence::num_answered));
        Ok(table.finish(out)?)
    }
}

/// Refuses a row with entities of a type that the model does not know.
fn check_types(model: &Tagger, row: &HeldOut) -> Result<()> {
    let known = model.tag_set().types();
    let is_known = |tag: &&String| {
        tag.split_once('-').is_none_or(|(_, kind)| known.iter().any(|known| known == kind))
    };
    match row.tagged()?.1.iter().find(|tag| !is_known(tag)) {
        None => Ok(()),
        Some(tag) => Err(EvaluateError::UnknownTag {
            place: row.place.clone(),
            model: model.name().to_owned(),
            tag: tag.clone(),
            known: known.join(", "),
        }),
    }
}

fn prediction(model: &Tagger, row: &HeldOut, predicted: Vec<String>) -> TagPrediction {
    TagPrediction {
        model: model.name().to_owned(),
        seed: model.seed(),
        id: row.example.id.clone(),
        key: row.example.key.clone(),
        group: row.example.group.clone(),
        tags: row.example.tags.clone(),
        predicted,
    }
}
