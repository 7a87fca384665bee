//! Entities and scores of seqeval, from `reference/seqeval.py`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    sync::LazyLock,
};

use metrics::{EntityMetric, EntityMode, EntityRuns, Scheme, Sentences, TagSet};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    exhaustive: BTreeMap<String, Exhaustive>,
    random: BTreeMap<String, Random>,
    scores: Vec<Scores>,
}

#[derive(Deserialize)]
struct Exhaustive {
    tags: Vec<String>,
    sequences: usize,
    digest: String,
}

#[derive(Deserialize)]
struct Random {
    tags: Vec<String>,
    digests: Vec<String>,
}

#[derive(Deserialize)]
struct Scores {
    mode: String,
    truth: Vec<Vec<String>>,
    predicted: Vec<Vec<String>>,
    micro: [f64; 3],
    /// Precision, recall, F1, support; `None` where there is no entity at all.
    report: Option<BTreeMap<String, (f64, f64, f64, u64)>>,
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_str(include_str!("reference/seqeval.json")).unwrap());

fn mode(name: &str) -> EntityMode {
    match name {
        "lenient" | "wild" => EntityMode::Lenient,
        "iob1" => EntityMode::Strict(Scheme::Iob1),
        "iob2" => EntityMode::Strict(Scheme::Iob2),
        "ioe1" => EntityMode::Strict(Scheme::Ioe1),
        "ioe2" => EntityMode::Strict(Scheme::Ioe2),
        "iobes" => EntityMode::Strict(Scheme::Iobes),
        "bilou" => EntityMode::Strict(Scheme::Bilou),
        name => unreachable!("{name}"),
    }
}

const FNV: u64 = 0xCBF2_9CE4_8422_2325;

fn fnv(text: &str, digest: u64) -> u64 {
    text.bytes()
        .fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Appends (type, first, last) of every entity of `sentence`, and a line break.
fn spell(tags: &TagSet, sentence: &[u32], out: &mut String) {
    for entity in tags.entities(sentence).unwrap() {
        let name = &tags.types()[entity.type_idx as usize];
        write!(out, "{name} {} {};", entity.start, entity.end - 1).unwrap();
    }
    out.push('\n');
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ z >> 31) % bound as u64).unwrap()
    }

    fn tag(&mut self, tags: &TagSet) -> u32 {
        self.below(tags.num_tags()).try_into().unwrap()
    }

    /// As `document` of the script.
    fn document(&mut self, tags: &TagSet) -> [Vec<Vec<u32>>; 2] {
        let sentences = 1 + self.below(3);
        let truth: Vec<Vec<u32>> = (0..sentences)
            .map(|_| {
                let tokens = 1 + self.below(8);
                (0..tokens).map(|_| self.tag(tags)).collect()
            })
            .collect();
        let mut changed = |&tag: &u32| if self.below(2) == 0 { tag } else { self.tag(tags) };
        let predicted = truth.iter().map(|tags| tags.iter().map(&mut changed).collect()).collect();
        [truth, predicted]
    }
}

#[test]
fn every_short_sequence_holds_the_entities_that_seqeval_finds() {
    assert_eq!(REFERENCE.exhaustive.len(), 8);
    for (name, case) in &REFERENCE.exhaustive {
        let tags = TagSet::new(&case.tags, mode(name)).unwrap();
        let (mut digest, mut sequences) = (FNV, 0);
        for length in 1..=4 {
            for number in 0..case.tags.len().pow(length) {
                let place = |at| (number / case.tags.len().pow(length - 1 - at)) % case.tags.len();
                let sequence: Vec<u32> =
                    (0..length).map(|at| place(at).try_into().unwrap()).collect();
                let mut found = String::new();
                spell(&tags, &sequence, &mut found);
                digest = fnv(&found, digest);
                sequences += 1;
            }
        }
        assert_eq!(
            (sequences, format!("{digest:016x}")),
            (case.sequences, case.digest.clone()),
            "{name}"
        );
    }
}

#[test]
fn ten_thousand_random_documents_hold_the_entities_that_seqeval_finds() {
    assert_eq!(REFERENCE.random.len(), 8);
    for (name, case) in &REFERENCE.random {
        let tags = TagSet::new(&case.tags, mode(name)).unwrap();
        let mut draw = Draw(fnv(name, FNV));
        assert_eq!(case.digests.len(), 10);
        for expected in &case.digests {
            let mut digest = FNV;
            for _ in 0..1000 {
                for sentences in draw.document(&tags) {
                    let mut found = String::new();
                    sentences.iter().for_each(|sentence| spell(&tags, sentence, &mut found));
                    digest = fnv(&found, digest);
                }
            }
            assert_eq!(&format!("{digest:016x}"), expected, "{name}");
        }
    }
}

#[track_caller]
fn check(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12, "{found} {expected}");
}

fn check_scores(cases: &[Scores]) {
    for case in cases {
        let mut names: Vec<&String> = case.truth.iter().chain(&case.predicted).flatten().collect();
        names.sort();
        names.dedup();
        let tags = TagSet::new(&names, mode(&case.mode)).unwrap();
        let number = |sentences: &[Vec<String>]| -> Vec<Vec<u32>> {
            let place = |tag| names.binary_search(&tag).unwrap().try_into().unwrap();
            sentences.iter().map(|sentence| sentence.iter().map(place).collect()).collect()
        };
        let sentences = Sentences::new(tags, &number(&case.truth)).unwrap();
        let model = EntityRuns::new(&sentences, &[number(&case.predicted)]).unwrap();
        let [precision, recall, f1] = case.micro;
        check(EntityMetric::Precision.score(&model), precision);
        check(EntityMetric::Recall.score(&model), recall);
        check(EntityMetric::MicroF1.score(&model), f1);
        let report = model.report(0);
        let Some(expected) = &case.report else {
            assert_eq!((report.support, report.types.len(), report.r#macro.f1), (0, 0, 0.0));
            continue;
        };
        assert_eq!(report.types.len() + 2, expected.len());
        let macro_f1 = EntityMetric::MacroF1.score(&model);
        check(macro_f1, report.r#macro.f1);
        for (name, average) in [("micro avg", report.micro), ("macro avg", report.r#macro)] {
            let (precision, recall, f1, support) = expected[name];
            check(average.precision, precision);
            check(average.recall, recall);
            check(average.f1, f1);
            assert_eq!(report.support, support);
        }
        for scores in report.types {
            let (precision, recall, f1, support) = expected[&scores.name];
            check(scores.precision, precision);
            check(scores.recall, recall);
            check(scores.f1, f1);
            assert_eq!(scores.support, support);
        }
    }
}

#[test]
fn scores_are_those_of_seqeval() {
    assert!(REFERENCE.scores.len() > 60);
    check_scores(&REFERENCE.scores);
}

/// What the script stores with SEQEVAL_TESTS.
#[test]
fn scores_of_the_files_of_seqeval_are_those_of_seqeval() {
    let Ok(path) = env::var("SEEDBED_SEQEVAL") else {
        // Not `eprintln`, which is not shown for tests that pass.
        io::stderr().write_all(b"skipped: SEEDBED_SEQEVAL names no file\n").unwrap();
        return;
    };
    let reference: Reference = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(reference.scores.len() > REFERENCE.scores.len());
    check_scores(&reference.scores);
}
