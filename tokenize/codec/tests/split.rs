//! The pre-tokenizer against the pattern that defines it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::pretokens;
use proptest::prelude::*;
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    pre_tokenizers::byte_level::ByteLevel,
};

/// The pre-tokens of tokenizers.
fn reference(text: &str) -> Vec<&str> {
    let mut pre_tokenized = PreTokenizedString::from(text);
    ByteLevel::new(false, false, true).pre_tokenize(&mut pre_tokenized).unwrap();
    let splits = pre_tokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
    splits.into_iter().map(|(_, (start, end), _)| &text[start..end]).collect()
}

#[track_caller]
fn check(text: &str) {
    assert_eq!(pretokens(text).collect::<Vec<_>>(), reference(text), "{text:?}");
}

#[test]
fn awkward_text_is_split_as_tokenizers_does() {
    check("'s't're've'm'll'd 's 't 'S 'T ''s '' 'x'");
    check("a'sb'll c'LLd 's's's");
    check(" \u{a0} \u{2003}a\u{85}\u{2028}b\r\n\r\n\tc \t d");
    check("½ Ⅷ ² ٣٤ 12٣ 1a2b 3.14 -5 1'000");
    check("e\u{301}te\u{301} \u{200b}\u{200d}\u{feff} a\u{ad}b");
    check("日本語テキスト 한국어 नमस्ते ไทย עברית");
    check("😀😀 👩‍👩‍👧 ⓐ ª º ǅ ʰ");
    check("\u{0}\u{1} \u{7f}\u{10ffff}\u{e000} \u{fffd}");
    check("   leading\n   and trailing   ");
}

#[test]
fn every_character_is_classed_as_in_the_pattern() {
    // Two letters on each side: a wrong class changes where the text is split.
    for start in (0..=u32::from(char::MAX)).step_by(4096) {
        let chars = (start..start + 4096).filter_map(char::from_u32);
        check(&chars.flat_map(|c| ['a', c, '1', c, '!', c, ' ', c]).collect::<String>());
    }
}

#[test]
fn long_runs_take_no_time() {
    for run in ["a", "1", "!", " ", "\n", "é", "'"] {
        let text = run.repeat(2_000_000 / run.len());
        assert_eq!(pretokens(&text).map(str::len).sum::<usize>(), text.len());
    }
}

proptest! {
    #[test]
    fn any_text_is_split_as_tokenizers_does(text in "\\PC*|[\\s\\S]*|(['a-z 0-9\u{a0}\t\n.]|'ll|  )*") {
        prop_assert_eq!(pretokens(&text).collect::<Vec<_>>(), reference(&text));
    }

    #[test]
    fn the_pretokens_are_the_text(text in any::<String>()) {
        prop_assert_eq!(pretokens(&text).collect::<String>(), text);
    }
}
