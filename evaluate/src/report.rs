//! Results as a table for people.

use std::fmt::Write;

use metrics::{EntityMetric, Estimate, Metric};

use crate::results::{Classification, Comparison, Entities, Language, Results};

/// What stands below comparisons.
pub const CORRECTED: &str =
    "p is corrected for the comparisons of one score; a verdict goes by its own interval alone";

/// The results as lines of plain text: one a model, one a comparison. Ends with a newline.
pub fn table(results: &Results) -> String {
    let mut text = String::new();
    if let Some(classification) = &results.classification {
        classifiers(&mut text, classification);
        comparisons(&mut text, &classification.comparisons, metric);
    }
    if let Some(entities) = &results.entities {
        taggers(&mut text, entities);
        types(&mut text, entities);
        comparisons(&mut text, &entities.comparisons, entity_metric);
    }
    if let Some(language) = &results.language {
        language_models(&mut text, language);
    }
    text
}

fn groups(units: u64, rows: u64) -> String {
    if units == rows { String::new() } else { format!(" in {units} groups") }
}

fn classifiers(text: &mut String, found: &Classification) {
    let units = groups(found.units, found.rows);
    line(
        text,
        &format!(
            "{}, {}: {} rows{units}, {} labels; always `{}`: accuracy {:.4}",
            found.examples,
            found.split,
            found.rows,
            found.labels.len(),
            found.majority_label,
            found.majority_share,
        ),
    );
    let header = ["model", "accuracy", "macro F1", "seeds", "sd"].map(String::from);
    let rows = found.models.iter().map(|scores| {
        [
            scores.model.clone(),
            interval(&scores.accuracy.estimate),
            interval(&scores.macro_f1.estimate),
            scores.seeds.len().to_string(),
            scores.accuracy_sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.4}")),
        ]
    });
    columns(text, std::iter::once(header).chain(rows).collect());
}

fn taggers(text: &mut String, found: &Entities) {
    let Entities { examples, split, rows, words, entities, units, .. } = found;
    let groups = groups(*units, *rows);
    line(
        text,
        &format!("{examples}, {split}: {rows} rows{groups}, {words} words, {entities} entities"),
    );
    let header =
        ["model", "entity F1", "precision", "recall", "macro F1", "seeds", "sd"].map(String::from);
    let rows = found.models.iter().map(|scores| {
        [
            scores.model.clone(),
            interval(&scores.micro_f1.estimate),
            interval(&scores.precision.estimate),
            interval(&scores.recall.estimate),
            interval(&scores.macro_f1.estimate),
            scores.seeds.len().to_string(),
            scores.micro_f1_sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.4}")),
        ]
    });
    columns(text, std::iter::once(header).chain(rows).collect());
}

fn types(text: &mut String, found: &Entities) {
    line(text, "");
    let header = ["type", "entities", "model", "F1"].map(String::from);
    let rows = found.types().into_iter().flat_map(|found| {
        let row = move |(model, f1)| {
            [found.name.to_owned(), found.support.to_string(), model, format!("{f1:.4}")]
        };
        found.f1.into_iter().map(|(model, f1)| (model.to_owned(), f1)).map(row)
    });
    columns(text, std::iter::once(header).chain(rows).collect());
}

fn comparisons<M: Copy>(text: &mut String, found: &[Comparison<M>], metric: fn(M) -> &'static str) {
    if found.is_empty() {
        return;
    }
    line(text, "");
    let header = ["comparison", "score", "difference", "p (Holm)", "verdict"].map(String::from);
    let rows = found.iter().map(|row| {
        [
            format!("{} - {}", row.model, row.other),
            metric(row.metric).to_owned(),
            signed_interval(&row.difference.estimate),
            p_value(row.p_adjusted),
            row.verdict.word().to_owned(),
        ]
    });
    columns(text, std::iter::once(header).chain(rows).collect());
    line(text, CORRECTED);
}

fn language_models(text: &mut String, found: &Language) {
    if !text.is_empty() {
        line(text, "");
    }
    line(
        text,
        &format!(
            "{}, validation: {} documents, {} tokens, {} bytes; unigram entropy {:.4} nats/token",
            found.shards, found.documents, found.tokens, found.bytes, found.unigram_entropy,
        ),
    );
    let header =
        ["model", "nats/token", "perplexity", "bits/byte", "below unigram"].map(String::from);
    let rows = found.models.iter().map(|scores| {
        [
            scores.model.clone(),
            interval(&scores.nats_per_token.estimate),
            interval(&scores.perplexity.estimate),
            interval(&scores.bits_per_byte.estimate),
            format!("{:.4}", scores.below_unigram),
        ]
    });
    columns(text, std::iter::once(header).chain(rows).collect());
}

/// A score's name for people.
pub fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "accuracy",
        Metric::MacroF1 => "macro F1",
    }
}

/// A score of entities' name for people.
pub fn entity_metric(metric: EntityMetric) -> &'static str {
    match metric {
        EntityMetric::Precision => "precision",
        EntityMetric::Recall => "recall",
        EntityMetric::MicroF1 => "entity F1",
        EntityMetric::MacroPrecision => "macro precision",
        EntityMetric::MacroRecall => "macro recall",
        EntityMetric::MacroF1 => "macro F1",
    }
}

/// A number with its interval.
pub fn interval(estimate: &Estimate) -> String {
    let Estimate { value, low, high, .. } = estimate;
    format!("{value:.4} [{low:.4}, {high:.4}]")
}

/// A difference with its interval.
pub fn signed_interval(estimate: &Estimate) -> String {
    let Estimate { value, low, high, .. } = estimate;
    format!("{value:+.4} [{low:+.4}, {high:+.4}]")
}

/// A p-value.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

/// Lines with columns of one width each, two spaces apart.
fn columns<const N: usize>(text: &mut String, rows: Vec<[String; N]>) {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(text, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to memory does not fail");
}
