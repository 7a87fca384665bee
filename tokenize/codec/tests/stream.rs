//! Text that comes token by token, and text with masks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::{
    Codec, CodecError, PretokenCounts, SpecialTokens, TextStream, Vocabulary,
    tokenizer_json_of_vocab_txt,
};
use proptest::prelude::*;
use std::sync::LazyLock;
use tokenizers::Tokenizer;

static CODEC: LazyLock<Codec> = LazyLock::new(|| {
    let mut counts = PretokenCounts::default();
    counts.count(include_str!("reference/sample.txt")).unwrap();
    Codec::of(&Vocabulary::train(&counts, 400, |_| Ok::<_, CodecError>(())).unwrap()).unwrap()
});

/// What each of `ids` adds, and what is left at the end.
fn pieces(codec: &Codec, before: &[u32], ids: &[u32]) -> Vec<String> {
    let mut stream = TextStream::behind(codec, before).unwrap();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

#[test]
fn characters_come_whole() {
    let bytes = |text: &str| {
        let byte = |byte: &u8| CODEC.encode("a").unwrap()[0] + u32::from(*byte - b'a');
        text.as_bytes().iter().map(byte).collect::<Vec<_>>()
    };
    assert_eq!(pieces(&CODEC, &[], &bytes("abc")), ["a", "b", "c", ""]);
    let ids = CODEC.encode("日").unwrap();
    assert!(ids.len() > 1, "the vocabulary has no token for it");
    let found = pieces(&CODEC, &CODEC.encode("x").unwrap(), &ids);
    assert!(found[..ids.len() - 1].iter().all(String::is_empty));
    assert_eq!(found[ids.len() - 1..], ["日", ""]);
    // Cut within a character.
    assert_eq!(pieces(&CODEC, &[], &ids[..1]), ["", "\u{fffd}"]);
}

#[test]
fn decoders_that_look_at_neighbours_give_spaces_between_words() {
    let vocab = "[UNK]\nthe\nsea\n##side\n.\n";
    let file = tokenizer_json_of_vocab_txt(vocab.as_bytes(), None).unwrap();
    let codec = Codec::load(&file.bytes, None).unwrap();
    assert_eq!(pieces(&codec, &[1], &[2, 3, 4, 1]), [" sea", "side", ".", " the", ""]);
    // An unknown token is special to `tokenizers`, and stands for no text.
    assert_eq!(pieces(&codec, &[], &[1, 0, 2]).concat(), "the sea");
}

proptest! {
    #[test]
    fn pieces_are_the_text_of_all_tokens(ids in prop::collection::vec(0u32..400, 0..40), cut in 0usize..40) {
        let (before, ids) = ids.split_at(cut.min(ids.len()));
        let whole = CODEC.decode(&[before, ids].concat()).unwrap();
        let found = pieces(&CODEC, before, ids).concat();
        // Where the cut is within a character, its first bytes alone are another text.
        match whole.strip_prefix(&CODEC.decode(before).unwrap()) {
            Some(rest) => prop_assert_eq!(found, rest),
            None => prop_assert!(whole.ends_with(&found)),
        }
    }
}

#[test]
fn masks_are_tokens_and_all_else_is_text() {
    let vocab = "[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nsea\n##side\n.\n[\nsep\n]\n";
    let file = tokenizer_json_of_vocab_txt(vocab.as_bytes(), None).unwrap();
    let codec = Codec::load(&file.bytes, None).unwrap();
    let oracle = Tokenizer::from_bytes(&file.bytes).unwrap();
    for text in ["the [MASK] seaside.", "[MASK]", "the[MASK][MASK]sea", "[MASK] the", "", "the sea"]
    {
        let expected = oracle.encode(text, false).unwrap();
        assert_eq!(codec.encode_masked(text).unwrap(), expected.get_ids(), "{text:?}");
    }
    assert_eq!(codec.encode_masked("[SEP] [MASK]").unwrap(), [8, 9, 10, 3]);
    assert_eq!(codec.token(6).as_deref(), Some("##side"));
}

#[test]
fn a_mask_may_take_the_space_before_it() {
    let special = SpecialTokens { mask: Some("<mask>".to_owned()), ..SpecialTokens::default() };
    let counts = PretokenCounts::default();
    let vocabulary = Vocabulary::train(&counts, 257, |_| Ok::<_, CodecError>(())).unwrap();
    let [file, config] = vocabulary.with_special_tokens(special).unwrap().files();
    let mut file: serde_json::Value = serde_json::from_slice(&file.bytes).unwrap();
    let tokens = file["added_tokens"].as_array_mut().unwrap();
    let mask = tokens.iter_mut().find(|token| token["content"] == "<mask>").unwrap();
    mask["lstrip"] = true.into();
    let file = file.to_string();
    let codec = Codec::load(file.as_bytes(), Some(&config.bytes)).unwrap();
    let oracle = Tokenizer::from_bytes(file.as_bytes()).unwrap();
    for text in ["a <mask> b", "<mask>  <mask>", " a<mask> "] {
        let expected = oracle.encode(text, false).unwrap();
        assert_eq!(codec.encode_masked(text).unwrap(), expected.get_ids(), "{text:?}");
    }
}
