//! All of a run on one page: what it says, as plain values, and the template that shows them.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use clap::ValueEnum;
use evaluate::Results;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use pipelines::kind::Kind;
use pipelines::publish::OutDir;
use serde::Serialize;

use super::artifacts::{Artifacts, Opened};
use super::counts::{StepCounts, counts};
use super::curves::{StepCurves, curves};
use super::dropped::{Dropped, dropped};
use super::graph::{Graph, graph};
use super::history::{End, History};
use super::mistakes::{ModelMistakes, mistakes};
use super::models::{StepResults, headline, step_results};
use super::provenance::{Again, Provenance, provenance};
use crate::show;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Failures whose messages are shown.
const MAX_FAILURES: usize = 20;
/// Letters of a failure's message.
const MAX_MESSAGE: usize = 2000;

/// Whose texts are on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Samples {
    /// No text at all: neither of data, nor what failed tasks say, which may quote it
    None,
    /// Of documents that are kept, and of held-out rows that a model gets wrong
    Kept,
    /// Also of records that were dropped, as they were extracted
    Dropped,
}

/// What the page says.
#[derive(Serialize)]
pub struct Page {
    /// What tells this page from that of another run.
    pub mark: String,
    pub manifest: String,
    pub seed: u64,
    pub run: String,
    pub only: Option<String>,
    pub began: String,
    pub duration: String,
    /// `well`, `failed`, `interrupted` or `under-way`.
    pub end: &'static str,
    pub end_words: &'static str,
    /// Tasks that ended well in it.
    pub finished: usize,
    pub failures: Vec<Failure>,
    pub more_failures: usize,
    /// What the evaluations came to.
    pub headlines: Vec<String>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
    pub graph: Graph,
    pub counts: Vec<StepCounts>,
    pub dropped: Vec<Dropped>,
    pub curves: Vec<StepCurves>,
    pub results: Vec<StepResults>,
    pub mistakes: Vec<ModelMistakes>,
    pub provenance: Provenance,
    /// Whether texts of documents that are kept, or of held-out rows, are on it.
    pub has_texts: bool,
    /// Whether texts of dropped records are on it, and whether they were asked for.
    pub has_dropped_texts: bool,
    pub asks_for_dropped: bool,
}

/// A task that failed.
#[derive(Serialize)]
pub struct Failure {
    pub task: String,
    pub message: Option<String>,
}

fn failures(history: &History, samples: Samples) -> Vec<Failure> {
    let failure = |(task, message): &(String, String)| Failure {
        task: task.clone(),
        message: (samples != Samples::None).then(|| excerpt(message, MAX_MESSAGE)),
    };
    history.failures.iter().take(MAX_FAILURES).map(failure).collect()
}

/// What tells the page of a run from others: which run, and how it had ended when the page was written.
pub fn mark(run: &str, end: End) -> String {
    format!("{run} {}", end_name(end))
}

fn end_name(end: End) -> &'static str {
    match end {
        End::Well => "well",
        End::Failed => "failed",
        End::Interrupted => "interrupted",
        End::UnderWay => "under-way",
    }
}

fn end_words(end: End) -> &'static str {
    match end {
        End::Well => "ended well",
        End::Failed => "failed",
        End::Interrupted => "did not come to its end",
        End::UnderWay => "is under way",
    }
}

/// What could not be read.
struct Problems(Vec<String>);

impl Problems {
    /// What was found; nothing of what could not be read, which is noted under `what`.
    fn or_note<T: Default>(&mut self, what: &str, found: anyhow::Result<T>) -> T {
        found.unwrap_or_else(|error| {
            self.0.push(format!("{what}: {error:#}"));
            T::default()
        })
    }
}

impl Page {
    /// Gathers all of it. What cannot be read is said on the page.
    pub fn gather(out: &OutDir, history: &History, samples: Samples, again: Again) -> Self {
        let mut artifacts = Artifacts::of(out, history);
        let mut problems = Problems(std::mem::take(&mut artifacts.missing));
        if history.damaged_lines > 0 {
            let lines = history.damaged_lines;
            problems.0.push(format!("lines of the log that cannot be understood: {lines}"));
        }
        let evaluations: Vec<(&Opened, Results)> = artifacts
            .of_kind(Kind::Results)
            .filter_map(|opened| {
                let results = read_results(opened).map(Some);
                Some((opened, problems.or_note(&opened.step, results)?))
            })
            .collect();
        let found = dropped(out, &artifacts, samples).map_err(Into::into);
        let dropped = problems.or_note("what was dropped", found);
        let entropies = unigram_entropies(&evaluations);
        let found = curves(&artifacts, |step| entropies.get(step).copied());
        let curves = problems.or_note("curves", found);
        let mut wrong = Vec::new();
        for (opened, results) in &evaluations {
            let found = mistakes(&artifacts, opened, results, samples).map_err(Into::into);
            wrong.extend(problems.or_note("errors to read", found));
        }
        Self {
            mark: mark(&history.name, history.end),
            manifest: history.start.manifest.clone(),
            seed: history.start.seed,
            run: history.name.clone(),
            only: history.start.only.clone(),
            began: date(history.began),
            duration: show::time(history.ended - history.began),
            end: end_name(history.end),
            end_words: end_words(history.end),
            finished: history.finished(),
            failures: failures(history, samples),
            more_failures: history.failures.len().saturating_sub(MAX_FAILURES),
            headlines: evaluations.iter().filter_map(|(_, results)| headline(results)).collect(),
            problems: problems.0,
            graph: graph(history),
            counts: counts(history, &artifacts),
            curves,
            results: evaluations
                .iter()
                .map(|(opened, results)| step_results(&opened.step, results))
                .collect(),
            provenance: provenance(history, &artifacts, again),
            has_texts: dropped.iter().any(|step| !step.kept.is_empty())
                || wrong.iter().any(ModelMistakes::has_texts),
            has_dropped_texts: dropped.iter().any(Dropped::has_texts),
            asks_for_dropped: samples == Samples::Dropped,
            dropped,
            mistakes: wrong,
        }
    }

