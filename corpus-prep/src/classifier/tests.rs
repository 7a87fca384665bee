use super::*;
use crate::error::Error;
use pipelines::seed::Seed;

const WORDS: [&str; 3] =
    ["wave tide salt harbour anchor", "flour yeast oven crust dough", "moon star owl lamp quiet"];

/// Texts of three topics, most of whose words are of their own.
fn texts(num: usize) -> Vec<(String, usize)> {
    let seed = Seed::new(3, "texts");
    let text = |row: usize| {
        let topic = row % 3;
        let draw =
            |bound: u64, at: u64| usize::try_from(seed.below(bound, row as u64, at)).unwrap();
        let word = |at: u64| {
            let of = if draw(4, 2 * at) == 0 { draw(3, 2 * at + 99) } else { topic };
            WORDS[of].split(' ').nth(draw(5, 2 * at + 1)).unwrap()
        };
        ((0..8).map(word).collect::<Vec<_>>().join(" "), topic)
    };
    (0..num).map(text).collect()
}

fn learn(num_labels: usize, options: Options) -> Classifier {
    let texts = texts(90);
    let examples: Vec<Example> =
        texts.iter().map(|(text, topic)| Example { text, label: topic % num_labels }).collect();
    train(&examples, &labels(num_labels), options, 1).unwrap()
}

fn labels(num: usize) -> Vec<String> {
    ["sea", "bread", "night"][..num].iter().map(|label| (*label).into()).collect()
}

#[test]
fn topics_are_told_apart() {
    let classifier = learn(3, Options::default());
    let mut judge = classifier.judge();
    for (topic, words) in WORDS.iter().enumerate() {
        let probabilities = judge.probabilities(words);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(probabilities[topic] > 0.8, "{topic}: {probabilities:?}");
    }
    assert!(judge.probabilities("").iter().all(|probability| *probability > 0.0));
    let two = learn(2, Options::default());
    let probabilities = two.judge().probabilities(WORDS[1]).to_vec();
    assert!(probabilities.len() == 2 && probabilities[1] > 0.8, "{probabilities:?}");
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let learn_with = |num_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads).build().unwrap();
        pool.install(|| learn(3, Options::default()).to_bytes())
    };
    let one = learn_with(1);
    assert_eq!(one, learn_with(2));
    assert_eq!(one, learn_with(7));
}

