//! Predictions for one text after the other.

use super::best::Best;
use super::line::Hash;
use super::loss::{self, Loss};
use super::{BadModel, Model};
use crate::error::{Error, Result};

/// A label and how probable it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Index of [`Model::labels`].
    pub label: usize,
    /// Its probability plus 0.00001, which fastText adds; with hierarchical softmax once for each branch on the way.
    pub probability: f32,
}

/// Predicts labels, and keeps its memory from one text to the next.
pub struct Predictor<'a> {
    model: &'a Model,
    hashes: Vec<Hash>,
    letters: Vec<u8>,
    /// The mean of a text's rows.
    hidden: Vec<f32>,
    scores: Vec<f32>,
    open: Vec<(u32, f32)>,
    best: Best,
    predictions: Vec<Prediction>,
}

impl<'a> Predictor<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        Self {
            model,
            hashes: Vec::new(),
            letters: Vec::new(),
            hidden: Vec::new(),
            scores: Vec::new(),
            open: Vec::new(),
            best: Best::default(),
            predictions: Vec::new(),
        }
    }

    /// The `k` most probable labels of those that are at least as probable as `threshold`, the best first.
    ///
    /// What fastText predicts for the text with blanks instead of line feeds. There are none where the model knows
    /// nothing of the text, not even how a line ends.
    ///
    /// # Errors
    /// [`Error::FastText`] when the weights give no numbers.
    pub fn predict(&mut self, text: &str, k: usize, threshold: f32) -> Result<&[Prediction]> {
        self.predictions.clear();
        self.best.clear(k.min(self.model.labels().len()));
        if k == 0 || !self.read(text) {
            return Ok(&self.predictions);
        }
        self.search(threshold)
            .map_err(|problem| Error::FastText { file: self.model.file.clone(), problem })?;
        self.predictions.extend(self.best.sorted().iter().map(|(logarithm, label)| Prediction {
            label: *label as usize,
            probability: libm::expf(*logarithm),
        }));
        Ok(&self.predictions)
    }

    /// Sets `hidden`. `false` if the text has no rows.
    fn read(&mut self, text: &str) -> bool {
        let Self { model, hashes, letters, hidden, .. } = self;
        let bytes = model.bytes();
        hidden.clear();
        hidden.resize(model.dim, 0.0);
        let mut num_rows = 0u64;
        model.dictionary.for_each_row(text, hashes, letters, |row| {
            model.input.add_row(bytes, row, hidden);
            num_rows += 1;
        });
        let scale = loss::narrow(1.0 / num_rows as f64);
        hidden.iter_mut().for_each(|value| *value *= scale);
        num_rows > 0
    }

    fn search(&mut self, threshold: f32) -> Result<(), BadModel> {
        let Self { model, hidden, scores, open, best, .. } = self;
        let bytes = model.bytes();
        let score = |row| model.output.dot_row(bytes, row, hidden);
        if let Loss::Hierarchical(tree) = &model.loss {
            let mut is_number = true;
            tree.search(threshold, open, best, |row| {
                let score = score(row);
                is_number &= !score.is_nan();
                score
            });
            return if is_number { Ok(()) } else { Err(BadModel::NotANumber) };
        }
        scores.clear();
        scores.extend((0..model.labels().len()).map(score));
        model.loss.apply(scores);
        if scores.iter().any(|score| score.is_nan()) {
            return Err(BadModel::NotANumber);
        }
        for (label, probability) in (0u32..).zip(scores.iter()) {
            let logarithm = loss::log(*probability);
            if *probability >= threshold && !best.is_full_of_better(logarithm) {
                best.push((logarithm, label));
            }
        }
        Ok(())
    }
}
