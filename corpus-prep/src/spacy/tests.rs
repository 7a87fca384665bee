use super::*;
use proptest::prelude::*;

/// Made by `tests/reference/spacy_cases.py`: cases as lists.
const CASES: &str = include_str!("../../tests/reference/spacy.json");

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    words: Vec<String>,
    sentences: Vec<String>,
}

#[test]
fn words_and_sentences_are_those_of_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() > 500);
    let mut tokenizer = Tokenizer::default();
    for Case { text, words, sentences } in cases {
        let tokens = tokenizer.cut(&text);
        assert_eq!(tokens.words().collect::<Vec<_>>(), words, "{text:?}");
        assert_eq!(tokens.sentences().collect::<Vec<_>>(), sentences, "{text:?}");
    }
}

proptest! {
    #[test]
    fn tokens_cover_a_text_but_for_single_spaces(
        text in prop_oneof!["[ -~\t\n]{0,80}", "\\PC{0,40}", "[a-cA-C.:)('’s0-9 \u{301}\u{a0}–…km²é人]{0,60}"]
    ) {
        let mut tokenizer = Tokenizer::default();
        let tokens = tokenizer.cut(&text);
        let mut at = 0;
        for token in tokens.tokens {
            prop_assert!(token.start < token.end);
            prop_assert!(["", " "].contains(&&text[at..token.start]));
            at = token.end;
        }
        prop_assert!(["", " "].contains(&&text[at..]));
        let joined: String = tokens.words().collect();
        let solid: String = text.chars().filter(|c| !classes::is(*c, classes::SPACE)).collect();
        prop_assert_eq!(joined, solid);
    }
}

/// Made by `tests/agreement/spacy_words.py`: JSON lines of texts with the words and the sentences that datatrove finds.
#[test]
#[ignore = "needs `SEEDBED_SPACY=FILE`, which tests/agreement/spacy_words.py writes"]
fn words_and_sentences_of_real_texts_agree() {
    let path = std::env::var("SEEDBED_SPACY").expect("SEEDBED_SPACY");
    let lines = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Case> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut tokenizer = Tokenizer::default();
    let mut num_agreeing = 0;
    for Case { text, words, sentences } in &cases {
        let tokens = tokenizer.cut(text);
        let agrees = tokens.words().eq(words) && tokens.sentences().eq(sentences);
        num_agreeing += usize::from(agrees);
        if !agrees {
            let first = tokens.words().zip(words).find(|(ours, theirs)| ours != theirs);
            println!("{first:?} in {:?}", text.chars().take(60).collect::<String>());
        }
    }
    let bytes: usize = cases.iter().map(|case| case.text.len()).sum();
    let began = std::time::Instant::now();
    let num_words: usize = cases.iter().map(|case| tokenizer.cut(&case.text).words().count()).sum();
    let speed = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
    println!("{num_agreeing} of {} texts agree; {num_words} words, {speed:.0} MB/s", cases.len());
    assert!(num_agreeing as f64 >= 0.999 * cases.len() as f64);
}
