//! How well the entities of sentences are found.

use std::{collections::HashSet, hash::Hash, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

use crate::{
    Entity, EntityMode, MetricsError, TagSet,
    confusion::{f1, ratio},
    rows::units_of,
};

/// Entities by what became of them. One is right if its type, first and last token are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityCounts {
    /// Predicted and true.
    pub correct: u64,
    /// Predicted.
    pub predicted: u64,
    /// True.
    pub truth: u64,
}

impl EntityCounts {
    /// Of the predicted entities, the share that is true; 0 if none is predicted.
    pub fn precision(self) -> f64 {
        ratio(self.correct, self.predicted)
    }

    /// Of the true entities, the share that is predicted; 0 if none is true.
    pub fn recall(self) -> f64 {
        ratio(self.correct, self.truth)
    }

    /// Harmonic mean of precision and recall; 0 if both are.
    pub fn f1(self) -> f64 {
        f1(self.correct, self.predicted, self.truth)
    }
}

impl Add for EntityCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            correct: self.correct + other.correct,
            predicted: self.predicted + other.predicted,
            truth: self.truth + other.truth,
        }
    }
}

impl Sum for EntityCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The true entities of every sentence, and which sentences are independent of each other.
#[derive(Clone, Debug)]
pub struct Sentences {
    tags: TagSet,
    truth: Vec<Vec<Entity>>,
    num_tokens: Vec<usize>,
    /// Sentences of each independent unit.
    units: Vec<Vec<usize>>,
}

impl Sentences {
    /// Independent sentences with these tags.
    ///
    /// # Errors
    /// If there are no sentences, or a tag is not in the list.
    pub fn new(tags: TagSet, truth: &[Vec<u32>]) -> Result<Self, MetricsError> {
        if truth.is_empty() {
            return Err(MetricsError::Empty { what: "sentences" });
        }
        let num_tokens = truth.iter().map(Vec::len).collect();
        let units = (0..truth.len()).map(|sentence| vec![sentence]).collect();
        let truth = truth.iter().map(|truth| tags.entities(truth)).collect::<Result<_, _>>()?;
        Ok(Self { tags, truth, num_tokens, units })
    }

    /// The same sentences, where those of one group (document, patient) depend on each other. Units are ordered by
    /// their first sentence.
    ///
    /// # Errors
    /// If there is not one group for each sentence.
    pub fn grouped_by<G: Hash + Eq>(self, groups: &[G]) -> Result<Self, MetricsError> {
        MetricsError::check_length("groups", groups.len(), self.truth.len())?;
        Ok(Self { units: units_of(groups), ..self })
    }

    /// The list of tags.
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// Sentences of each independent unit.
    pub fn units(&self) -> &[Vec<usize>] {
        &self.units
    }

    /// Counts by unit, then type.
    fn count(&self, predicted: &[Vec<u32>]) -> Result<Vec<Vec<EntityCounts>>, MetricsError> {
        MetricsError::check_length("tagged sentences", predicted.len(), self.truth.len())?;
        for (tags, &expected) in predicted.iter().zip(&self.num_tokens) {
            MetricsError::check_length("tags of a sentence", tags.len(), expected)?;
        }
        self.units.iter().map(|unit| self.count_unit(unit, predicted)).collect()
    }

    fn count_unit(
        &self,
        unit: &[usize],
        predicted: &[Vec<u32>],
    ) -> Result<Vec<EntityCounts>, MetricsError> {
        let mut counts = vec![EntityCounts::default(); self.tags.types().len()];
        for &sentence in unit {
            let truth: HashSet<&Entity> = self.truth[sentence].iter().collect();
            truth.iter().for_each(|entity| counts[entity.type_idx as usize].truth += 1);
            for entity in self.tags.entities(&predicted[sentence])? {
                let count = &mut counts[entity.type_idx as usize];
                count.predicted += 1;
                count.correct += u64::from(truth.contains(&entity));
            }
        }
        Ok(counts)
    }
}

/// What one model found in the units of [`Sentences`], once for each training seed.
///
/// A score is the mean over the seeds; the seeds do not add units, since they answer the same sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRuns {
    mode: EntityMode,
    types: Vec<String>,
    /// By run, unit, type.
    counts: Vec<Vec<Vec<EntityCounts>>>,
}

impl EntityRuns {
    /// Predicted tags of every sentence, one list for each training seed.
    ///
    /// # Errors
    /// If there is no run, a run does not tag every token, or a tag is not in the list.
    pub fn new(sentences: &Sentences, predicted: &[Vec<Vec<u32>>]) -> Result<Self, MetricsError> {
        if predicted.is_empty() {
            return Err(MetricsError::Empty { what: "runs" });
        }
        let counts = predicted.iter().map(|run| sentences.count(run)).collect::<Result<_, _>>()?;
        Ok(Self { mode: sentences.tags.mode(), types: sentences.tags.types().to_vec(), counts })
    }

    /// Number of runs.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no run. There always is one.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of independent units.
    pub fn num_units(&self) -> usize {
        self.counts[0].len()
    }

    /// Counts of every unit and type, by run: `[runs, units, types]`.
    pub fn counts(&self) -> &[Vec<Vec<EntityCounts>>] {
        &self.counts
    }

