//! Scores of token classifiers from how they tagged the same rows.

use std::collections::BTreeSet;

use metrics::{
    Bootstrap, EntityMetric, EntityRuns, MetricsError, Randomisation, Sentences, TagSet,
};
use pipelines::table::tag_predictions::TagPrediction;
use rayon::prelude::*;

use crate::{
    config::EntityMode,
    error::{EvaluateError, Result},
    pairs::{compare_pairs, no_answers},
    results::{Comparison, Measured, TaggerScores, TaggerSeed, Unit, Verdict},
    scores::{Independent, common_multiple, deviation, of},
};

/// The scores by which models are compared.
const COMPARED: [EntityMetric; 2] = [EntityMetric::MicroF1, EntityMetric::MacroF1];

/// The tags of all rows, as `metrics` takes them.
type Tagged = Vec<Vec<u32>>;

/// One token classifier with all its seeds.
struct Tagger {
    name: String,
    seeds: Vec<u64>,
    predicted: Vec<Tagged>,
    runs: EntityRuns,
}

/// Token classifiers, and the truth that they are measured by.
pub(crate) struct TaggerContest {
    pub(crate) sentences: Sentences,
    pub(crate) num_words: u64,
    taggers: Vec<Tagger>,
}

impl TaggerContest {
    /// Puts answers together, one list for each model and seed: those of one model are its seeds.
    ///
    /// # Errors
    /// When they are not all of the same rows.
    pub(crate) fn new(answers: &[Vec<TagPrediction>], mode: EntityMode) -> Result<Self> {
        let first = answers.first().ok_or(EvaluateError::MissingInput { field: "models" })?;
        answers.iter().try_for_each(|answers| same_rows(first, answers))?;
        let rows = answers.iter().flatten();
        let names: BTreeSet<&String> =
            rows.flat_map(|row| row.tags.iter().chain(&row.predicted)).collect();
        let names: Vec<&String> = names.into_iter().collect();
        let units: Vec<_> = first.iter().enumerate().map(unit).collect();
        let truth: Tagged = first.iter().map(|row| numbers(&names, &row.tags)).collect();
        let sentences = TagSet::new(&names, mode.into())
            .and_then(|tags| Sentences::new(tags, &truth))
            .and_then(|sentences| sentences.grouped_by(&units))
            .map_err(of("examples"))?;
        let seeds = answers.chunk_by(|a, b| name(a) == name(b));
        let taggers =
            seeds.map(|seeds| Tagger::new(seeds, &sentences, &names)).collect::<Result<_>>()?;
        let num_words = truth.iter().map(|tags| tags.len() as u64).sum();
        Ok(Self { sentences, num_words, taggers })
    }

    /// Entities in the rows.
    pub(crate) fn num_entities(&self) -> u64 {
        self.taggers.first().map_or(0, |tagger| tagger.runs.report(0).support)
    }

    /// Scores of every model.
    pub(crate) fn scores(&self, bootstrap: &Bootstrap) -> Result<Vec<TaggerScores>> {
        // Each estimate draws from its own counters, and `collect` keeps the order.
        self.taggers.par_iter().map(|tagger| tagger.score(bootstrap)).collect()
    }

    /// The comparison of every pair by every score.
    pub(crate) fn compare(
        &self,
        pairs: &[[String; 2]],
        bootstrap: &Bootstrap,
    ) -> Result<Vec<Comparison<EntityMetric>>> {
        let named = |name: &str| {
            let found = self.taggers.iter().find(|tagger| tagger.name == name);
            found.ok_or_else(|| no_answers("tag-predictions", name))
        };
        compare_pairs(&COMPARED, pairs, |metric, model, other| {
            self.pair(metric, named(model)?, named(other)?, bootstrap)
        })
    }

