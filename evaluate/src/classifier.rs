//! A model that is asked for the classes of texts.

use std::num::NonZeroUsize;

use model::{Sequence, Sequences};

use crate::{
    batches::token_batches,
    config::TooLong,
    error::{EvaluateError, Result},
    model_files::Loaded,
    sequence,
};

/// A classifier of texts, or of pairs of texts, and how it reads them: as it learnt to.
pub struct Classifier {
    loaded: Loaded,
    labels: Vec<String>,
    max_length: usize,
    too_long: TooLong,
}

impl Classifier {
    /// A classifier that reads at most `max_length` tokens of a text, special ones included; `None`, and anything above
    /// it, is its context.
    ///
    /// # Errors
    /// When the model is no classifier of texts.
    pub fn new(
        loaded: Loaded,
        max_length: Option<NonZeroUsize>,
        too_long: TooLong,
    ) -> Result<Self> {
        let context = loaded.context();
        let max_length = max_length.map_or(context, |most| most.get().min(context));
        Ok(Self { labels: loaded.labels()?, loaded, max_length, too_long })
    }

    /// The step or path that it came from.
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// The seed that it was fine-tuned from.
    pub fn seed(&self) -> u64 {
        self.loaded.seed
    }

    /// Its labels, in the order of their ids.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What it reads of one text, or of two, and whether that was cut.
    ///
    /// # Errors
    /// When a text cannot be encoded, or is too long and that is refused; `place` names it.
    pub fn sequence(&self, place: &str, texts: (&str, Option<&str>)) -> Result<(Sequence, bool)> {
        let place = || place.to_owned();
        let whole = sequence::encode(&self.loaded.codec, self.loaded.form, texts)
            .map_err(|source| EvaluateError::Encode { place: place(), source })?;
        let expected = self.max_length;
        let is_cut = whole.tokens.len() > expected;
        let fitted = sequence::fit(whole, self.loaded.form, expected, self.too_long);
        let too_long = |found| EvaluateError::TooLong {
            place: place(),
            model: self.name().to_owned(),
            found,
            expected,
        };
        Ok((fitted.map_err(too_long)?, is_cut))
    }

    /// Probability of each label for each sequence. Those of a sequence do not depend on the others.
    ///
    /// # Errors
    /// When the sequences are not those of this model.
    pub fn probabilities(&mut self, sequences: &[Sequence]) -> Result<Vec<Vec<f64>>> {
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.tokens.len()).collect();
        let mut probabilities = Vec::with_capacity(sequences.len());
        for batch in token_batches(&lengths) {
            let batch: Sequences = sequences[batch].iter().collect();
            let asked = self.loaded.model.class_probabilities(&batch);
            probabilities.extend(asked.map_err(self.loaded.unusable())?);
        }
        Ok(probabilities)
    }
}