    /// Everything that is usually reported of one run.
    ///
    /// # Panics
    /// If `run` is not below [`len`](Self::len).
    pub fn report(&self, run: usize) -> EntityReport {
        let totals = totals(self.types.len(), self.counts[run].iter());
        let named = self.types.iter().cloned().zip(&totals).filter(|(_, counts)| occurs(counts));
        let types = named.map(|(name, &counts)| EntityScores::of(name, counts)).collect();
        let scores = |average: [EntityMetric; 3]| average.map(|metric| metric.of_totals(&totals));
        let micro = [EntityMetric::Precision, EntityMetric::Recall, EntityMetric::MicroF1];
        let r#macro =
            [EntityMetric::MacroPrecision, EntityMetric::MacroRecall, EntityMetric::MacroF1];
        EntityReport {
            mode: self.mode,
            micro: EntityAverage::of(scores(micro)),
            r#macro: EntityAverage::of(scores(r#macro)),
            support: totals.iter().map(|counts| counts.truth).sum(),
            types,
        }
    }
}

/// Scores of one run.
///
/// Source: `classification_report` of seqeval 1.2.2; where no entity is true or predicted it has no macro average, and
/// here that is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// How entities are seen.
    pub mode: EntityMode,
    /// Over all entities, whatever their type.
    pub micro: EntityAverage,
    /// Means over the types in `types`.
    pub r#macro: EntityAverage,
    /// True entities.
    pub support: u64,
    /// Types of the true and the predicted entities, by name.
    pub types: Vec<EntityScores>,
}

/// Precision, recall and F1 over several types.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityAverage {
    /// Of the predicted entities, the share that is true; 0 if none is predicted.
    pub precision: f64,
    /// Of the true entities, the share that is predicted; 0 if none is true.
    pub recall: f64,
    /// F1. The mean of F1 is not the F1 of the means.
    pub f1: f64,
}

/// How well entities of one type are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityScores {
    /// The type.
    pub name: String,
    /// Of the predicted entities, the share that is true; 0 if none is predicted.
    pub precision: f64,
    /// Of the true entities, the share that is predicted; 0 if none is true.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 if both are.
    pub f1: f64,
    /// True entities.
    pub support: u64,
}

impl EntityAverage {
    fn of([precision, recall, f1]: [f64; 3]) -> Self {
        Self { precision, recall, f1 }
    }
}

impl EntityScores {
    fn of(name: String, counts: EntityCounts) -> Self {
        Self {
            name,
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            support: counts.truth,
        }
    }
}

/// A score of predicted entities; higher is better.
///
/// Source: `precision_score`, `recall_score`, `f1_score` of seqeval 1.2.2 with `zero_division=0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityMetric {
    /// Share of predicted entities that are true: seqeval's `average="micro"`.
    Precision,
    /// Share of true entities that are predicted: seqeval's `average="micro"`.
    Recall,
    /// Harmonic mean of the two above, the F1 that papers mean: seqeval's default.
    MicroF1,
    /// Mean of precision over the types that occur in truth or prediction.
    MacroPrecision,
    /// Mean of recall over the types that occur in truth or prediction.
    MacroRecall,
    /// Mean of F1 over the types that occur in truth or prediction.
    MacroF1,
}

impl EntityMetric {
    /// The score of a model on all sentences, as the mean of its runs.
    pub fn score(self, model: &EntityRuns) -> f64 {
        let every: Vec<usize> = (0..model.num_units()).collect();
        self.score_units(model, &every)
    }

    /// The score on `units`; a unit may come more than once.
    pub(crate) fn score_units(self, model: &EntityRuns, units: &[usize]) -> f64 {
        let of_run = |run: &Vec<Vec<EntityCounts>>| {
            self.of_totals(&totals(model.types.len(), units.iter().map(|&unit| &run[unit])))
        };
        model.counts.iter().map(of_run).sum::<f64>() / model.len() as f64
    }

    /// By how much a run is above another, with the answers of the `swapped` units exchanged.
    pub(crate) fn difference(
        self,
        model: &[Vec<EntityCounts>],
        other: &[Vec<EntityCounts>],
        swapped: &[bool],
    ) -> f64 {
        let score = |own: &[Vec<EntityCounts>], foreign: &[Vec<EntityCounts>]| {
            let answers = own.iter().zip(foreign).zip(swapped);
            let answers = answers.map(|((own, foreign), swap)| if *swap { foreign } else { own });
            self.of_totals(&totals(own.first().map_or(0, Vec::len), answers))
        };
        score(model, other) - score(other, model)
    }

    /// The score of the counts of every type.
    fn of_totals(self, types: &[EntityCounts]) -> f64 {
        let all: EntityCounts = types.iter().copied().sum();
        match self {
            Self::Precision => all.precision(),
            Self::Recall => all.recall(),
            Self::MicroF1 => all.f1(),
            Self::MacroPrecision => mean(types, EntityCounts::precision),
            Self::MacroRecall => mean(types, EntityCounts::recall),
            Self::MacroF1 => mean(types, EntityCounts::f1),
        }
    }
}

/// Sums of the counts of units, by type.
fn totals<'a>(
    num_types: usize,
    units: impl Iterator<Item = &'a Vec<EntityCounts>>,
) -> Vec<EntityCounts> {
    units.fold(vec![EntityCounts::default(); num_types], |mut totals, unit| {
        totals.iter_mut().zip(unit).for_each(|(total, counts)| *total = *total + *counts);
        totals
    })
}

/// Whether the type has an entity, true or predicted.
fn occurs(counts: &EntityCounts) -> bool {
    counts.truth + counts.predicted > 0
}

/// The mean of `score` over the types that occur; 0 if none does.
fn mean(types: &[EntityCounts], score: fn(EntityCounts) -> f64) -> f64 {
    let scores: Vec<f64> =
        types.iter().filter(|counts| occurs(counts)).map(|&counts| score(counts)).collect();
    if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 }
}