    fn pair(
        &self,
        metric: EntityMetric,
        model: &Tagger,
        other: &Tagger,
        bootstrap: &Bootstrap,
    ) -> Result<Comparison<EntityMetric>> {
        let names = format!("{} against {}", model.name, other.name);
        let difference = bootstrap.entity_difference(metric, &model.runs, &other.runs);
        let difference = difference.map_err(of(&names))?;
        let count = common_multiple(model.seeds.len(), other.seeds.len());
        let runs = |tagger: &Tagger| tagger.repeated(&self.sentences, count);
        let test = runs(model)
            .and_then(|model| Ok((model, runs(other)?)))
            .and_then(|(model, other)| {
                Randomisation::new(bootstrap.seed).compare_entities(metric, &model, &other)
            })
            .map_err(of(&names))?;
        Ok(Comparison {
            model: model.name.clone(),
            other: other.name.clone(),
            metric,
            difference: Measured { unit: Unit::Share, estimate: difference },
            test,
            p_adjusted: test.p,
            verdict: Verdict::of(&difference),
        })
    }
}

impl Tagger {
    fn new(seeds: &[Vec<TagPrediction>], sentences: &Sentences, names: &[&String]) -> Result<Self> {
        let tagged = |rows: &Vec<TagPrediction>| -> Tagged {
            rows.iter().map(|row| numbers(names, &row.predicted)).collect()
        };
        let name = name(&seeds[0]).to_owned();
        let predicted: Vec<Tagged> = seeds.iter().map(tagged).collect();
        let runs = EntityRuns::new(sentences, &predicted).map_err(of(&name))?;
        let seeds = seeds.iter().filter_map(|rows| Some(rows.first()?.seed)).collect();
        Ok(Self { name, seeds, predicted, runs })
    }

