//! Scores of classifiers from what they said of the same rows.

use metrics::{
    Bootstrap, Confusion, Metric, MetricsError, Randomisation, Rows, Runs, Test, mcnemar,
};
use pipelines::table::predictions::Prediction;
use rayon::prelude::*;

use crate::{
    error::{EvaluateError, Result},
    pairs::{compare_pairs, no_answers},
    results::{Comparison, Measured, ModelScores, Origin, SeedScores, Unit, Verdict},
};

/// The scores that every classifier gets.
const METRICS: [Metric; 2] = [Metric::Accuracy, Metric::MacroF1];

/// What one seed of a classifier said.
pub(crate) struct Answers {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) rows: Vec<Prediction>,
}

/// One classifier with all its seeds.
pub(crate) struct Classifier {
    pub(crate) name: String,
    origin: Origin,
    seeds: Vec<u64>,
    runs: Runs,
}

/// Classifiers, and the truth that they are measured by.
pub(crate) struct Contest {
    pub(crate) labels: Vec<String>,
    pub(crate) rows: Rows,
    has_groups: bool,
    pub(crate) classifiers: Vec<Classifier>,
}

/// What a row depends on no row outside of.
#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Independent<'a> {
    Group(&'a str),
    Row(usize),
}

impl Contest {
    /// Puts answers together: those of one name are the seeds of one classifier.
    ///
    /// # Errors
    /// When they are not all of the same rows.
    pub(crate) fn new(answers: &[Answers], mut labels: Vec<String>) -> Result<Self> {
        let first = &answers.first().ok_or(EvaluateError::MissingInput { field: "models" })?.rows;
        for answers in answers {
            same_rows(first, answers)?;
            for row in &answers.rows {
                if !labels.contains(&row.predicted) {
                    labels.push(row.predicted.clone());
                }
            }
        }
        let truth = numbers(first.iter().map(|row| &row.label), &labels)?;
        let count = u32::try_from(labels.len()).unwrap_or(u32::MAX);
        let units: Vec<Independent<'_>> = first.iter().enumerate().map(unit).collect();
        let rows = Rows::new(truth, count)
            .and_then(|rows| rows.grouped_by(&units))
            .map_err(of("examples"))?;
        let has_groups = first.iter().any(|row| row.group.is_some());
        let seeds = answers.chunk_by(|a, b| a.name == b.name);
        let classifiers =
            seeds.map(|seeds| Classifier::new(seeds, &rows, &labels)).collect::<Result<_>>()?;
        Ok(Self { labels, rows, has_groups, classifiers })
    }

    /// The most frequent label, the first of equals, and its share of the rows.
    pub(crate) fn majority(&self) -> (String, f64) {
        let mut counts = vec![0u64; self.labels.len()];
        self.rows.truth().iter().for_each(|&label| counts[label as usize] += 1);
        let larger = |best: usize, at: usize| if counts[at] > counts[best] { at } else { best };
        let best = (1..counts.len()).fold(0, larger);
        (self.labels[best].clone(), counts[best] as f64 / self.rows.truth().len() as f64)
    }

    /// Scores of every classifier.
    pub(crate) fn scores(&self, bootstrap: &Bootstrap) -> Result<Vec<ModelScores>> {
        // Each estimate draws from its own counters, and `collect` keeps the order.
        self.classifiers.par_iter().map(|classifier| self.score(classifier, bootstrap)).collect()
    }

    fn score(&self, classifier: &Classifier, bootstrap: &Bootstrap) -> Result<ModelScores> {
        let measure = |metric| -> Result<Measured> {
            let estimate = bootstrap.score(metric, &self.rows, &classifier.runs);
            let estimate = estimate.map_err(of(&classifier.name))?;
            Ok(Measured { unit: Unit::Share, estimate })
        };
        let by_seed = classifier.seeds.iter().zip(classifier.runs.predicted());
        let seeds = by_seed
            .map(|(&seed, predicted)| self.seed_scores(seed, predicted))
            .collect::<Result<Vec<_>, _>>()
            .map_err(of(&classifier.name))?;
        let sd =
            |score: fn(&SeedScores) -> f64| deviation(&seeds.iter().map(score).collect::<Vec<_>>());
        Ok(ModelScores {
            model: classifier.name.clone(),
            origin: classifier.origin,
            accuracy: measure(Metric::Accuracy)?,
            macro_f1: measure(Metric::MacroF1)?,
            accuracy_sd: sd(|seed| seed.accuracy),
            macro_f1_sd: sd(|seed| seed.macro_f1),
            seeds,
        })
    }

