//! A model that is asked for the classes of texts.

use std::num::NonZeroUsize;

use model::{Sequence, Sequences};
use pipelines::error::Result as Checked;

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
    /// When the model is no classifier of texts, or there is no room for a token.
    pub fn new(
        loaded: Loaded,
        max_length: Option<NonZeroUsize>,
        too_long: TooLong,
    ) -> Result<Self> {
        let context = loaded.context();
        let max_length = max_length.map_or(context, |most| most.get().min(context));
        let labels = loaded.labels()?;
        let expected = loaded.num_special() + 1;
        if max_length < expected {
            let model = loaded.name;
            return Err(EvaluateError::NoRoom { model, found: max_length, expected });
        }
        Ok(Self { labels, loaded, max_length, too_long })
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
    /// When the sequences are not those of this model, its answers are no numbers, or `check_cancelled` fails, which is asked
    /// before each few thousand tokens.
    pub fn probabilities(
        &mut self,
        sequences: &[Sequence],
        check_cancelled: &dyn Fn() -> Checked<()>,
    ) -> Result<Vec<Vec<f64>>> {
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.tokens.len()).collect();
        let mut probabilities = Vec::with_capacity(sequences.len());
        for batch in token_batches(&lengths) {
            check_cancelled()?;
            let batch: Sequences = sequences[batch].iter().collect();
            let asked = self.loaded.model.class_probabilities(&batch);
            probabilities.extend(asked.map_err(self.loaded.unusable())?);
        }
        Ok(probabilities)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use codec::{Codec, tokenizer_json_of_vocab_txt};
    use model::{BertConfig, Checkpoint, CpuModel, Head, ModelError};
    use pipelines::error::Error;

    use super::*;

    /// Of two labels, with what `change` does to its weights.
    fn classifier(change: impl Fn(&mut Checkpoint), max_length: usize) -> Result<Classifier> {
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
        let tokenizer = tokenizer_json_of_vocab_txt(vocabulary.as_bytes(), None).unwrap();
        let config = BertConfig {
            vocab_size: 6,
            hidden_size: 4,
            intermediate_size: 4,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            initializer_range: 0.5,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            classifier_dropout: None,
            pad_token_id: Some(0),
            pooler: true,
            head: Head::SequenceClassification { labels: vec!["x".into(), "y".into()] },
        };
        let mut checkpoint = Checkpoint::fresh(config, 1).unwrap();
        change(&mut checkpoint);
        let model = CpuModel::from_checkpoint(checkpoint).unwrap();
        let codec = Codec::load(&tokenizer.bytes, None).unwrap();
        let loaded = Loaded::new("m".into(), 0, model, codec)?;
        Classifier::new(loaded, NonZeroUsize::new(max_length), TooLong::Truncate)
    }

    #[test]
    fn a_model_whose_logits_are_no_numbers_does_not_answer() {
        let damage = |checkpoint: &mut Checkpoint| {
            for entry in checkpoint.weights.iter_mut().filter(|it| it.name == "classifier.bias") {
                entry.value[1] = f32::NAN;
            }
        };
        let mut damaged = classifier(damage, 16).unwrap();
        let (sequence, _) = damaged.sequence("here", ("a", None)).unwrap();
        let error = damaged.probabilities(&[sequence], &|| Ok(())).unwrap_err();
        let EvaluateError::Model { name, source } = &error else { panic!("{error}") };
        assert!(name == "m" && matches!(**source, ModelError::ClassLogit { class: 1, .. }));
    }

    #[test]
    fn it_is_stopped_between_few_tokens() {
        let mut model = classifier(|_| {}, 512).unwrap();
        let (sequence, _) = model.sequence("here", (&"a ".repeat(600), None)).unwrap();
        let asked = Cell::new(0);
        let stop_at_the_second = || {
            asked.set(asked.get() + 1);
            if asked.get() < 2 { Ok(()) } else { Err(Error::Cancelled) }
        };
        let sequences = vec![sequence; 40];
        let stopped = model.probabilities(&sequences, &stop_at_the_second);
        assert!(matches!(stopped, Err(EvaluateError::Frame(Error::Cancelled))));
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn without_room_for_a_token_it_is_refused() {
        let refused = |max_length| classifier(|_| {}, max_length).err().map(|it| it.to_string());
        let words =
            "m reads 2 tokens at most, expected at least 3: the special ones and one of the text";
        assert_eq!(refused(2), Some(words.to_owned()));
        assert_eq!(refused(3), None);
    }
}
