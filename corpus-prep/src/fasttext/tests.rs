use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Made by `tests/reference/fasttext_models.py`: model, text, `k`, threshold, labels with their probabilities.
type Case = (String, String, usize, f32, Vec<(String, f32)>);

const CASES: &str = include_str!("../../tests/reference/fasttext.json");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/fasttext").join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

#[test]
fn predictions_are_those_of_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    let mut models = BTreeMap::new();
    for (name, text, k, threshold, expected) in cases {
        let model = models.entry(name).or_insert_with_key(|name| {
            Model::open(pipelines::input::Mapped::whole(fixture(name)).unwrap(), name).unwrap()
        });
        let mut predictor = model.predictor();
        let found = predictor.predict(&text, k, threshold).unwrap();
        let place = format!("{}, {text:?}, {k}, {threshold}", model.file);
        assert_eq!(found.len(), expected.len(), "{place}");
        for (found, (label, probability)) in found.iter().zip(&expected) {
            assert_eq!(&model.labels()[found.label], label, "{place}");
            assert!(
                (found.probability - probability).abs() <= 1e-6,
                "{place}: {found:?}, {probability}"
            );
        }
    }
    assert_eq!(models.len(), 9);
}

#[test]
fn predictions_do_not_depend_on_earlier_texts() {
    let model = Model::open(bytes_of("ngrams.bin"), "m").unwrap();
    let mut used = model.predictor();
    used.predict(&"réef salt wave ".repeat(99), 5, 0.0).unwrap();
    let found = used.predict("owl\nmoon", 2, 0.0).unwrap();
    assert_eq!(found, model.predictor().predict("owl moon", 2, 0.0).unwrap());
    assert_eq!(used.predict("owl moon", 0, 0.0).unwrap(), []);
}

#[track_caller]
fn check_message(bytes: Vec<u8>, expected: &str) {
    let error = Model::open(bytes, "m.bin").err().expect("an error");
    assert_eq!(error.to_string(), expected);
}

fn with(name: &str, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut model = bytes_of(name);
    model[at..at + bytes.len()].copy_from_slice(bytes);
    model
}

#[test]
fn what_is_no_model_is_refused() {
    check_message(
        vec![],
        "m.bin: 0 bytes, expected 4 more for the mark of fastText from byte 0 on; was the writer interrupted?",
    );
    check_message(
        b"PAR1....".into(),
        "m.bin: up to byte 4: found 827474256 for the mark of fastText, expected 793712314",
    );
    check_message(
        with("hs.bin", 4, &[13]),
        "m.bin: up to byte 8: found 13 for the version, expected 11 or 12",
    );
    check_message(
        with("hs.bin", 32, &[5]),
        "m.bin: up to byte 36: found 5 for the loss, expected 1 to 4",
    );
    check_message(
        with("hs.bin", 36, &[1]),
        "m.bin: up to byte 40: found 1 for the kind of model, expected 3 (a supervised model)",
    );
    check_message(
        with("hs.bin", 8, &[255; 4]),
        "m.bin: up to byte 12: found -1 for the dimension, expected 0 to 2147483647",
    );
    check_message(
        with("hs.bin", 40, &[0; 4]),
        "m.bin: up to byte 64: found 0 for the number of buckets, expected at least 1, as there are n-grams",
    );
    check_message(
        with("hs.bin", 8, &[5]),
        "m.bin: up to byte 2478: found 4 for the columns of a matrix, expected 5",
    );
    // A size that would take gigabytes is compared with the file's length first.
    check_message(
        with("softmax.bin", 64, &[255, 255, 255, 127, 250, 255, 255, 127, 5, 0, 0, 0]),
        "m.bin: 1542 bytes, expected 21474836470 more for the dictionary from byte 92 on; was the writer interrupted?",
    );
}

#[test]
fn weights_that_are_no_numbers_are_an_error_of_the_text() {
    for name in ["softmax.bin", "ova.bin", "hs.bin"] {
        let mut bytes = bytes_of(name);
        let end = bytes.len();
        // The last rows of the output matrix; in a tree the last one of all is that of no node.
        bytes[end - 48..].fill(0xff);
        let model = Model::open(bytes, "m.bin").unwrap();
        let error = model.predictor().predict("wave", 1, 0.0).err().unwrap();
        assert_eq!(
            error.to_string(),
            "m.bin: found weights that give NaN for a text, expected numbers"
        );
    }
}

#[test]
fn files_that_are_cut_are_refused() {
    for name in ["ngrams.bin", "hs.bin", "quantized.ftz", "pruned.ftz", "quantized-output.ftz"] {
        let whole = bytes_of(name);
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let error = Model::open(whole[..length].to_vec(), name).err().expect(name);
            assert!(
                matches!(error, Error::FastText { problem: BadModel::Cut { .. }, .. }),
                "{error}"
            );
        }
    }
}

proptest! {
    #[test]
    fn damaged_files_do_no_harm(
        name in prop::sample::select(vec!["hs.bin", "ova.bin", "ngrams.bin", "pruned.ftz", "quantized-output.ftz"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        within_head in any::<bool>(),
    ) {
        let mut bytes = bytes_of(name);
        let reach = if within_head { 100 } else { bytes.len() };
        for (place, byte) in damage {
            bytes[place.index(reach)] = byte;
        }
        if let Ok(model) = Model::open(bytes, name) {
            let _ = model.predictor().predict("wave tide кухня loop </s>", 3, 0.0);
        }
    }
}

/// Made by `tests/agreement/fasttext_predictions.py`: JSON lines of texts with what the model `SEEDBED_FASTTEXT` predicts.
#[test]
#[ignore = "needs `SEEDBED_FASTTEXT=MODEL` and `SEEDBED_FASTTEXT_PREDICTIONS=FILE`"]
fn predictions_of_a_real_model_agree() {
    let named = |name| PathBuf::from(std::env::var(name).expect(name));
    let mapped = pipelines::input::Mapped::whole(named("SEEDBED_FASTTEXT")).unwrap();
    let model = Model::open(mapped, "model").unwrap();
    let lines = std::fs::read_to_string(named("SEEDBED_FASTTEXT_PREDICTIONS")).unwrap();
    type Row = (String, Vec<(String, f32)>);
    let rows: Vec<Row> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut predictor = model.predictor();
    let (mut num_other_labels, mut largest) = (0, 0.0f32);
    for (text, expected) in &rows {
        let found = predictor.predict(text, 5, 0.0).unwrap();
        let labels = found.iter().map(|found| &model.labels()[found.label]);
        num_other_labels += usize::from(!labels.eq(expected.iter().map(|(label, _)| label)));
        for (found, (_, probability)) in found.iter().zip(expected) {
            largest = largest.max((found.probability - probability).abs());
        }
    }
    let began = std::time::Instant::now();
    let bytes: usize = rows.iter().map(|(text, _)| text.len()).sum();
    for (text, _) in &rows {
        predictor.predict(text, 1, 0.0).unwrap();
    }
    let speed = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
    println!(
        "{num_other_labels} of {} texts with other labels, probabilities differ by {largest:e}; {speed:.1} MB/s",
        rows.len()
    );
    // Labels of nearly one probability may change places.
    assert!(num_other_labels * 10_000 <= rows.len() && largest <= 1e-6);
}
