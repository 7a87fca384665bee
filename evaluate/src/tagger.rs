//! A model that is asked for the tags of words.

use std::num::NonZeroUsize;

use codec::{Window, WordPlace, first_window, overlapping_windows};
use metrics::{Decoding, EntityMode, Scheme, TagSet};
use model::{Sequence, Sequences};
use pipelines::error::Result as Checked;

use crate::{
    batches::token_batches,
    config::TooLong,
    error::{EvaluateError, Result},
    model_files::Loaded,
    scores::of,
};

/// A classifier of words, and how it reads a sentence: as it learnt to, by the first token of each word, in windows where
/// the sentence is long.
pub struct Tagger {
    loaded: Loaded,
    labels: Vec<String>,
    tag_set: TagSet,
    /// Tokens of a text that fit between the special ones.
    room: NonZeroUsize,
    too_long: TooLong,
    decoding: Decoding,
}

/// A sentence as a model reads it.
pub struct Sentence {
    /// Its windows, with special tokens.
    windows: Vec<Sequence>,
    /// Where the answer for each word stands; `None` where there is none.
    places: Vec<Option<WordPlace>>,
    is_cut: bool,
}

/// The tag of a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WordTag {
    /// Its number.
    pub tag: u32,
    /// What the model gives to it, were the word alone; `None` for a word that the model did not read.
    pub probability: Option<f64>,
}

impl Tagger {
    /// A tagger that reads at most `max_length` tokens together, special ones included; `None`, and anything above it, is
    /// its context.
    ///
    /// # Errors
    /// When the model is no classifier of tokens, its tags are not IOB2, or there is no room for a token.
    pub fn new(
        loaded: Loaded,
        max_length: Option<NonZeroUsize>,
        too_long: TooLong,
        decoding: Decoding,
    ) -> Result<Self> {
        let labels = loaded.tags()?;
        // Strict, so that tags of another scheme are refused: nothing but IOB2 is decoded.
        let tag_set = TagSet::new(&labels, EntityMode::Strict(Scheme::Iob2));
        let tag_set = tag_set.map_err(of(&loaded.name))?;
        let found = max_length.map_or(loaded.context(), |most| most.get().min(loaded.context()));
        let special = loaded.num_special();
        let room = NonZeroUsize::new(found.saturating_sub(special)).ok_or_else(|| {
            EvaluateError::NoRoom { model: loaded.name.clone(), found, expected: special + 1 }
        })?;
        Ok(Self { loaded, labels, tag_set, room, too_long, decoding })
    }

    /// The step or path that it came from.
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// The seed that it was fine-tuned from.
    pub fn seed(&self) -> u64 {
        self.loaded.seed
    }

    /// Its tags, in the order of their ids.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Its tags, and what entities they make.
    pub fn tag_set(&self) -> &TagSet {
        &self.tag_set
    }

    /// What it reads of a sentence.
    ///
    /// # Errors
    /// When a word cannot be encoded, or the sentence is too long and that is refused; `place` names it.
    pub fn sentence<W: AsRef<str>>(&self, place: &str, words: &[W]) -> Result<Sentence> {
        let Self { loaded, room, .. } = self;
        let words = loaded
            .codec
            .encode_words(words)
            .map_err(|source| EvaluateError::Encode { place: place.to_owned(), source })?;
        let num_tokens = words.ids.len();
        let windows = match self.too_long {
            TooLong::Refuse if num_tokens > room.get() => {
                let special = loaded.num_special();
                return Err(EvaluateError::TooLongSentence {
                    place: place.to_owned(),
                    model: loaded.name.clone(),
                    found: num_tokens + special,
                    expected: room.get() + special,
                });
            }
            TooLong::Windows => overlapping_windows(num_tokens, *room),
            TooLong::Refuse | TooLong::Truncate => first_window(num_tokens, *room),
        };
        let before = usize::from(loaded.form.prefix().is_some());
        let places = words.places(&windows).into_iter();
        let behind = |found: WordPlace| WordPlace { token: before + found.token, ..found };
        let join = |window: &Window| loaded.form.join(&words.ids[window.tokens.clone()], None);
        Ok(Sentence {
            is_cut: windows.last().is_some_and(|last| last.kept.end < num_tokens),
            windows: windows.iter().map(join).collect(),
            places: places.map(|found| found.map(behind)).collect(),
        })
    }

    /// The tag of each word of each sentence. Those of a sentence do not depend on the others.
    ///
    /// # Errors
    /// When the sentences are not those of this model, its answers are no numbers, or `check_cancelled` fails, which is asked
    /// before each few thousand tokens.
    pub fn tag(
        &mut self,
        sentences: &[Sentence],
        check_cancelled: &dyn Fn() -> Checked<()>,
    ) -> Result<Vec<Vec<WordTag>>> {
        let logits = self.logits(sentences, check_cancelled)?;
        let tagged = sentences.iter().zip(&logits);
        tagged.map(|(sentence, logits)| self.decode(sentence, logits)).collect()
    }

    /// Logits of every tag for each token of each window: `[sentences][windows][tokens, tags]`.
    fn logits(
        &mut self,
        sentences: &[Sentence],
        check_cancelled: &dyn Fn() -> Checked<()>,
    ) -> Result<Vec<Vec<Vec<f32>>>> {
        let windows: Vec<&Sequence> = sentences.iter().flat_map(|row| &row.windows).collect();
        let lengths: Vec<usize> = windows.iter().map(|window| window.tokens.len()).collect();
        let mut logits = Vec::with_capacity(windows.len());
        for batch in token_batches(&lengths) {
            check_cancelled()?;
            logits.extend(self.window_logits(&windows[batch])?);
        }
        let mut logits = logits.into_iter();
        Ok(sentences.iter().map(|row| logits.by_ref().take(row.windows.len()).collect()).collect())
    }

    fn window_logits(&mut self, windows: &[&Sequence]) -> Result<Vec<Vec<f32>>> {
        let sequences: Sequences = windows.iter().copied().collect();
        let asked = self.loaded.model.logits(&sequences).map_err(self.loaded.unusable())?;
        let num_tags = self.labels.len();
        let bounds = sequences.offsets().windows(2);
        Ok(bounds.map(|at| asked[at[0] * num_tags..at[1] * num_tags].to_vec()).collect())
    }

    fn decode(&self, sentence: &Sentence, logits: &[Vec<f32>]) -> Result<Vec<WordTag>> {
        let num_tags = self.labels.len();
        let row = |place: WordPlace| &logits[place.window][place.token * num_tags..][..num_tags];
        let words: Vec<_> = sentence.places.iter().map(|place| place.map(row)).collect();
        let tags = self.tag_set.tag_words(&words, self.decoding).map_err(of(self.name()))?;
        let tagged = tags.into_iter().zip(words).map(|(tag, logits)| WordTag {
            tag,
            probability: logits.map(|logits| model::softmax(logits)[tag as usize]),
        });
        Ok(tagged.collect())
    }
}

impl Sentence {
    /// Windows in which it is read.
    pub fn num_windows(&self) -> usize {
        self.windows.len()
    }

    /// Its words.
    pub fn num_words(&self) -> usize {
        self.places.len()
    }

    /// Words that the model answers for: not those without a token, nor those behind a cut.
    pub fn num_answered(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// Whether its end is not read.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}
