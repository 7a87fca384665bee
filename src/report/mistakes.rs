//! Errors to read: held-out rows that models get wrong, those first of which a model is surest.

use std::collections::{BTreeMap, HashMap};

use evaluate::Results;
use pipelines::error::Result;
use pipelines::kind::Kind;
use pipelines::table::documents::RowKey;
use pipelines::table::examples::Example;
use pipelines::table::predictions::Prediction;
use pipelines::table::tag_predictions::TagPrediction;
use serde::Serialize;

use super::artifacts::{Artifacts, Opened, rows};
use super::page::{Samples, excerpt, short};

/// Rows that are shown of each model.
const MAX_MISTAKES: usize = 5;
/// Letters of a text, and tokens of a tagged one.
const MAX_LETTERS: usize = 700;
const MAX_TOKENS: usize = 80;
/// Letters of a token, a label or the name of a row.
const MAX_NAME: usize = 60;

/// The errors of one model.
#[derive(Debug, PartialEq, Serialize)]
pub struct ModelMistakes {
    pub step: String,
    pub model: String,
    pub labels: Vec<LabelMistake>,
    pub tags: Vec<TagMistake>,
}

impl ModelMistakes {
    /// Whether there are texts of held-out rows.
    pub fn has_texts(&self) -> bool {
        self.labels.iter().any(|row| row.text.is_some()) || self.tags.iter().any(|row| row.has_text)
    }
}

/// A text with a wrong label.
#[derive(Debug, PartialEq, Serialize)]
pub struct LabelMistake {
    /// The row's own name, or what its id starts with.
    pub name: String,
    /// The seed of the model that is surest.
    pub seed: u64,
    pub truth: String,
    pub predicted: String,
    /// Of the wrong label, and of the right one.
    pub probability: String,
    pub of_truth: Option<String>,
    pub text: Option<String>,
}

/// A text with wrong tags.
#[derive(Debug, PartialEq, Serialize)]
pub struct TagMistake {
    pub name: String,
    pub seed: u64,
    /// Tokens whose tags are wrong.
    pub wrong: usize,
    /// The first tokens with their tags.
    pub tokens: Vec<Token>,
    /// Whether there are more.
    pub is_cut: bool,
    /// Whether the tokens are those of the text.
    pub has_text: bool,
}

/// A token with its tags.
#[derive(Debug, PartialEq, Serialize)]
pub struct Token {
    pub text: String,
    pub truth: String,
    pub predicted: String,
    pub is_wrong: bool,
}

/// The worst of each model, by how bad they are.
struct Worst<T>(BTreeMap<String, Vec<(f64, T)>>);

impl<T: PartialEq> Worst<T> {
    fn push(&mut self, model: &str, badness: f64, mistake: T, id: impl Fn(&T) -> &str) {
        let found = self.0.entry(model.to_owned()).or_default();
        // Several seeds may get the same text wrong; it is shown once, with the surest.
        match found.iter_mut().find(|(_, known)| id(known) == id(&mistake)) {
            Some(known) if known.0 < badness => *known = (badness, mistake),
            Some(_) => {}
            None => found.push((badness, mistake)),
        }
        found.sort_by(|one, other| other.0.total_cmp(&one.0));
        found.truncate(MAX_MISTAKES);
    }
}

/// Gathers the errors of the models of the evaluation `results`.
///
/// # Errors
/// When a table cannot be read.
pub fn mistakes(
    artifacts: &Artifacts,
    opened: &Opened,
    results: &Results,
    samples: Samples,
) -> Result<Vec<ModelMistakes>> {
    let mut labels = Worst(BTreeMap::new());
    rows(opened.file("predictions.parquet").into_iter(), |row: Prediction| {
        if row.label != row.predicted {
            let sure = row.probabilities.iter().copied().fold(0.0, f64::max);
            let model = row.model.clone();
            labels.push(&model, sure, row, |row| &row.id);
        }
        true
    })?;
    let mut tags = Worst(BTreeMap::new());
    rows(opened.file("tag_predictions.parquet").into_iter(), |row: TagPrediction| {
        let wrong = wrong(&row);
        if wrong > 0 {
            let model = row.model.clone();
            tags.push(&model, wrong as f64, row, |row| &row.id);
        }
        true
    })?;
    let keys = labels.0.values().flatten().map(|(_, row)| &row.key);
    let keys = keys.chain(tags.0.values().flatten().map(|(_, row)| &row.key));
    let examples = match samples {
        Samples::None => HashMap::new(),
        Samples::Kept | Samples::Dropped => examples(artifacts, opened, keys.cloned().collect())?,
    };
    let names = results.classification.as_ref().map_or(&[][..], |found| &found.labels);
    let mut models: BTreeMap<String, ModelMistakes> = BTreeMap::new();
    let mut of_model = |model: &str, labels, tags| {
        let (step, model) = (opened.step.clone(), model.to_owned());
        let found = models.entry(model.clone());
        let found = found.or_insert(ModelMistakes { step, model, labels: vec![], tags: vec![] });
        found.labels.extend(labels);
        found.tags.extend(tags);
    };
    for (model, wrong) in &labels.0 {
        let row = |(_, row): &(f64, Prediction)| label_mistake(row, names, examples.get(&row.key));
        of_model(model, wrong.iter().map(row).collect(), vec![]);
    }
    for (model, wrong) in &tags.0 {
        let row = |(_, row): &(f64, TagPrediction)| tag_mistake(row, examples.get(&row.key));
        of_model(model, vec![], wrong.iter().map(row).collect());
    }
    Ok(models.into_values().collect())
}