#[test]
fn a_file_gives_back_what_was_written() {
    for num_labels in [2, 3] {
        let features = Features { bucket_bits: 9, word_pairs: false, characters: Some(3) };
        let classifier = learn(num_labels, Options { features, ..Options::default() });
        let bytes = classifier.to_bytes();
        assert_eq!(Classifier::from_bytes(&bytes, "m").unwrap(), classifier);
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let error = Classifier::from_bytes(bytes, "m.sbc").unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn other_files_are_refused() {
    let features = Features { bucket_bits: 8, ..Features::default() };
    let bytes = learn(2, Options { features, ..Options::default() }).to_bytes();
    check_refused(b"", "m.sbc: found `` at its begin, expected `SBCLASSF`");
    check_refused(
        b"PAR1\x00 and more",
        "m.sbc: found `PAR1\\x00 an` at its begin, expected `SBCLASSF`",
    );
    let mut newer = bytes.clone();
    newer[8] = 2;
    check_refused(&newer, "m.sbc: found format version 2, expected version 1");
    for at in (12..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let error = Classifier::from_bytes(&damaged, "m").unwrap_err().to_string();
        assert!(error.contains("another checksum"), "{at}: {error}");
        assert!(Classifier::from_bytes(&bytes[..at], "m").is_err());
    }
}

/// Content that no writer of ours makes, under a checksum that is right.
#[test]
fn content_that_cannot_be_is_refused() {
    let with = |at: usize, changed: &[u8]| {
        let features = Features { bucket_bits: 8, ..Features::default() };
        let mut bytes = learn(2, Options { features, ..Options::default() }).to_bytes();
        bytes.truncate(bytes.len() - 32);
        bytes[at..at + changed.len()].copy_from_slice(changed);
        let digest = blake3::hash(&bytes);
        bytes.extend(digest.as_bytes());
        bytes
    };
    check_refused(
        &with(12, &[30]),
        "m.sbc: found features [30, 1, 0, 0], expected those of version 1",
    );
    check_refused(
        &with(16, &[1]),
        "m.sbc: found 1 labels and 136 buckets, expected at least 2 labels, and at most as many buckets as there are",
    );
    check_refused(
        &with(24, &[255; 4]),
        "m.sbc: found a file that ends early, expected all that its header promises",
    );
    check_refused(&with(40, &[0, 0, 192, 127]), "m.sbc: found NaN, expected a finite weight");
}

#[test]
fn too_little_to_learn_from_is_refused() {
    let example = |label| Example { text: "wave", label };
    let learn = |examples: &[Example], num_labels, options| {
        train(examples, &labels(num_labels), options, 1).unwrap_err()
    };
    let few = learn(&[example(0), example(0), example(1)], 2, Options::default());
    assert_eq!(few.to_string(), "label `bread`: found 1 examples, expected at least 2");
    let one = learn(&[example(0), example(0)], 1, Options::default());
    assert!(matches!(one, Error::ClassifierOption { option: "labels", .. }), "{one}");
    let free = learn(&[], 2, Options { cost: 0.0, ..Options::default() });
    assert_eq!(free.to_string(), "`cost`: found 0, expected a number above 0, at most 100");
}

#[test]
fn cross_validation_finds_what_is_there_and_not_what_is_not() {
    let texts = texts(120);
    let area = |label_of: &dyn Fn(usize) -> usize| {
        let examples: Vec<Example> = (0..)
            .zip(&texts)
            .map(|(at, (text, _))| Example { text, label: label_of(at) })
            .collect();
        let found = cross_validate(&examples, &labels(2), Options::default(), 5, 1).unwrap();
        let probabilities: Vec<f64> = found.iter().map(|labels| labels[1]).collect();
        let is_in: Vec<bool> = examples.iter().map(|example| example.label == 1).collect();
        Report::new(&probabilities, &is_in, 1).unwrap().roc_auc
    };
    assert!(area(&|at| usize::from(at % 3 == 1)).low > 0.9);
    let seed = Seed::new(4, "labels");
    let chance = area(&|at| usize::from(seed.unit(0, at as u64) < 0.5));
    assert!(chance.low < 0.5, "{chance:?}");
}

/// `SEEDBED_DCLM` names `majority_data.jsonl.gz` of DCLM: texts that people found good or not good to learn from.
#[test]
#[ignore = "needs `SEEDBED_DCLM=FILE`"]
fn good_web_pages_are_told_from_others() {
    #[derive(serde::Deserialize)]
    struct Row {
        text: String,
        label: usize,
    }
    let path = std::env::var("SEEDBED_DCLM").expect("SEEDBED_DCLM");
    let stream = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap());
    let rows: Vec<Row> =
        serde_json::Deserializer::from_reader(stream).into_iter().map(Result::unwrap).collect();
    let examples: Vec<Example> =
        rows.iter().map(|row| Example { text: &row.text, label: row.label }).collect();
    let is_in: Vec<bool> = rows.iter().map(|row| row.label == 1).collect();
    let names = ["other".to_owned(), "good".to_owned()];
    let began = std::time::Instant::now();
    let found = cross_validate(&examples, &names, Options::default(), 5, 1).unwrap();
    let probabilities: Vec<f64> = found.iter().map(|labels| labels[1]).collect();
    let report = Report::new(&probabilities, &is_in, 1).unwrap();
    println!("in {:.2} s:\n{report:.3?}", began.elapsed().as_secs_f64());
    let classifier = train(&examples, &names, Options::default(), 1).unwrap();
    let bytes: usize = rows.iter().map(|row| row.text.len()).sum();
    let began = std::time::Instant::now();
    let mut judge = classifier.judge();
    rows.iter().for_each(|row| assert!(judge.probabilities(&row.text).len() == 2));
    let speed = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
    println!("{} bytes of classifier; judges {speed:.1} MB/s", classifier.to_bytes().len());
    assert!(report.roc_auc.low > 0.5);
}
