//! What goes through a model together.

use std::ops::Range;

/// Most tokens that go through the model together; memory grows with them.
const BATCH_TOKENS: usize = 4096;

/// Cuts sequences of so many tokens into runs that go through a model together: few tokens, and at least one sequence.
/// A sequence's bits do not depend on the cut.
pub(crate) fn token_batches(num_tokens: &[usize]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, length) in num_tokens.iter().enumerate() {
        tokens += length;
        if tokens > BATCH_TOKENS && at > start {
            batches.push(start..at);
            (start, tokens) = (at, *length);
        }
    }
    if start < num_tokens.len() {
        batches.push(start..num_tokens.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(num_tokens: &[usize], expected: &[(usize, usize)]) {
        let found: Vec<_> =
            token_batches(num_tokens).iter().map(|batch| (batch.start, batch.end)).collect();
        assert_eq!(found, expected, "{num_tokens:?}");
    }

    #[test]
    fn every_sequence_is_in_one_batch_of_few_tokens() {
        check(&[], &[]);
        check(&[1, 2], &[(0, 2)]);
        check(&[BATCH_TOKENS, 1], &[(0, 1), (1, 2)]);
        check(&[1, BATCH_TOKENS + 1, 1], &[(0, 1), (1, 2), (2, 3)]);
        check(&[BATCH_TOKENS - 1, 1, 1], &[(0, 2), (2, 3)]);
    }
}
