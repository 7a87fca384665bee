//! What holds for any model that finds entities.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{
    Bootstrap, EntityCounts, EntityMetric, EntityMode, EntityRuns, IntervalMethod, Metric,
    Randomisation, Rows, Runs, Scheme, Sentences, TagSet, TestMethod,
};
use proptest::prelude::*;

const METRICS: [EntityMetric; 6] = [
    EntityMetric::Precision,
    EntityMetric::Recall,
    EntityMetric::MicroF1,
    EntityMetric::MacroPrecision,
    EntityMetric::MacroRecall,
    EntityMetric::MacroF1,
];

type Tags = Vec<Vec<u32>>;

fn tags() -> TagSet {
    TagSet::new(&["O", "B-A", "I-A", "B-B", "I-B"], EntityMode::Strict(Scheme::Iob2)).unwrap()
}

/// Sentences of tokens, each with its true tag and those of two models.
fn answers() -> impl Strategy<Value = Vec<Vec<(u32, u32, u32)>>> {
    prop::collection::vec(prop::collection::vec((0..5u32, 0..5u32, 0..5u32), 0..6), 1..12)
}

fn models(answers: &[Vec<(u32, u32, u32)>]) -> (Sentences, Tags, Tags) {
    let pick = |tag: fn(&(u32, u32, u32)) -> u32| -> Tags {
        answers.iter().map(|sentence| sentence.iter().map(tag).collect()).collect()
    };
    let sentences = Sentences::new(tags(), &pick(|token| token.0)).unwrap();
    (sentences, pick(|token| token.1), pick(|token| token.2))
}

fn run(sentences: &Sentences, predicted: &Tags) -> EntityRuns {
    EntityRuns::new(sentences, std::slice::from_ref(predicted)).unwrap()
}

fn quick() -> Bootstrap {
    Bootstrap { resamples: 100.try_into().unwrap(), ..Bootstrap::new(7) }
}