    /// Whether something on it is for its owner's eyes only. A message of a task that failed may quote what it read.
    pub fn is_private(&self) -> bool {
        let quotes = self.failures.iter().any(|failure| failure.message.is_some());
        self.has_texts || self.has_dropped_texts || quotes
    }

    /// The page as HTML. Whatever stands in the data is escaped.
    ///
    /// # Errors
    /// When the template does not fit.
    pub fn html(&self) -> anyhow::Result<String> {
        let mut environment = Environment::new();
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        // By its name, `page.html` escapes what it shows, and `page.css` is taken as it is.
        environment.add_template("page.html", TEMPLATE)?;
        environment.add_template("page.css", STYLE)?;
        environment.add_filter("grouped", grouped);
        environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
        Ok(environment.get_template("page.html")?.render(Value::from(Serde(self)))?)
    }
}

fn read_results(opened: &Opened) -> anyhow::Result<Results> {
    let path = opened.dir.join("results.json");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Results::from_json(&bytes).with_context(|| path.display().to_string())
}

/// The unigram entropy of the text that each language model was measured on.
fn unigram_entropies<'a>(evaluations: &'a [(&Opened, Results)]) -> BTreeMap<&'a str, f64> {
    let language = evaluations.iter().filter_map(|(_, results)| results.language.as_ref());
    let entropies = |found: &'a evaluate::results::Language| {
        found.models.iter().map(|model| (model.model.as_str(), found.unigram_entropy))
    };
    language.flat_map(entropies).collect()
}

/// `2026-11-26 17:10:05 UTC`.
fn date(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole seconds of a date are far below 2^63"
    )]
    let date = chrono::DateTime::from_timestamp(seconds as i64, 0);
    date.map_or_else(String::new, |date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number for people: four digits behind the point at most, and no zeros at its end.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "" | "-0" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// The first `most` letters of a text. What cannot be shown, or would turn what stands behind it, is U+FFFD.
pub fn excerpt(text: &str, most: usize) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\t' => letter,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ if letter.is_control() => '\u{fffd}',
        _ => letter,
    };
    let mut letters = text.trim().chars();
    let mut cut: String = letters.by_ref().take(most).map(shown).collect();
    if letters.next().is_some() {
        cut.push_str(" …");
    }
    cut
}

/// The beginning of a digest, to tell rows apart by.
pub fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{finished, history, started, step};
    use super::*;
    use pipelines::store::Store;
    use pipelines::task::Event;

    #[test]
    fn numbers_and_dates_read_well() {
        let numbers = [0.0, -0.0, 1.0, 0.25, 12.345_678, -3.5, 5e-5, 1200.0].map(number);
        assert_eq!(numbers, ["0", "0", "1", "0.25", "12.3457", "-3.5", "5.0e-5", "1200"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(date(1_795_713_005.9), "2026-11-26 17:10:05 UTC");
    }

    #[test]
    fn an_excerpt_is_cut_between_letters_and_shows_what_it_can() {
        assert_eq!(excerpt("  ärger\u{0}\n", 10), "ärger\u{fffd}");
        assert_eq!(excerpt("a\u{202e}b", 10), "a\u{fffd}b");
        assert_eq!(excerpt("äääää", 2), "ää …");
        assert_eq!(excerpt("ää", 2), "ää");
    }

    fn page(history: &History) -> String {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("out");
        let store = Store::open(root.join(".seedbed")).unwrap();
        let out = OutDir { root, store };
        let again = Again::of(&out, None);
        Page::gather(&out, history, Samples::Kept, again).html().unwrap()
    }

    #[test]
    fn what_stands_in_the_data_is_escaped() {
        let bad = "<script>alert(1)</script>\"'&";
        let steps = vec![step(bad, &[], 1, 0), step("b", &[bad], 1, 0)];
        let failed =
            Event::Failed { task: "b/work/1".into(), message: bad.into(), cancelled: false };
        let mut history = history(steps, vec![started("b/work/1"), failed]);
        history.start.manifest = bad.into();
        history.start.steps[0].config = serde_json::json!({ "labels": [bad] });
        history.end = End::Failed;
        let html = page(&history);
        assert!(html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"), "{html}");
        assert!(!html.contains("<script"));
        assert!(html.contains("failed"));
    }

    #[test]
    fn a_page_loads_nothing() {
        let history =
            history(vec![step("a", &[], 1, 0)], vec![started("a/work/1"), finished("a/work/1")]);
        let html = page(&history);
        for word in ["src=", "href=\"http", "url(", "@import", "<script", "<link"] {
            assert!(!html.contains(word), "{word}");
        }
    }
}