    fn seed_scores(&self, seed: u64, predicted: &[u32]) -> Result<SeedScores, MetricsError> {
        let confusion = Confusion::of(&self.rows, predicted)?;
        let run = Runs::new(&self.rows, vec![predicted.to_vec()])?;
        Ok(SeedScores {
            seed,
            accuracy: Metric::Accuracy.score(&self.rows, &run),
            macro_f1: Metric::MacroF1.score(&self.rows, &run),
            classes: confusion.classes(),
            confusion,
        })
    }

    /// The comparison of every pair by every metric.
    pub(crate) fn compare(
        &self,
        pairs: &[[String; 2]],
        bootstrap: &Bootstrap,
    ) -> Result<Vec<Comparison>> {
        let named = |name: &str| {
            let found = self.classifiers.iter().find(|classifier| classifier.name == name);
            found.ok_or_else(|| no_answers("predictions", name))
        };
        compare_pairs(&METRICS, pairs, |metric, model, other| {
            self.pair(metric, named(model)?, named(other)?, bootstrap)
        })
    }

    fn pair(
        &self,
        metric: Metric,
        model: &Classifier,
        other: &Classifier,
        bootstrap: &Bootstrap,
    ) -> Result<Comparison> {
        let names = || format!("{} against {}", model.name, other.name);
        let estimate = bootstrap
            .difference(metric, &self.rows, &model.runs, &other.runs)
            .map_err(of(&names()))?;
        let test =
            self.test(metric, &model.runs, &other.runs, bootstrap.seed).map_err(of(&names()))?;
        Ok(Comparison {
            model: model.name.clone(),
            other: other.name.clone(),
            metric,
            difference: Measured { unit: Unit::Share, estimate },
            test,
            p_adjusted: test.p,
            verdict: Verdict::of(&estimate),
        })
    }

    /// McNemar's exact test for the accuracy of single runs on independent rows, else randomisation over units.
    fn test(
        &self,
        metric: Metric,
        model: &Runs,
        other: &Runs,
        seed: u64,
    ) -> Result<Test, MetricsError> {
        if let (Metric::Accuracy, false, [model], [other]) =
            (metric, self.has_groups, model.predicted(), other.predicted())
        {
            return mcnemar(&self.rows, model, other);
        }
        let runs = common_multiple(model.len(), other.len());
        let model = repeated(&self.rows, model, runs)?;
        let other = repeated(&self.rows, other, runs)?;
        Randomisation::new(seed).compare(metric, &self.rows, &model, &other)
    }
}

impl Classifier {
    fn new(seeds: &[Answers], rows: &Rows, labels: &[String]) -> Result<Self> {
        let predicted = seeds
            .iter()
            .map(|answers| numbers(answers.rows.iter().map(|row| &row.predicted), labels))
            .collect::<Result<_>>()?;
        let (name, origin) = (seeds[0].name.clone(), seeds[0].origin);
        let runs = Runs::new(rows, predicted).map_err(of(&name))?;
        let seeds = seeds.iter().filter_map(|answers| Some(answers.rows.first()?.seed)).collect();
        Ok(Self { name, origin, seeds, runs })
    }
}

fn unit((at, row): (usize, &Prediction)) -> Independent<'_> {
    row.group.as_deref().map_or(Independent::Row(at), Independent::Group)
}

fn same_rows(first: &[Prediction], answers: &Answers) -> Result<()> {
    let key = |row: &Prediction| (row.id.clone(), row.key.clone(), row.label.clone());
    if first.iter().map(key).eq(answers.rows.iter().map(key)) {
        return Ok(());
    }
    Err(EvaluateError::Unexpected {
        name: answers.name.clone(),
        found: format!("{} predictions of other rows", answers.rows.len()),
        expected: format!("{} of the same rows as the other models", first.len()),
    })
}

fn numbers<'a>(names: impl Iterator<Item = &'a String>, labels: &[String]) -> Result<Vec<u32>> {
    let number = |name: &String| {
        let at = labels.iter().position(|label| label == name);
        at.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| EvaluateError::Unexpected {
            name: "predictions".to_owned(),
            found: format!("the label `{name}`"),
            expected: "one of the label list".to_owned(),
        })
    };
    names.map(number).collect()
}

/// Sample standard deviation; none of fewer than two numbers.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

