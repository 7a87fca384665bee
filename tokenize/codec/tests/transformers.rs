//! The files of a vocabulary, and what `transformers` makes of them: numbers of `reference/transformers_ids.py`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::{Codec, CodecError, PretokenCounts, Vocabulary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn vocabulary() -> Vocabulary {
    let mut counts = PretokenCounts::default();
    counts.count(include_str!("reference/sample.txt")).unwrap();
    Vocabulary::train(&counts, 400, |_| Ok::<_, CodecError>(())).unwrap()
}

#[test]
fn the_files_are_these_bytes() {
    let stored = [
        ("tokenizer.json", include_str!("reference/vocabulary/tokenizer.json")),
        ("tokenizer_config.json", include_str!("reference/vocabulary/tokenizer_config.json")),
    ];
    for (file, (name, text)) in vocabulary().files().iter().zip(stored) {
        assert_eq!((file.name, str::from_utf8(&file.bytes).unwrap()), (name, text));
    }
}

#[test]
fn ids_are_those_of_transformers() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("reference/transformers_ids.json")).unwrap();
    let codec = Codec::of(&vocabulary()).unwrap();
    assert!(cases.len() > 10);
    for Case { text, ids } in cases {
        assert_eq!(codec.encode(&text).unwrap(), ids, "{text:?}");
        assert_eq!(codec.decode(&ids).unwrap(), text);
    }
}