fn wrong(row: &TagPrediction) -> usize {
    row.tags.iter().zip(&row.predicted).filter(|(truth, predicted)| truth != predicted).count()
}

/// The examples with these keys, of those that the evaluation read.
fn examples(
    artifacts: &Artifacts,
    results: &Opened,
    mut wanted: Vec<RowKey>,
) -> Result<HashMap<RowKey, Example>> {
    wanted.sort();
    wanted.dedup();
    let mut found = HashMap::new();
    let reads = results.artifact.inputs.iter().filter(|input| input.kind == Kind::Examples.name());
    for opened in reads.filter_map(|input| artifacts.with(&input.digest)) {
        rows(opened.files(".parquet"), |row: Example| {
            if wanted.binary_search(&row.key).is_ok() {
                found.insert(row.key.clone(), row);
            }
            found.len() < wanted.len()
        })?;
    }
    Ok(found)
}

fn name(id: &str, example: Option<&Example>) -> String {
    let own = example.and_then(|example| example.source_id.clone());
    own.map_or_else(|| short(id), |own| excerpt(&own, MAX_NAME))
}

fn label_mistake(row: &Prediction, labels: &[String], example: Option<&Example>) -> LabelMistake {
    let probability = |label: &str| {
        let at = labels.iter().position(|known| known == label)?;
        Some(format!("{:.3}", row.probabilities.get(at)?))
    };
    let text = |example: &Example| match &example.text_pair {
        Some(pair) => format!("{}\n—\n{pair}", example.text),
        None => example.text.clone(),
    };
    LabelMistake {
        name: name(&row.id, example),
        seed: row.seed,
        truth: excerpt(&row.label, MAX_NAME),
        predicted: excerpt(&row.predicted, MAX_NAME),
        probability: probability(&row.predicted).unwrap_or_default(),
        of_truth: probability(&row.label),
        text: example.map(|example| excerpt(&text(example), MAX_LETTERS)),
    }
}

fn tag_mistake(row: &TagPrediction, example: Option<&Example>) -> TagMistake {
    let texts = example.map_or(&[][..], |example| &example.tokens);
    let tags = row.tags.iter().zip(&row.predicted).enumerate();
    // The first error is to be seen, and what stands before it.
    let first = tags.clone().position(|(_, (truth, predicted))| truth != predicted).unwrap_or(0);
    let from = (first + MAX_TOKENS / 4).saturating_sub(MAX_TOKENS);
    let token = |(at, (truth, predicted)): (usize, (&String, &String))| Token {
        text: texts
            .get(at)
            .map_or_else(|| format!("token {}", at + 1), |text| excerpt(text, MAX_NAME)),
        truth: excerpt(truth, MAX_NAME),
        predicted: excerpt(predicted, MAX_NAME),
        is_wrong: truth != predicted,
    };
    TagMistake {
        name: name(&row.id, example),
        seed: row.seed,
        wrong: wrong(row),
        tokens: tags.skip(from).take(MAX_TOKENS).map(token).collect(),
        is_cut: row.tags.len() > MAX_TOKENS,
        has_text: example.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(record: u64, seed: u64, sure: f64) -> Prediction {
        Prediction {
            model: "tuned".into(),
            seed,
            id: format!("{record:032}"),
            key: RowKey { unit: "u".into(), record },
            group: None,
            label: "dry".into(),
            predicted: "wet".into(),
            probabilities: vec![1.0 - sure, sure],
        }
    }

    #[test]
    fn the_surest_are_kept_and_a_text_once() {
        let mut worst = Worst(BTreeMap::new());
        for (record, seed, sure) in [(1, 1, 0.6), (1, 2, 0.9), (2, 1, 0.7), (1, 3, 0.8)] {
            worst.push("tuned", sure, prediction(record, seed, sure), |row| &row.id);
        }
        for record in 10..20 {
            worst.push("tuned", 0.5, prediction(record, 1, 0.5), |row| &row.id);
        }
        let found: Vec<_> =
            worst.0["tuned"].iter().map(|(_, row)| (row.key.record, row.seed)).collect();
        assert_eq!(found, [(1, 2), (2, 1), (10, 1), (11, 1), (12, 1)]);
    }

    #[test]
    fn a_mistake_tells_both_probabilities() {
        let labels = ["dry", "wet"].map(String::from);
        let found = label_mistake(&prediction(1, 1, 0.75), &labels, None);
        assert_eq!(
            (found.probability.as_str(), found.of_truth.as_deref()),
            ("0.750", Some("0.250"))
        );
        assert_eq!((found.name.len(), found.text), (12, None));
    }

    #[test]
    fn of_a_long_sentence_the_first_error_is_shown() {
        let tags = |wrong: usize| {
            (0..200).map(|at| if at == wrong { "B-X" } else { "O" }.to_owned()).collect::<Vec<_>>()
        };
        for wrong in [0, 79, 80, 199] {
            let row = TagPrediction {
                model: "tagger".into(),
                seed: 1,
                id: "0".repeat(32),
                key: RowKey { unit: "u".into(), record: 0 },
                group: None,
                tags: tags(200),
                predicted: tags(wrong),
            };
            let found = tag_mistake(&row, None);
            assert_eq!(found.tokens.iter().filter(|token| token.is_wrong).count(), 1, "{wrong}");
            assert!(found.is_cut && found.tokens.len() <= MAX_TOKENS);
        }
    }
}
