//! Models compared: the numbers of `results.json`, with their intervals drawn beside them.

use evaluate::report::{CORRECTED, entity_metric, interval, metric, p_value, signed_interval};
use evaluate::results::{Classification, Comparison, Entities, Language, Verdict};
use evaluate::{Estimate, Results};
use serde::Serialize;

/// The results of one evaluation.
#[derive(Serialize)]
pub struct StepResults {
    pub step: String,
    pub tables: Vec<Table>,
}

/// Rows with intervals on a scale that they share.
#[derive(Debug, PartialEq, Serialize)]
pub struct Table {
    pub caption: String,
    /// What the first column names.
    pub names: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub footnote: Option<&'static str>,
}

/// A column.
#[derive(Debug, PartialEq, Serialize)]
pub struct Column {
    pub name: &'static str,
    /// The ends of the scale that its intervals are drawn on.
    pub scale: Option<[String; 2]>,
    /// Where zero, or chance, stands on the scale, in percent.
    pub reference: Option<f64>,
}

/// A row.
#[derive(Debug, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// A number in words, and where it stands on its column's scale.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    pub text: String,
    pub mark: Option<Mark>,
    /// `better`, `worse` or `tied`, where the text is a verdict.
    pub verdict: Option<&'static str>,
}

/// Where an interval stands, in percent of the scale.
#[derive(Debug, PartialEq, Serialize)]
pub struct Mark {
    pub low: f64,
    pub value: f64,
    pub high: f64,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// The scale of a column.
#[derive(Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// From the least to the most of these intervals, and `also`.
    fn of<'a>(estimates: impl Iterator<Item = &'a Estimate>, also: Option<f64>) -> Self {
        let ends = estimates.flat_map(|estimate| [estimate.low, estimate.high]).chain(also);
        let (from, to) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), end| {
            (from.min(end), to.max(end))
        });
        if from < to { Self { from, to } } else { Self { from: from - 0.5, to: from + 0.5 } }
    }

    fn place(self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from) * 100.0).clamp(0.0, 100.0)
    }

    fn cell(self, estimate: &Estimate, text: String) -> Cell {
        let Estimate { value, low, high, .. } = *estimate;
        let [low, value, high] = [low, value, high].map(|end| self.place(end));
        Cell { text, mark: Some(Mark { low, value, high }), verdict: None }
    }

    fn column(self, name: &'static str, reference: Option<f64>) -> Column {
        let end = |value: f64| match value.abs() {
            large if large >= 100.0 => format!("{value:.1}"),
            _ => format!("{value:.3}"),
        };
        let scale = Some([self.from, self.to].map(end));
        Column { name, scale, reference: reference.map(|reference| self.place(reference)) }
    }
}

impl Column {
    fn plain(name: &'static str) -> Self {
        Self { name, scale: None, reference: None }
    }
}

/// What the first comparison of the evaluation came to, in a sentence.
pub fn headline(results: &Results) -> Option<String> {
    fn sentence<M: Copy>(found: &Comparison<M>, metric: fn(M) -> &'static str) -> String {
        let words = match found.verdict {
            Verdict::Better => "is better than",
            Verdict::Worse => "is worse than",
            Verdict::Tied => "cannot be told from",
        };
        format!(
            "{} {words} {}: {} {}, {:.0} % interval",
            found.model,
            found.other,
            metric(found.metric),
            signed_interval(&found.difference.estimate),
            found.difference.estimate.level * 100.0
        )
    }
    let classes = results.classification.as_ref().and_then(|found| found.comparisons.first());
    let entities = results.entities.as_ref().and_then(|found| found.comparisons.first());
    classes
        .map(|found| sentence(found, metric))
        .or_else(|| entities.map(|found| sentence(found, entity_metric)))
}

/// The tables of an evaluation.
pub fn step_results(step: &str, results: &Results) -> StepResults {
    let mut tables = Vec::new();
    if let Some(found) = &results.classification {
        tables.push(classifiers(found));
        tables.extend(comparisons(&found.comparisons, metric));
    }
    if let Some(found) = &results.entities {
        tables.push(taggers(found));
        tables.push(types(found));
        tables.extend(comparisons(&found.comparisons, entity_metric));
    }
    if let Some(found) = &results.language {
        tables.push(language_models(found));
    }
    StepResults { step: step.to_owned(), tables }
}

