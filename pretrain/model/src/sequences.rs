//! What a model reads: sequences of token ids, one after another, without padding.

use std::ops::Range;

use crate::{
    dropout::Place,
    error::{ModelError, Result},
    form::Sequence,
};

/// Sequences of token ids laid end to end. Attention never crosses from one to the next, and positions start again
/// at zero in each, so a sequence gives the same bits alone and beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    tokens: Vec<u32>,
    /// The type of each token: 1 in the second of two texts, else 0.
    types: Vec<u32>,
    places: Vec<Place>,
    offsets: Vec<usize>,
}

impl Sequences {
    /// No sequences.
    pub fn new() -> Self {
        Self { tokens: Vec::new(), types: Vec::new(), places: Vec::new(), offsets: vec![0] }
    }

    /// Adds one sequence at the end.
    pub fn push(&mut self, tokens: &[u32]) {
        self.push_pair(tokens, &[]);
    }

    /// Adds one sequence of two texts at the end. Families with token types (BERT) tell them apart.
    pub fn push_pair(&mut self, first: &[u32], second: &[u32]) {
        for (kind, tokens) in [(0, first), (1, second)] {
            self.tokens.extend_from_slice(tokens);
            self.types.resize(self.tokens.len(), kind);
        }
        let sequence = self.len() as u64;
        let tokens = (0..).take(first.len() + second.len());
        self.places.extend(tokens.map(|position| Place { sequence, position }));
        self.offsets.push(self.tokens.len());
    }

    /// Gives each sequence a number of its own, by which dropout knows it: a sequence of the same number has the same masks
    /// in any batch of a step. Those without one are numbered from zero as they were added.
    ///
    /// # Errors
    /// [`ModelError::WrongCount`] when there are more or fewer numbers than sequences.
    pub fn number(&mut self, numbers: &[u64]) -> Result<()> {
        let (found, expected) = (numbers.len(), self.len());
        if found != expected {
            let (what, each) = ("numbers", "sequence");
            return Err(ModelError::WrongCount { what, each, found, expected });
        }
        for (bounds, number) in self.offsets.windows(2).zip(numbers) {
            self.places[bounds[0]..bounds[1]].iter_mut().for_each(|at| at.sequence = *number);
        }
        Ok(())
    }

    /// Forgets the sequences and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.types.clear();
        self.places.clear();
        self.offsets.truncate(1);
    }

    /// The sequences from `first` on that have at most `max_tokens` together; at least that one.
    pub(crate) fn run(&self, first: usize, max_tokens: usize) -> Range<usize> {
        let last_token = self.offsets[first] + max_tokens;
        let fitting = self.offsets[first + 1..].partition_point(|&end| end <= last_token);
        first..first + fitting.max(1)
    }

    /// Adds some sequences of `others` at the end.
    pub(crate) fn extend(&mut self, others: &Self, run: Range<usize>) {
        let tokens = others.offsets[run.start]..others.offsets[run.end];
        let shift = |end: &usize| end - tokens.start + self.tokens.len();
        self.offsets.extend(others.offsets[run.start + 1..=run.end].iter().map(shift));
        self.types.extend_from_slice(&others.types[tokens.clone()]);
        self.places.extend_from_slice(&others.places[tokens.clone()]);
        self.tokens.extend_from_slice(&others.tokens[tokens]);
    }

    /// All ids, in order.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The type of each token: 0, or 1 in the second of two texts.
    pub fn types(&self) -> &[u32] {
        &self.types
    }

    /// Where each token stands.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The place of each token in its sequence, counted from zero.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u32> {
        self.places.iter().map(|place| place.position)
    }

    /// Where each sequence begins, and the number of tokens at the end: one longer than the number of sequences.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that the model has embeddings for the types of the tokens.
    ///
    /// # Errors
    /// [`ModelError::UnknownTokenType`] names the first that it lacks.
    pub(crate) fn check_types(&self, type_vocab_size: usize) -> Result<()> {
        match self.types.iter().position(|&kind| kind as usize >= type_vocab_size) {
            Some(token) => Err(ModelError::UnknownTokenType {
                token,
                found: self.types[token],
                expected: type_vocab_size,
            }),
            None => Ok(()),
        }
    }

    /// Checks every sequence against the vocabulary and the context.
    ///
    /// # Errors
    /// Names the first empty or too long sequence, or the first id outside the vocabulary.
    pub(crate) fn check(&self, vocab_size: usize, max_len: usize) -> Result<()> {
        for (sequence, bounds) in self.offsets.windows(2).enumerate() {
            match bounds[1] - bounds[0] {
                0 => return Err(ModelError::EmptySequence { sequence }),
                found if found > max_len => {
                    return Err(ModelError::SequenceTooLong { sequence, found, expected: max_len });
                }
                _ => {}
            }
        }
        match self.tokens.iter().position(|&id| id as usize >= vocab_size) {
            Some(token) => Err(ModelError::UnknownToken {
                token,
                found: self.tokens[token],
                expected: vocab_size,
            }),
            None => Ok(()),
        }
    }
}

