//! Legal decoding against every legal sequence.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{Decoding, EntityMode, MetricsError, Scheme, TagSet, argmax};
use proptest::prelude::*;

const NAMES: [&str; 5] = ["I-A", "O", "B-B", "I-B", "B-A"];
const NUM_TAGS: usize = NAMES.len();

fn tags() -> TagSet {
    TagSet::new(&NAMES, EntityMode::Strict(Scheme::Iob2)).unwrap()
}

fn is_legal(sequence: &[u32]) -> bool {
    let name = |tag: u32| NAMES[tag as usize];
    (0..sequence.len()).all(|at| {
        let behind = at.checked_sub(1).map_or("O", |before| name(sequence[before]));
        let inside = name(sequence[at]).strip_prefix("I-");
        inside.is_none_or(|kind| behind.strip_prefix(['B', 'I']) == Some(&format!("-{kind}")))
    })
}

/// Every sequence, in the order of their tags read from the end.
fn sequences(tokens: usize) -> impl Iterator<Item = Vec<u32>> {
    (0..NUM_TAGS.pow(tokens.try_into().unwrap())).map(move |number| {
        let tag = |at| number / NUM_TAGS.pow(at) % NUM_TAGS;
        (0..tokens).map(|at| u32::try_from(tag(at.try_into().unwrap())).unwrap()).collect()
    })
}

fn score(scores: &[f64], sequence: &[u32]) -> f64 {
    scores.chunks(NUM_TAGS).zip(sequence).map(|(row, tag)| row[*tag as usize]).sum()
}

/// Whole numbers, so that sums are exact and ties common.
fn scores() -> impl Strategy<Value = Vec<f64>> {
    let score = prop_oneof![4 => (-4..=0).prop_map(f64::from), 1 => Just(f64::NEG_INFINITY)];
    prop::collection::vec(prop::collection::vec(score, NUM_TAGS), 0..6)
        .prop_map(|rows| rows.concat())
}

proptest! {
    #[test]
    fn the_best_legal_sequence_comes_out(scores in scores()) {
        let found = tags().decode(&scores).unwrap();
        let legal = sequences(scores.len() / NUM_TAGS).filter(|sequence| is_legal(sequence));
        let best = legal.reduce(|best, next| {
            if score(&scores, &next) > score(&scores, &best) { next } else { best }
        });
        let best = best.unwrap();
        prop_assert!(is_legal(&found), "{:?}", found);
        prop_assert_eq!(score(&scores, &found), score(&scores, &best));
        if score(&scores, &best).is_finite() {
            prop_assert_eq!(found, best);
        }
    }

    #[test]
    fn what_is_best_alone_stays_where_it_is_legal(scores in prop::collection::vec(-9.0f32..0.0, 0..8 * NUM_TAGS)) {
        let scores = &scores[..scores.len() / NUM_TAGS * NUM_TAGS];
        let alone = argmax(scores, NUM_TAGS).unwrap();
        let decoded = tags().decode(scores).unwrap();
        prop_assert_eq!(is_legal(&alone), alone == decoded);
    }

    #[test]
    fn all_modes_see_the_same_entities_in_what_is_decoded(scores in scores()) {
        let decoded = tags().decode(&scores).unwrap();
        let lenient = TagSet::new(&NAMES, EntityMode::Lenient).unwrap();
        prop_assert_eq!(tags().entities(&decoded), lenient.entities(&decoded));
    }
}

#[test]
fn of_equals_the_lowest_index_wins() {
    assert_eq!(argmax(&[0.0, 1.0, 1.0, 2.0, 2.0, 2.0], 3).unwrap(), [1, 0]);
    // I-A may not begin; behind B-A it ties with every other tag and comes first.
    assert_eq!(tags().decode(&[0.0; 5]).unwrap(), [1]);
    assert_eq!(tags().decode(&[0.0; 10]).unwrap(), [4, 0]);
}

#[test]
fn what_cannot_be_decoded_is_named() {
    let message = |result: Result<Vec<u32>, MetricsError>| result.unwrap_err().to_string();
    assert_eq!(tags().decode::<f64>(&[]).unwrap(), Vec::<u32>::new());
    assert_eq!(message(tags().decode(&[0.0; 7])), "7 scores of tags, but 5 are expected");
    assert_eq!(
        message(tags().decode(&[0.0, 0.0, f32::NAN, 0.0, 0.0])),
        "score of a tag is NaN, expected a number below infinity"
    );
    let inside = TagSet::new(&["I-A", "I-B"], EntityMode::Lenient).unwrap();
    assert_eq!(message(inside.decode(&[0.0, 0.0])), "no tags O or B to measure");
    assert_eq!(message(argmax::<f32>(&[], 0)), "no tags to measure");
}

#[test]
fn words_without_scores_are_outside() {
    let row = [9.0, 0.0, 1.0, 5.0, 2.0];
    let tag = |words: &[Option<&[f64]>], decoding| tags().tag_words(words, decoding).unwrap();
    assert_eq!(tag(&[Some(&row), None, Some(&row)], Decoding::Argmax), [0, 1, 0]);
    assert_eq!(tag(&[None, Some(&row), Some(&row)], Decoding::Legal), [1, 4, 0]);
    assert_eq!(tag(&[], Decoding::Legal), [0; 0]);
    let short = tags().tag_words(&[Some(&row[..4])], Decoding::Legal);
    assert!(matches!(short, Err(MetricsError::Length { found: 4, expected: 5, .. })), "{short:?}");
    let no_outside = TagSet::new(&["B-A"], EntityMode::Lenient).unwrap();
    let refused = no_outside.tag_words::<f64>(&[None], Decoding::Legal);
    assert_eq!(refused, Err(MetricsError::Empty { what: "tags O" }));
}