fn swaps() -> Randomisation {
    Randomisation { swaps: 100.try_into().unwrap(), ..Randomisation::new(7) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_are_of_sets(answers in answers()) {
        let (sentences, predicted, _) = models(&answers);
        let model = run(&sentences, &predicted);
        for (at, counts) in model.counts()[0].iter().enumerate() {
            let found = tags().entities(&predicted[at]).unwrap();
            let all: EntityCounts = counts.iter().copied().sum();
            prop_assert_eq!(all.predicted, found.len() as u64);
            prop_assert!(all.correct <= all.predicted.min(all.truth));
        }
        for metric in METRICS {
            prop_assert!((0.0..=1.0).contains(&metric.score(&model)));
        }
    }

    #[test]
    fn the_truth_is_found_in_the_truth(answers in answers()) {
        let truth: Tags = answers.iter().map(|s| s.iter().map(|token| token.0).collect()).collect();
        let (sentences, ..) = models(&answers);
        let report = run(&sentences, &truth).report(0);
        let perfect = if report.support == 0 { 0.0 } else { 1.0 };
        for average in [report.micro, report.r#macro] {
            prop_assert_eq!((average.precision, average.recall, average.f1), (perfect, perfect, perfect));
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_sentences(answers in answers(), turn in 0..12usize) {
        let mut turned = answers.clone();
        turned.rotate_left(turn % answers.len());
        let ((sentences, model, _), (sentences2, model2, _)) = (models(&answers), models(&turned));
        for metric in METRICS {
            let score = |sentences, model| metric.score(&run(sentences, model));
            prop_assert_eq!(score(&sentences, &model), score(&sentences2, &model2));
        }
    }

    #[test]
    fn groups_change_no_score(answers in answers()) {
        let (sentences, model, _) = models(&answers);
        let groups: Vec<usize> = (0..answers.len()).map(|sentence| sentence % 3).collect();
        let alone = run(&sentences, &model);
        let grouped = run(&sentences.grouped_by(&groups).unwrap(), &model);
        prop_assert_eq!(alone.report(0), grouped.report(0));
        prop_assert_eq!(grouped.num_units(), answers.len().min(3));
    }

    #[test]
    fn a_model_ties_with_itself(answers in answers()) {
        let (sentences, model, _) = models(&answers);
        let model = run(&sentences, &model);
        for metric in METRICS {
            let difference = quick().entity_difference(metric, &model, &model).unwrap();
            prop_assert_eq!((difference.low, difference.value, difference.high), (0.0, 0.0, 0.0));
            prop_assert_eq!(swaps().compare_entities(metric, &model, &model).unwrap().p, 1.0);
        }
    }

    #[test]
    fn tests_do_not_depend_on_which_model_comes_first(answers in answers()) {
        let (sentences, model, other) = models(&answers);
        let (model, other) = (run(&sentences, &model), run(&sentences, &other));
        for metric in METRICS {
            prop_assert_eq!(
                swaps().compare_entities(metric, &model, &other),
                swaps().compare_entities(metric, &other, &model)
            );
        }
    }

    #[test]
    fn repeating_a_run_changes_nothing(answers in answers()) {
        let (sentences, model, other) = models(&answers);
        let twice = |run: &Tags| EntityRuns::new(&sentences, &[run.clone(), run.clone()]).unwrap();
        let (model2, other2) = (twice(&model), twice(&other));
        let (model, other) = (run(&sentences, &model), run(&sentences, &other));
        for metric in METRICS {
            let intervals = quick().entity_difference(metric, &model, &other);
            prop_assert_eq!(intervals, quick().entity_difference(metric, &model2, &other2));
        }
    }

    #[test]
    fn micro_f1_of_one_token_each_is_accuracy(answers in prop::collection::vec((0..3u32, 0..3u32), 1..30)) {
        // Where every token is an entity of its own, micro F1, its interval and its test are those of accuracy.
        let (truth, predicted): (Vec<u32>, Vec<u32>) = answers.into_iter().unzip();
        let tags = TagSet::new(&["B-A", "B-B", "B-C"], EntityMode::Lenient).unwrap();
        let single = |tags: &[u32]| -> Tags { tags.iter().map(|tag| vec![*tag]).collect() };
        let sentences = Sentences::new(tags, &single(&truth)).unwrap();
        let rows = Rows::new(truth.clone(), 3).unwrap();
        let (tagger, classifier) = (
            run(&sentences, &single(&predicted)),
            Runs::new(&rows, vec![predicted]).unwrap(),
        );
        let f1 = quick().entity_score(EntityMetric::MicroF1, &tagger).unwrap();
        prop_assert_eq!(f1, quick().score(Metric::Accuracy, &rows, &classifier).unwrap());
        let (right, perfect) = (run(&sentences, &single(&truth)), Runs::new(&rows, vec![truth]).unwrap());
        let test = swaps().compare_entities(EntityMetric::MicroF1, &tagger, &right).unwrap();
        prop_assert_eq!(test, swaps().compare(Metric::Accuracy, &rows, &classifier, &perfect).unwrap());
    }
}

#[test]
fn grouped_sentences_are_drawn_together() {
    // Two documents, one all right, one all wrong: half of the resamples hold only one of them.
    let sentences = Sentences::new(tags(), &vec![vec![1]; 100]).unwrap();
    let predicted: Tags = (0..100).map(|sentence| vec![1 + 2 * (sentence % 2)]).collect();
    let documents: Vec<u32> = (0..100).map(|sentence| sentence % 2).collect();
    let alone = quick().entity_score(EntityMetric::MicroF1, &run(&sentences, &predicted)).unwrap();
    let grouped = run(&sentences.grouped_by(&documents).unwrap(), &predicted);
    let together = quick().entity_score(EntityMetric::MicroF1, &grouped).unwrap();
    assert_eq!((alone.units, together.units), (100, 2));
    assert_eq!(together.method, IntervalMethod::PercentileBootstrap);
    assert!(alone.high - alone.low < 0.3);
    assert_eq!((together.low, together.value, together.high), (0.0, 0.5, 1.0));
    let test = quick_test(&grouped);
    assert_eq!((test.units, test.method), (2, TestMethod::ExactRandomisation));
}

fn quick_test(model: &EntityRuns) -> metrics::Test {
    swaps().compare_entities(EntityMetric::MicroF1, model, model).unwrap()
}

#[test]
fn what_cannot_be_measured_is_named() {
    let sentences = Sentences::new(tags(), &[vec![0, 1], vec![2]]).unwrap();
    let message = |runs: &[Tags]| EntityRuns::new(&sentences, runs).unwrap_err().to_string();
    assert_eq!(message(&[]), "no runs to measure");
    assert_eq!(message(&[vec![vec![0, 1]]]), "1 tagged sentences, but 2 are expected");
    assert_eq!(message(&[vec![vec![0, 1], vec![]]]), "0 tags of a sentence, but 1 are expected");
    assert_eq!(message(&[vec![vec![0, 9], vec![2]]]), "token 1 has tag 9, but there are 5 tags");
    let none = Sentences::new(tags(), &[]).unwrap_err();
    assert_eq!(none.to_string(), "no sentences to measure");
    let model = run(&sentences, &vec![vec![0, 1], vec![2]]);
    let fewer = run(&sentences.grouped_by(&["a", "a"]).unwrap(), &vec![vec![0, 1], vec![2]]);
    assert_eq!(
        swaps().compare_entities(EntityMetric::MicroF1, &model, &fewer).unwrap_err().to_string(),
        "1 units, but 2 are expected"
    );
}

#[test]
fn what_is_no_tag_is_named() {
    let message = |name: &str, mode| TagSet::new(&[name], mode).unwrap_err().to_string();
    assert_eq!(message("", EntityMode::Lenient), "the tag \"\" has no prefix");
    assert_eq!(
        message("E-A", EntityMode::Strict(Scheme::Iob2)),
        "the tag \"E-A\" has none of the prefixes I, O, B"
    );
    assert_eq!(
        tags().entities(&[1, 5]).unwrap_err().to_string(),
        "token 1 has tag 5, but there are 5 tags"
    );
}