impl Default for Sequences {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: AsRef<[u32]>> FromIterator<S> for Sequences {
    fn from_iter<I: IntoIterator<Item = S>>(iter: I) -> Self {
        let mut sequences = Self::new();
        for tokens in iter {
            sequences.push(tokens.as_ref());
        }
        sequences
    }
}

impl<'a> FromIterator<&'a Sequence> for Sequences {
    fn from_iter<I: IntoIterator<Item = &'a Sequence>>(iter: I) -> Self {
        let mut sequences = Self::new();
        for sequence in iter {
            let (first, second) = sequence.texts();
            sequences.push_pair(first, second);
        }
        sequences
    }
}

/// Sequences with what is to be predicted at their tokens: the next token, the masked one, or a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    sequences: Sequences,
    targets: Vec<Option<u32>>,
}

impl TokenBatch {
    /// No sequences.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sequence and a target for each of its tokens; a token without target is read and not counted.
    ///
    /// # Errors
    /// [`ModelError::WrongCount`] when there are more or fewer targets than tokens.
    pub fn push(&mut self, tokens: &[u32], targets: &[Option<u32>]) -> Result<()> {
        self.push_pair(tokens, &[], targets)
    }

    /// Adds one sequence of two texts, and a target for each of its tokens.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_pair(
        &mut self,
        first: &[u32],
        second: &[u32],
        targets: &[Option<u32>],
    ) -> Result<()> {
        let (found, expected) = (targets.len(), first.len() + second.len());
        if found != expected {
            return Err(ModelError::WrongCount { what: "targets", each: "token", found, expected });
        }
        self.sequences.push_pair(first, second);
        self.targets.extend_from_slice(targets);
        Ok(())
    }

    /// Adds a window of `n + 1` tokens as a sequence of `n`, each with the token after it as target.
    ///
    /// A window of fewer than two tokens predicts nothing and adds nothing.
    pub fn push_window(&mut self, window: &[u32]) {
        if let Some((_, inputs)) = window.split_last().filter(|(_, inputs)| !inputs.is_empty()) {
            self.sequences.push(inputs);
            self.targets.extend(window[1..].iter().copied().map(Some));
        }
    }

    /// Gives each sequence a number of its own, as [`Sequences::number`] does.
    ///
    /// # Errors
    /// [`ModelError::WrongCount`] when there are more or fewer numbers than sequences.
    pub fn number(&mut self, numbers: &[u64]) -> Result<()> {
        self.sequences.number(numbers)
    }

    /// Forgets the sequences and keeps the memory.
    pub fn clear(&mut self) {
        self.sequences.clear();
        self.targets.clear();
    }

    /// The sequences that are read.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// What is predicted at each token of all sequences.
    pub fn targets(&self) -> &[Option<u32>] {
        &self.targets
    }

    /// Number of tokens with a target.
    pub fn counted(&self) -> usize {
        self.targets.iter().flatten().count()
    }
}

/// A sum of losses and over how many it was taken; the caller divides, once, over the whole optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Negative log-likelihood, in nats.
    pub nats: f64,
    /// Tokens (or labels) counted.
    pub counted: usize,
}

impl LossSum {
    /// Nats per counted token, or `None` where nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        (self.counted > 0).then(|| self.nats / self.counted as f64)
    }
}

impl std::ops::AddAssign for LossSum {
    fn add_assign(&mut self, other: Self) {
        self.nats += other.nats;
        self.counted += other.counted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sequences: &[&[u32]], expected: &str) {
        let sequences: Sequences = sequences.iter().collect();
        assert_eq!(
            sequences.check(5, 3).map_err(|error| error.to_string()).err().unwrap_or_default(),
            expected
        );
    }

    #[test]
    fn bad_sequences_are_named() {
        check(&[], "");
        check(&[&[0, 1, 4], &[2]], "");
        check(&[&[0], &[]], "sequence 1 is empty; expected at least one token");
        check(
            &[&[0, 1, 2, 3]],
            "sequence 0 has 4 tokens; the model's context holds 3 (max_position_embeddings)",
        );
        check(&[&[0], &[5]], "token 1 is id 5; expected an id below the vocabulary size 5");
    }

    #[test]
    fn runs_fit_and_are_copied_whole() {
        let all: Sequences = [&[1, 2, 3][..], &[4], &[5, 6], &[7, 8, 9, 10]].iter().collect();
        let runs = |max_tokens: usize| {
            let mut runs = vec![all.run(0, max_tokens)];
            while let Some(run) = runs.last().filter(|run| run.end < all.len()) {
                runs.push(all.run(run.end, max_tokens));
            }
            runs
        };
        assert_eq!(runs(1), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(runs(4), [0..2, 2..3, 3..4]);
        assert_eq!(runs(6), [0..3, 3..4]);
        assert_eq!(runs(9), [0..3, 3..4]);
        let mut copy = Sequences::new();
        runs(4).into_iter().for_each(|run| copy.extend(&all, run));
        assert_eq!(copy, all);
    }

    #[test]
    fn a_window_predicts_each_next_token() {
        let mut batch = TokenBatch::new();
        for window in [&[7][..], &[], &[1, 2, 3]] {
            batch.push_window(window);
        }
        assert_eq!(batch.sequences().tokens(), [1, 2]);
        assert_eq!(batch.targets(), [Some(2), Some(3)]);
        assert_eq!((batch.sequences().len(), batch.counted()), (1, 2));
    }
}
