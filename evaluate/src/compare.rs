//! Phase `compare`: scores, intervals and differences from what all models said; one task.

use metrics::{Bootstrap, Decoding, unigram_entropy};
use pipelines::{
    context::Context,
    error::TaskError,
    input::TaskInputs,
    output::TaskOutput,
    shard::Shard,
    stage::{Input, Phase, Task, View},
    table::{
        TableWriter, examples::Split, likelihoods::Likelihood, predictions::Prediction, read_all,
        tag_predictions::TagPrediction,
    },
};
use serde::Serialize;

use crate::{
    baseline,
    classify::{self, PREDICTIONS},
    config::{EntityMode, Resampling},
    error::{EvaluateError, Result},
    held_out,
    likelihood::{self, LIKELIHOODS},
    results::{
        self, Classification, Entities, Language, LanguageScores, Measured, Origin, Results, Unit,
    },
    scores::{Answers, Contest, of},
    tag::{self, TAG_PREDICTIONS},
    tagger_scores::TaggerContest,
};

/// Name of the phase, and of its task.
pub const NAME: &str = "compare";

/// The results, as JSON.
pub const RESULTS: &str = "results";

/// Makes results of predictions and likelihoods.
#[derive(Clone, Debug, Serialize)]
pub struct Compare {
    /// Whose rows.
    pub split: Split,
    /// Which two classifiers each.
    pub pairs: Vec<[String; 2]>,
    /// How intervals are found.
    pub bootstrap: Resampling,
    /// Seed of resamples and swaps.
    pub seed: u64,
    /// Which tags are an entity, if models tag words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_mode: Option<EntityMode>,
    /// How scores became tags, if models tag words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding: Option<Decoding>,
}

impl Phase for Compare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let of_phase = |phase: &'static str, output: &'static str| {
            let input = move |task: &String| {
                Input::new(output, view.output(phase, task, output)).tagged(phase)
            };
            view.tasks(phase).iter().map(input)
        };
        let mut inputs: Vec<Input> = of_phase(classify::NAME, PREDICTIONS)
            .chain(of_phase(baseline::NAME, PREDICTIONS))
            .chain(of_phase(tag::NAME, TAG_PREDICTIONS))
            .chain(of_phase(likelihood::NAME, LIKELIHOODS))
            .collect();
        if inputs.iter().any(|input| [PREDICTIONS, TAG_PREDICTIONS].contains(&input.role.as_str()))
        {
            inputs.push(held_out::labels_input(view)?);
        }
        if inputs.iter().any(|input| input.role == LIKELIHOODS) {
            inputs.extend(likelihood::token_inputs(view)?);
        }
        Ok(vec![Task::new(NAME, inputs)])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let answers = answers(inputs)?;
        let tagged = tagged(inputs)?;
        let likelihoods = likelihoods(inputs)?;
        ctx.check_cancelled()?;
        let results = Results {
            version: results::VERSION,
            seed: self.seed,
            bootstrap: self.bootstrap,
            classification: match answers.is_empty() {
                true => None,
                false => Some(self.classification(inputs, &answers)?),
            },
            entities: match tagged.is_empty() {
                true => None,
                false => Some(self.entities(inputs, &tagged)?),
            },
            language: match likelihoods.is_empty() {
                true => None,
                false => Some(self.language(inputs, &likelihoods)?),
            },
        };
        ctx.check_cancelled()?;
        out.write(RESULTS, &results.to_json())?;
        if !answers.is_empty() {
            let mut table = TableWriter::<Prediction>::create(out, PREDICTIONS)?;
            answers
                .into_iter()
                .flat_map(|answers| answers.rows)
                .try_for_each(|row| table.push(row))?;
            table.finish(out)?;
        }
        if !tagged.is_empty() {
            let mut table = TableWriter::<TagPrediction>::create(out, TAG_PREDICTIONS)?;
            tagged.into_iter().flatten().try_for_each(|row| table.push(row))?;
            table.finish(out)?;
        }
        if !likelihoods.is_empty() {
            let mut table = TableWriter::<Likelihood>::create(out, LIKELIHOODS)?;
            likelihoods.into_iter().flatten().try_for_each(|row| table.push(row))?;
            table.finish(out)?;
        }
        Ok(())
    }
}

impl Compare {
    fn bootstrap(&self) -> Bootstrap {
        let Resampling { resamples, level } = self.bootstrap;
        Bootstrap { seed: self.seed, resamples, level }
    }