fn groups(units: u64, rows: u64) -> String {
    if units == rows { String::new() } else { format!(" in {units} groups") }
}

fn sd(sd: Option<f64>) -> Cell {
    Cell::text(sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.4}")))
}

fn classifiers(found: &Classification) -> Table {
    let models = &found.models;
    let accuracy =
        Scale::of(models.iter().map(|m| &m.accuracy.estimate), Some(found.majority_share));
    let macro_f1 = Scale::of(models.iter().map(|m| &m.macro_f1.estimate), None);
    let row = |scores: &evaluate::results::ModelScores| Row {
        name: scores.model.clone(),
        cells: vec![
            accuracy.cell(&scores.accuracy.estimate, interval(&scores.accuracy.estimate)),
            macro_f1.cell(&scores.macro_f1.estimate, interval(&scores.macro_f1.estimate)),
            Cell::text(scores.seeds.len().to_string()),
            sd(scores.accuracy_sd),
        ],
    };
    Table {
        caption: format!(
            "{}, {}: {} rows{}, {} labels; always “{}”: accuracy {:.4}",
            found.examples,
            found.split,
            found.rows,
            groups(found.units, found.rows),
            found.labels.len(),
            found.majority_label,
            found.majority_share
        ),
        names: "model",
        columns: vec![
            accuracy.column("accuracy", Some(found.majority_share)),
            macro_f1.column("macro F1", None),
            Column::plain("seeds"),
            Column::plain("sd of accuracy"),
        ],
        rows: models.iter().map(row).collect(),
        footnote: Some("the line across accuracy is that of always saying the most frequent label"),
    }
}

fn taggers(found: &Entities) -> Table {
    let models = &found.models;
    let scores = |which: fn(&evaluate::results::TaggerScores) -> &Estimate| {
        (which, Scale::of(models.iter().map(which), None))
    };
    let columns = [
        ("entity F1", scores(|model| &model.micro_f1.estimate)),
        ("precision", scores(|model| &model.precision.estimate)),
        ("recall", scores(|model| &model.recall.estimate)),
        ("macro F1", scores(|model| &model.macro_f1.estimate)),
    ];
    let row = |model: &evaluate::results::TaggerScores| {
        let intervals = columns
            .iter()
            .map(|(_, (which, scale))| scale.cell(which(model), interval(which(model))));
        let rest = [Cell::text(model.seeds.len().to_string()), sd(model.micro_f1_sd)];
        Row { name: model.model.clone(), cells: intervals.chain(rest).collect() }
    };
    let plain = ["seeds", "sd of entity F1"].map(Column::plain);
    Table {
        caption: format!(
            "{}, {}: {} rows{}, {} words, {} entities",
            found.examples,
            found.split,
            found.rows,
            groups(found.units, found.rows),
            found.words,
            found.entities
        ),
        names: "model",
        columns: columns
            .iter()
            .map(|(name, (_, scale))| scale.column(name, None))
            .chain(plain)
            .collect(),
        rows: models.iter().map(row).collect(),
        footnote: None,
    }
}

fn types(found: &Entities) -> Table {
    let rows = found.types().into_iter().flat_map(|found| {
        found.f1.into_iter().map(move |(model, f1)| Row {
            name: found.name.to_owned(),
            cells: [found.support.to_string(), model.to_owned(), format!("{f1:.4}")]
                .map(Cell::text)
                .into(),
        })
    });
    Table {
        caption: "F1 by type of entity, means over seeds".to_owned(),
        names: "type",
        columns: ["entities", "model", "F1"].map(Column::plain).into(),
        rows: rows.collect(),
        footnote: None,
    }
}