    fn score(&self, bootstrap: &Bootstrap) -> Result<TaggerScores> {
        let measure = |metric| -> Result<Measured> {
            let estimate = bootstrap.entity_score(metric, &self.runs).map_err(of(&self.name))?;
            Ok(Measured { unit: Unit::Share, estimate })
        };
        let of_seed = |(run, &seed): (usize, &u64)| {
            let report = self.runs.report(run);
            TaggerSeed { seed, micro: report.micro, r#macro: report.r#macro, types: report.types }
        };
        let seeds: Vec<TaggerSeed> = self.seeds.iter().enumerate().map(of_seed).collect();
        let sd =
            |score: fn(&TaggerSeed) -> f64| deviation(&seeds.iter().map(score).collect::<Vec<_>>());
        Ok(TaggerScores {
            model: self.name.clone(),
            micro_f1: measure(EntityMetric::MicroF1)?,
            precision: measure(EntityMetric::Precision)?,
            recall: measure(EntityMetric::Recall)?,
            macro_f1: measure(EntityMetric::MacroF1)?,
            micro_f1_sd: sd(|seed| seed.micro.f1),
            macro_f1_sd: sd(|seed| seed.r#macro.f1),
            seeds,
        })
    }

    /// The runs over and over, so that there are `count`; their mean stays the same.
    fn repeated(&self, sentences: &Sentences, count: usize) -> Result<EntityRuns, MetricsError> {
        let predicted: Vec<Tagged> = self.predicted.iter().cycle().take(count).cloned().collect();
        EntityRuns::new(sentences, &predicted)
    }
}

fn unit((at, row): (usize, &TagPrediction)) -> Independent<'_> {
    row.group.as_deref().map_or(Independent::Row(at), Independent::Group)
}

fn name(rows: &[TagPrediction]) -> &str {
    rows.first().map_or("", |row| &row.model)
}

/// Places of tags in the sorted list of all.
fn numbers(names: &[&String], tags: &[String]) -> Vec<u32> {
    let number = |tag| names.binary_search(&tag).ok().and_then(|at| u32::try_from(at).ok());
    tags.iter().map(|tag| number(tag).expect("the list has every tag of the rows")).collect()
}

fn same_rows(first: &[TagPrediction], answers: &[TagPrediction]) -> Result<()> {
    let same = |(a, b): (&TagPrediction, &TagPrediction)| {
        a.id == b.id && a.key == b.key && a.tags == b.tags && b.predicted.len() == b.tags.len()
    };
    if first.len() == answers.len() && first.iter().zip(answers).all(same) {
        return Ok(());
    }
    Err(EvaluateError::Unexpected {
        name: name(answers).to_owned(),
        found: format!("{} predictions of other rows", answers.len()),
        expected: format!("{} of the same rows as the other models", first.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::table::documents::RowKey;

    const TRUTH: [&str; 4] = ["B-PER I-PER O", "O B-LOC", "B-PER", "O O B-LOC I-LOC"];

    fn answers(name: &str, seed: u64, predicted: [&str; 4]) -> Vec<TagPrediction> {
        let tags = |tags: &str| tags.split(' ').map(str::to_owned).collect();
        let row = |(record, (truth, predicted)): (u64, (&str, &str))| TagPrediction {
            model: name.into(),
            seed,
            id: record.to_string(),
            key: RowKey { unit: "0".repeat(32), record },
            group: (record > 1).then(|| "letter".into()),
            tags: tags(truth),
            predicted: tags(predicted),
        };
        (0..).zip(TRUTH.into_iter().zip(predicted)).map(row).collect()
    }

    fn contest(mode: EntityMode) -> TaggerContest {
        let blind = ["O O O", "O O", "O", "O O O O"];
        let all = [
            answers("x", 1, TRUTH),
            answers("x", 2, ["B-PER I-PER O", "O B-PER", "B-PER", "O O I-LOC I-LOC"]),
            answers("y", 1, blind),
        ];
        TaggerContest::new(&all, mode).unwrap()
    }

    #[test]
    fn a_model_is_the_mean_of_its_seeds_over_units_of_documents() {
        let contest = contest(EntityMode::Default);
        assert_eq!((contest.num_words, contest.num_entities()), (10, 4));
        let scores = contest.scores(&Bootstrap::new(1)).unwrap();
        assert_eq!(scores[0].micro_f1.estimate.value, 0.875);
        assert_eq!(scores[0].micro_f1.estimate.units, 3);
        assert_eq!(scores[0].seeds[1].types[0].name, "LOC");
        assert_eq!(scores[0].seeds[1].types[0].support, 2);
        assert_eq!(scores[0].seeds[1].types[0].recall, 0.5);
        assert_eq!(scores[1].micro_f1.estimate.value, 0.0);
        assert_eq!(scores[1].micro_f1_sd, None);
    }

    #[test]
    fn an_entity_that_nothing_begins_counts_in_one_mode_alone() {
        let recall =
            |mode| contest(mode).scores(&Bootstrap::new(1)).unwrap()[0].seeds[1].micro.recall;
        assert_eq!((recall(EntityMode::Default), recall(EntityMode::Strict)), (0.75, 0.5));
    }

    #[test]
    fn two_models_are_compared_over_the_same_units() {
        let pairs = [["x".into(), "y".into()], ["y".into(), "x".into()]];
        let compared = contest(EntityMode::Default).compare(&pairs, &Bootstrap::new(1)).unwrap();
        assert_eq!(compared.len(), 4);
        assert_eq!(compared[0].difference.estimate.value, 0.875);
        assert_eq!((compared[0].verdict, compared[1].verdict), (Verdict::Better, Verdict::Worse));
        assert_eq!(compared[0].p_adjusted, (2.0 * compared[0].test.p).min(1.0));
    }

    #[test]
    fn answers_to_other_rows_are_refused() {
        let mut other = answers("y", 1, TRUTH);
        other.pop();
        let error = TaggerContest::new(&[answers("x", 1, TRUTH), other], EntityMode::Default);
        let message = error.err().unwrap().to_string();
        assert!(message.contains("3 predictions of other rows, expected 4"), "{message}");
    }
}