pub(crate) fn common_multiple(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

/// The runs over and over, so that there are `count`; their mean stays the same.
fn repeated(rows: &Rows, runs: &Runs, count: usize) -> Result<Runs, MetricsError> {
    Runs::new(rows, runs.predicted().iter().cycle().take(count).cloned().collect())
}

/// Says whose numbers could not be computed.
pub(crate) fn of(name: &str) -> impl Fn(MetricsError) -> EvaluateError + use<> {
    let name = name.to_owned();
    move |source| EvaluateError::Metrics { name: name.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::TestMethod;
    use pipelines::table::documents::RowKey;

    fn answers(name: &str, seed: u64, groups: bool, predicted: &str) -> Answers {
        let row = |(at, (truth, predicted)): (u64, (char, char))| Prediction {
            model: name.into(),
            seed,
            id: at.to_string(),
            key: RowKey { unit: "0".repeat(32), record: at },
            group: groups.then(|| (at / 2).to_string()),
            label: truth.into(),
            predicted: predicted.into(),
            probabilities: Vec::new(),
        };
        let rows = (0..).zip("aabbabab".chars().zip(predicted.chars())).map(row).collect();
        Answers { name: name.into(), origin: Origin::Model, rows }
    }

    fn contest(groups: bool) -> Contest {
        let all = [
            answers("x", 1, groups, "aabbabab"),
            answers("x", 2, groups, "aabbabba"),
            answers("y", 1, groups, "bbabbaba"),
            answers("z", 0, groups, "aabbabaa"),
        ];
        Contest::new(&all, vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn a_classifier_is_the_mean_of_its_seeds() {
        let scores = contest(false).scores(&Bootstrap::new(1)).unwrap();
        assert_eq!(scores.len(), 3);
        assert_eq!(scores[0].accuracy.estimate.value, 0.875);
        assert_eq!(scores[0].accuracy.estimate.units, 8);
        assert_eq!(scores[0].seeds[1].accuracy, 0.75);
        assert!((scores[0].accuracy_sd.unwrap() - 0.125 * 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(scores[1].accuracy_sd, None);
        assert_eq!(scores[1].seeds[0].confusion.counts, [[0, 4], [3, 1]]);
        assert_eq!(contest(false).majority(), ("a".into(), 0.5));
    }

    #[test]
    fn rows_of_one_group_are_one_unit() {
        let scores = contest(true).scores(&Bootstrap::new(1)).unwrap();
        assert_eq!(scores[0].accuracy.estimate.units, 4);
    }

    #[test]
    fn single_runs_on_independent_rows_are_tested_exactly() {
        let pairs = [["y".into(), "z".into()], ["x".into(), "z".into()]];
        let methods = |groups| {
            let compared = contest(groups).compare(&pairs, &Bootstrap::new(1)).unwrap();
            compared.iter().map(|row| row.test.method).collect::<Vec<_>>()
        };
        let exact = TestMethod::ExactRandomisation;
        assert_eq!(methods(false), [TestMethod::Mcnemar, exact, exact, exact]);
        assert_eq!(methods(true), [exact; 4]);
    }

    #[test]
    fn verdicts_follow_intervals_and_p_values_are_adjusted_by_metric() {
        let pairs = [["y".into(), "x".into()], ["x".into(), "y".into()], ["x".into(), "x".into()]];
        let compared = contest(false).compare(&pairs, &Bootstrap::new(1)).unwrap();
        let verdicts: Vec<_> = compared.iter().map(|row| row.verdict.word()).collect();
        assert_eq!(verdicts[..3], ["worse", "better", "tied"]);
        assert_eq!(compared[0].difference.estimate.value, -0.75);
        assert_eq!(compared[0].p_adjusted, (3.0 * compared[0].test.p).min(1.0));
        assert_eq!(compared[2].p_adjusted, 1.0);
    }

    #[test]
    fn answers_to_other_rows_are_refused() {
        let mut other = answers("y", 1, false, "bbbbbbbb");
        other.rows.pop();
        let error = Contest::new(
            &[answers("x", 1, false, "aabbabab"), other],
            vec!["a".into(), "b".into()],
        );
        let message = error.err().unwrap().to_string();
        assert!(message.contains("7 predictions of other rows, expected 8"), "{message}");
    }

    #[test]
    fn a_label_that_only_a_model_knows_joins_the_list() {
        let contest =
            Contest::new(&[answers("x", 1, false, "aabbabac")], vec!["a".into(), "b".into()])
                .unwrap();
        assert_eq!(contest.labels, ["a", "b", "c"]);
    }
}