fn comparisons<M: Copy>(found: &[Comparison<M>], metric: fn(M) -> &'static str) -> Option<Table> {
    let scale = Scale::of(found.iter().map(|row| &row.difference.estimate), Some(0.0));
    let row = |row: &Comparison<M>| Row {
        name: format!("{} − {}", row.model, row.other),
        cells: vec![
            Cell::text(metric(row.metric)),
            scale.cell(&row.difference.estimate, signed_interval(&row.difference.estimate)),
            Cell::text(p_value(row.p_adjusted)),
            Cell { verdict: Some(row.verdict.word()), ..Cell::text(row.verdict.word()) },
        ],
    };
    (!found.is_empty()).then(|| Table {
        caption: "Differences, on the same rows".to_owned(),
        names: "comparison",
        columns: vec![
            Column::plain("score"),
            scale.column("difference", Some(0.0)),
            Column::plain("p (Holm)"),
            Column::plain("verdict"),
        ],
        rows: found.iter().map(row).collect(),
        footnote: Some(CORRECTED),
    })
}

fn language_models(found: &Language) -> Table {
    let models = &found.models;
    let nats =
        Scale::of(models.iter().map(|m| &m.nats_per_token.estimate), Some(found.unigram_entropy));
    let perplexity = Scale::of(models.iter().map(|m| &m.perplexity.estimate), None);
    let bits = Scale::of(models.iter().map(|m| &m.bits_per_byte.estimate), None);
    let row = |scores: &evaluate::results::LanguageScores| Row {
        name: scores.model.clone(),
        cells: vec![
            nats.cell(&scores.nats_per_token.estimate, interval(&scores.nats_per_token.estimate)),
            perplexity.cell(&scores.perplexity.estimate, interval(&scores.perplexity.estimate)),
            bits.cell(&scores.bits_per_byte.estimate, interval(&scores.bits_per_byte.estimate)),
            Cell::text(format!("{:.4}", scores.below_unigram)),
        ],
    };
    Table {
        caption: format!(
            "{}, validation: {} documents, {} tokens, {} bytes; unigram entropy {:.4} nats/token",
            found.shards, found.documents, found.tokens, found.bytes, found.unigram_entropy
        ),
        names: "model",
        columns: vec![
            nats.column("nats/token", Some(found.unigram_entropy)),
            perplexity.column("perplexity", None),
            bits.column("bits/byte", None),
            Column::plain("below unigram, nats/token"),
        ],
        rows: models.iter().map(row).collect(),
        footnote: Some("the line across nats/token is the unigram entropy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results that stand in the golden files of the format.
    fn golden() -> Results {
        let entities = include_bytes!("../../evaluate/tests/golden/v1/entities.json");
        let entities = Results::from_json(entities).unwrap().entities;
        assert!(entities.is_some());
        let all = include_bytes!("../../evaluate/tests/golden/v1/results.json");
        Results { entities, ..Results::from_json(all).unwrap() }
    }

    #[test]
    fn every_number_of_the_table_for_terminals_is_on_the_page() {
        let (results, mut told) = (golden(), String::new());
        for table in step_results("report", &results).tables {
            told += &table.caption;
            for row in table.rows {
                told += &format!("\n{}", row.name);
                row.cells.iter().for_each(|cell| told += &format!("  {}", cell.text));
            }
            told.push('\n');
        }
        let table = evaluate::table(&results);
        let numbers = table.split(|letter: char| !"0123456789.+-<".contains(letter));
        for number in numbers.filter(|word| word.contains('.')) {
            assert!(told.contains(number), "{number} of {table} is not in {told}");
        }
    }

    #[test]
    fn marks_stand_on_the_scale_of_their_column() {
        for table in step_results("report", &golden()).tables {
            for row in table.rows {
                assert_eq!(row.cells.len(), table.columns.len());
                for mark in row.cells.iter().filter_map(|cell| cell.mark.as_ref()) {
                    assert!(0.0 <= mark.low && mark.low <= mark.value, "{mark:?}");
                    assert!(mark.value <= mark.high && mark.high <= 100.0, "{mark:?}");
                }
            }
        }
    }

    #[test]
    fn a_scale_of_one_value_is_not_empty() {
        let scale = Scale::of([].into_iter(), Some(3.0));
        assert_eq!((scale.place(2.5), scale.place(3.0), scale.place(9.0)), (0.0, 50.0, 100.0));
    }

    #[test]
    fn the_headline_is_the_first_comparison() {
        let mut results = golden();
        let found = headline(&results).unwrap();
        assert!(found.contains("95 % interval"), "{found}");
        (results.classification, results.entities) = (None, None);
        assert_eq!(headline(&results), None);
    }
}