    fn classification(&self, inputs: &TaskInputs, answers: &[Answers]) -> Result<Classification> {
        let (examples, labels) = held_out::labels(inputs)?;
        let contest = Contest::new(answers, labels)?;
        let bootstrap = self.bootstrap();
        let (majority_label, majority_share) = contest.majority();
        Ok(Classification {
            examples,
            split: self.split,
            rows: contest.rows.truth().len() as u64,
            units: contest.rows.units().len() as u64,
            majority_label,
            majority_share,
            models: contest.scores(&bootstrap)?,
            comparisons: contest.compare(&self.pairs, &bootstrap)?,
            labels: contest.labels,
        })
    }

    fn entities(&self, inputs: &TaskInputs, answers: &[Vec<TagPrediction>]) -> Result<Entities> {
        let (examples, _) = held_out::labels(inputs)?;
        let mode = self.entity_mode.unwrap_or_default();
        let contest = TaggerContest::new(answers, mode)?;
        let bootstrap = self.bootstrap();
        Ok(Entities {
            examples,
            split: self.split,
            rows: answers[0].len() as u64,
            words: contest.num_words,
            entities: contest.num_entities(),
            units: contest.sentences.units().len() as u64,
            mode,
            decoding: self.decoding.unwrap_or_default(),
            models: contest.scores(&bootstrap)?,
            comparisons: contest.compare(&self.pairs, &bootstrap)?,
        })
    }

    fn language(&self, inputs: &TaskInputs, models: &[Vec<Likelihood>]) -> Result<Language> {
        let (name, shards) = likelihood::open_shards(inputs)?;
        let unigram_entropy = unigram_entropy(&token_counts(&shards));
        let sum = |size: fn(&Likelihood) -> u64| models[0].iter().map(size).sum();
        let scores = |rows: &Vec<Likelihood>| self.language_scores(rows, unigram_entropy);
        Ok(Language {
            shards: name,
            documents: models[0].len() as u64,
            tokens: sum(|row| row.tokens),
            bytes: sum(|row| row.bytes),
            unigram_entropy,
            models: models.iter().map(scores).collect::<Result<_>>()?,
        })
    }

    fn language_scores(&self, rows: &[Likelihood], unigram_entropy: f64) -> Result<LanguageScores> {
        let model = rows.first().map(|row| row.model.clone()).unwrap_or_default();
        let nats: Vec<f64> = rows.iter().map(|row| row.nats).collect();
        let tokens: Vec<u64> = rows.iter().map(|row| row.tokens).collect();
        let bytes: Vec<u64> = rows.iter().map(|row| row.bytes).collect();
        let bootstrap = self.bootstrap();
        let failed = of(&model);
        let loss = bootstrap.nats_per_token(&nats, &tokens).map_err(&failed)?;
        let perplexity = bootstrap.perplexity(&nats, &tokens).map_err(&failed)?;
        let bits = bootstrap.bits_per_byte(&nats, &bytes).map_err(&failed)?;
        Ok(LanguageScores {
            model,
            nats_per_token: Measured { unit: Unit::NatsPerToken, estimate: loss },
            perplexity: Measured { unit: Unit::Perplexity, estimate: perplexity },
            bits_per_byte: Measured { unit: Unit::BitsPerByte, estimate: bits },
            below_unigram: unigram_entropy - loss.value,
        })
    }
}

/// How often each token stands in the shards.
fn token_counts(shards: &[Shard]) -> Vec<u64> {
    let mut counts: Vec<u64> = Vec::new();
    for shard in shards {
        for document in 0..shard.documents() {
            for token in shard.document(document) {
                let at = token as usize;
                if at >= counts.len() {
                    counts.resize(at + 1, 0);
                }
                counts[at] += 1;
            }
        }
    }
    counts
}

fn answers(inputs: &TaskInputs) -> Result<Vec<Answers>> {
    let read = |input: &pipelines::input::TaskInput| {
        let rows: Vec<Prediction> = read_all(&input.map()?)?;
        let origin = if input.tag() == baseline::NAME { Origin::Baseline } else { Origin::Model };
        let name =
            rows.first().map(|row| row.model.clone()).ok_or_else(|| EvaluateError::Unexpected {
                name: input.name().to_owned(),
                found: "no prediction".to_owned(),
                expected: "one for each row".to_owned(),
            })?;
        Ok(Answers { name, origin, rows })
    };
    inputs.all(PREDICTIONS).map(read).collect()
}

fn tagged(inputs: &TaskInputs) -> Result<Vec<Vec<TagPrediction>>> {
    inputs.all(TAG_PREDICTIONS).map(|input| Ok(read_all(&input.map()?)?)).collect()
}

fn likelihoods(inputs: &TaskInputs) -> Result<Vec<Vec<Likelihood>>> {
    inputs.all(LIKELIHOODS).map(|input| Ok(read_all(&input.map()?)?)).collect()
}
