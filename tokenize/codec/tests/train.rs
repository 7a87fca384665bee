//! The trainer against `BpeTrainer` of tokenizers, and the counts it learns from.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use codec::{CodecError, END_OF_TEXT, PretokenCounts, Vocabulary, pretokens};
use proptest::prelude::*;
use tokenizers::{
    AddedToken, Model,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

const SAMPLE: &str = include_str!("reference/sample.txt");

fn train(texts: &[&str], size: usize) -> Vocabulary {
    let mut counts = PretokenCounts::default();
    texts.iter().for_each(|text| counts.count(text).unwrap());
    Vocabulary::train(&counts, size, |_| Ok::<_, CodecError>(())).unwrap()
}

/// Tokens by id, and merges by rank, as tokenizers learns them.
fn reference(text: &str, size: usize) -> (Vec<String>, Vec<(String, String)>) {
    let spelling = Vocabulary::train(&PretokenCounts::default(), 257, |_| Ok::<_, CodecError>(()));
    let alphabet: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
    assert_eq!(spelling.unwrap().size(), alphabet.len() + 1);
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(2)
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .initial_alphabet(alphabet)
        .build();
    let words = pretokens(text).map(spell).collect::<Vec<_>>();
    tokenizers::Trainer::feed(&mut trainer, words.iter(), |word| Ok(vec![word.to_owned()]))
        .unwrap();
    let mut model = BPE::default();
    tokenizers::Trainer::train(&trainer, &mut model).unwrap();
    let tokens = (0u32..).map_while(|id| model.id_to_token(id)).collect();
    let json: serde_json::Value = serde_json::to_value(&model).unwrap();
    (tokens, serde_json::from_value(json["merges"].clone()).unwrap())
}

/// The text in the stand-in characters of byte-level vocabularies, by tokenizers.
fn spell(text: &str) -> String {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
    let mut pre_tokenized = PreTokenizedString::from(text);
    ByteLevel::new(false, false, false).pre_tokenize(&mut pre_tokenized).unwrap();
    let splits = pre_tokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
    splits.into_iter().map(|(spelt, ..)| spelt).collect()
}

#[track_caller]
fn check(text: &str, size: usize) {
    let ours = train(&[text], size);
    let (tokens, merges) = reference(text, size);
    assert_eq!(ours.tokens(), tokens, "{text:?}");
    let ours: Vec<_> = ours.merges().map(|(l, r)| (l.to_owned(), r.to_owned())).collect();
    assert_eq!(ours, merges, "{text:?}");
}

#[test]
fn merges_are_those_of_tokenizers() {
    check(SAMPLE, 700);
    check(include_str!("../src/train.rs"), 1200);
    check("aaaaaaaaaa aaaaaaa aaaaa aaa ababababab bababab abcabcabcabc", 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn merges_of_any_text_are_those_of_tokenizers(text in "[ab ]{0,60}|[a-d é]{0,200}|\\PC{0,80}") {
        let (tokens, merges) = reference(&text, 400);
        let ours = train(&[&text], 400);
        prop_assert_eq!(ours.tokens(), tokens);
        prop_assert!(ours.merges().eq(merges.iter().map(|(l, r)| (&**l, &**r))));
    }

    #[test]
    fn parts_may_be_counted_apart(texts in prop::collection::vec("[a-c ]{0,30}", 0..6)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut sum = PretokenCounts::default();
        for text in texts.iter().rev() {
            let mut part = PretokenCounts::default();
            part.count(text).unwrap();
            let mut bytes = Vec::new();
            part.write(&mut bytes).unwrap();
            sum.absorb(PretokenCounts::read(bytes.as_slice()).unwrap()).unwrap();
        }
        let merged = Vocabulary::train(&sum, 270, |_| Ok::<_, CodecError>(())).unwrap();
        prop_assert_eq!(merged, train(&texts, 270));
    }
}

#[test]
fn long_pretokens_are_trained_in_linear_steps() {
    // Quadratic updates would take minutes here.
    let text = ["ab".repeat(300_000), "abc".repeat(200_000), "x".repeat(500_000)].join(" ");
    assert_eq!(train(&[&text], 300).size(), 300);
}
