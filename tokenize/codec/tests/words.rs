//! Labels of words and of tokens, and windows.

use codec::{LabelledTokens, WordTokens, windows};
use proptest::prelude::*;

/// Words of the given numbers of tokens.
fn tokens(lengths: &[usize]) -> WordTokens {
    let word_idx: Vec<usize> =
        lengths.iter().enumerate().flat_map(|(word, &length)| vec![word; length]).collect();
    WordTokens { ids: vec![7; word_idx.len()], word_idx, num_words: lengths.len() }
}

#[test]
fn the_first_token_carries_the_label_or_all_do() {
    let tokens = tokens(&[2, 0, 1, 3]);
    let labels = |labelled| tokens.token_labels(&[5, 6, 7, 8], labelled).unwrap();
    let (five, seven, eight) = (Some(5), Some(7), Some(8));
    assert_eq!(labels(LabelledTokens::First), [five, None, seven, eight, None, None]);
    assert_eq!(labels(LabelledTokens::All), [five, five, seven, eight, eight, eight]);
    assert_eq!(tokens.first_tokens(), [Some(0), None, Some(2), Some(3)]);
    assert_eq!(tokens.word_labels(&[1, 2, 3, 4, 5, 6]).unwrap(), [Some(1), None, Some(3), Some(4)]);
}

#[test]
fn lists_of_other_lengths_are_refused() {
    let tokens = tokens(&[2, 1]);
    let error = tokens.token_labels(&[1], LabelledTokens::All).unwrap_err();
    assert_eq!(error.to_string(), "1 labels of words, but 2 are expected");
    let error = tokens.word_labels(&[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "2 labels of tokens, but 3 are expected");
}

#[test]
fn windows_have_to_move_on() {
    assert_eq!(windows(9, 4.try_into().unwrap(), 4), None);
    assert_eq!(windows(0, 4.try_into().unwrap(), 3).unwrap(), []);
    let whole = windows(4, 4.try_into().unwrap(), 3).unwrap();
    assert_eq!((whole.len(), whole[0].tokens.clone(), whole[0].kept.clone()), (1, 0..4, 0..4));
    let huge = windows(4, usize::MAX.try_into().unwrap(), 3).unwrap();
    assert_eq!(huge, whole);
}

proptest! {
    #[test]
    fn labels_of_words_come_back(lengths in prop::collection::vec(0..4usize, 0..20)) {
        let tokens = tokens(&lengths);
        let words: Vec<u32> = (0..).take(lengths.len()).collect();
        for labelled in [LabelledTokens::First, LabelledTokens::All] {
            let labels = tokens.token_labels(&words, labelled).unwrap();
            let predicted: Vec<u32> = labels.iter().map(|label| label.unwrap_or(u32::MAX)).collect();
            let back = tokens.word_labels(&predicted).unwrap();
            let expected = words.iter().zip(&lengths).map(|(&word, &length)| (length > 0).then_some(word));
            prop_assert!(back.into_iter().eq(expected));
        }
    }

    #[test]
    fn every_token_is_kept_once_where_most_is_seen(num_tokens in 0..60usize, max_tokens in 1..12usize, overlap in 0..12usize) {
        prop_assume!(overlap < max_tokens);
        let windows = windows(num_tokens, max_tokens.try_into().unwrap(), overlap).unwrap();
        let kept: Vec<usize> = windows.iter().flat_map(|window| window.kept.clone()).collect();
        prop_assert!(kept.into_iter().eq(0..num_tokens));
        for pair in windows.windows(2) {
            prop_assert_eq!(pair[0].tokens.end - pair[1].tokens.start, overlap);
            prop_assert_eq!(pair[0].tokens.len(), max_tokens);
        }
        for token in 0..num_tokens {
            let context = |window: &codec::Window| {
                let left = if window.tokens.start == 0 { usize::MAX } else { token - window.tokens.start };
                let right = if window.tokens.end == num_tokens { usize::MAX } else { window.tokens.end - 1 - token };
                left.min(right)
            };
            let shown = windows.iter().filter(|window| window.tokens.contains(&token));
            let most = shown.reduce(|most, next| if context(next) > context(most) { next } else { most });
            prop_assert!(most.unwrap().kept.contains(&token), "{} {:?}", token, windows);
        }
    }
}
