//! What training measured on its way, as charts.

use std::fs;
use std::path::Path;

use anyhow::Context;
use pipelines::kind::Kind;
use serde::Serialize;
use serde_json::Value;

use super::artifacts::{Artifacts, Opened};
use super::chart::{self, Series};
use super::page::number;

/// Columns of `metrics.jsonl` that have a chart of their own, with their names.
const COLUMNS: [(&str, &str); 5] = [
    ("lr", "learning rate"),
    ("grad_norm", "gradient norm before clipping"),
    ("validation_accuracy", "accuracy of the validation rows"),
    ("validation_macro_f1", "macro F1 of the validation rows"),
    ("validation_f1", "entity F1 of the validation rows"),
];

/// The curves of one training step.
#[derive(Serialize)]
pub struct StepCurves {
    pub step: String,
    pub charts: Vec<Chart>,
}

/// A chart with all that stands around it.
#[derive(Serialize)]
pub struct Chart {
    /// What is drawn, with its unit.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub summary: String,
    /// The drawing. It is not escaped: it holds numbers alone.
    pub svg: String,
    pub keys: Vec<Key>,
}

/// What a line of a chart is.
#[derive(Debug, PartialEq, Serialize)]
pub struct Key {
    pub name: String,
    /// Its colour.
    pub class: String,
    pub dashed: bool,
}

/// Lines of `metrics.jsonl` of one model.
struct Metrics {
    /// Which of several; empty for the only one.
    model: String,
    lines: Vec<Value>,
}

impl Metrics {
    fn read(path: &Path, model: String) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        Ok(Self { model, lines: parsed.with_context(|| path.display().to_string())? })
    }

    /// Step and value of the lines that have this column.
    fn points(&self, column: &str) -> Vec<(f64, f64)> {
        let point = |line: &Value| Some((line["step"].as_f64()?, line[column].as_f64()?));
        self.lines.iter().filter_map(point).collect()
    }

    /// The line of a column; nothing without a point. `what` names it.
    fn series(&self, column: &str, what: &str, colour: usize, dashed: bool) -> Option<Series> {
        let points = self.points(column);
        let words = [self.model.as_str(), what].map(str::trim);
        let name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
        (!points.is_empty()).then_some(Series { name, colour, dashed, points })
    }
}

/// Gathers the curves of all training steps. `entropy` gives the unigram entropy of the text that a step's model was measured
/// on.
///
/// # Errors
/// When metrics cannot be read or drawn.
pub fn curves(
    artifacts: &Artifacts,
    entropy: impl Fn(&str) -> Option<f64>,
) -> anyhow::Result<Vec<StepCurves>> {
    let mut steps = Vec::new();
    for checkpoint in artifacts.of_kind(Kind::Checkpoint) {
        let charts = charts(checkpoint, entropy(&checkpoint.step))?;
        if !charts.is_empty() {
            steps.push(StepCurves { step: checkpoint.step.clone(), charts });
        }
    }
    Ok(steps)
}

fn charts(checkpoint: &Opened, entropy: Option<f64>) -> anyhow::Result<Vec<Chart>> {
    let models = checkpoint.files("metrics.jsonl").map(|path| {
        let parent = path.parent().filter(|parent| *parent != checkpoint.dir);
        let model = parent.and_then(Path::file_name).and_then(|name| name.to_str());
        Metrics::read(&path, model.unwrap_or_default().replace('-', " "))
    });
    let models: Vec<Metrics> = models.collect::<anyhow::Result<_>>()?;
    let mut charts = Vec::new();
    // One model has a colour for each of its two losses, several models have one each.
    let validation_colour = |at: usize| if models.len() == 1 { 1 } else { at };
    let losses = models.iter().enumerate().flat_map(|(at, model)| {
        [
            model.series("train_loss", "training", at, false),
            model.series("validation_loss", "validation", validation_colour(at), true),
        ]
    });
    let unit = unit(checkpoint, &models);
    charts.extend(Chart::of(format!("loss, {unit}"), losses.flatten().collect(), entropy)?);
    for (column, title) in COLUMNS {
        let series = models
            .iter()
            .enumerate()
            .filter_map(|(at, model)| model.series(column, "", at, false))
            .collect();
        charts.extend(Chart::of(title.to_owned(), series, None)?);
    }
    Ok(charts)
}

/// What a loss counts.
fn unit(checkpoint: &Opened, models: &[Metrics]) -> &'static str {
    let has_entities = models.iter().any(|model| !model.points("validation_f1").is_empty());
    match checkpoint.artifact.stage.as_str() {
        "pretrain" => "nats/token",
        _ if has_entities => "nats/tagged token",
        _ => "nats/row",
    }
}

impl Chart {
    /// The chart of these lines; nothing without one.
    fn of(title: String, series: Vec<Series>, level: Option<f64>) -> anyhow::Result<Option<Self>> {
        if series.is_empty() {
            return Ok(None);
        }
        let told = |series: &Series| {
            let ends = series.points.first().zip(series.points.last());
            let ends = ends.map_or_else(String::new, |(first, last)| {
                format!(
                    "from {} at step {} to {} at step {}",
                    number(first.1),
                    first.0,
                    number(last.1),
                    last.0
                )
            });
            if series.name.is_empty() { ends } else { format!("{} {ends}", series.name) }
        };
        let told: Vec<String> = series.iter().map(told).collect();
        let mut keys: Vec<Key> = series
            .iter()
            .filter(|series| !series.name.is_empty())
            .map(|series| Key {
                name: series.name.clone(),
                class: series.class(),
                dashed: series.dashed,
            })
            .collect();
        if let Some(level) = level {
            let name = format!("unigram entropy {}", number(level));
            keys.push(Key { name, class: "level".into(), dashed: true });
        }
        let summary = format!("{title} by optimizer step: {}", told.join("; "));
        let svg = chart::lines(&series, level)?;
        Ok(Some(Self { title, summary, svg, keys }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::digest::Digest;
    use pipelines::record::{Artifact, PartRecord};

    fn checkpoint(dir: &Path, stage: &str, files: &[(&str, &str)]) -> Opened {
        let part = |(path, text): &(&str, &str)| {
            let file = dir.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            PartRecord {
                path: (*path).into(),
                part: String::new(),
                bytes: text.len() as u64,
                blake3: Digest::of(text.as_bytes()),
                rows: None,
                tokens: None,
                task: None,
            }
        };
        Opened {
            step: "base".into(),
            identity: Digest::of(b""),
            dir: dir.to_owned(),
            artifact: Artifact {
                kind: "checkpoint".into(),
                format_version: 1,
                stage: stage.into(),
                config: Value::Null,
                seed: 0,
                numeric_profile: None,
                inputs: vec![],
                parts: files.iter().map(part).collect(),
                counts: Default::default(),
                details: Value::Null,
            },
        }
    }

    fn titles(charts: &[Chart]) -> Vec<&str> {
        charts.iter().map(|chart| chart.title.as_str()).collect()
    }

    #[test]
    fn pre_training_has_losses_beside_the_entropy_then_rate_and_norm() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"step\":0,\"validation_loss\":6.9}\n{\"step\":10,\"train_loss\":6.5,\"lr\":0.003,\"grad_norm\":0.6}\n";
        let found = checkpoint(dir.path(), "pretrain", &[("metrics.jsonl", text)]);
        let charts = charts(&found, Some(5.4396)).unwrap();
        assert_eq!(
            titles(&charts),
            ["loss, nats/token", "learning rate", "gradient norm before clipping"]
        );
        let names: Vec<&str> = charts[0].keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["training", "validation", "unigram entropy 5.4396"]);
        assert!(charts[1].keys.is_empty(), "one line needs no key");
        assert!(
            charts[1].summary.contains("from 0.003 at step 10 to 0.003 at step 10"),
            "{}",
            charts[1].summary
        );
    }

    #[test]
    fn several_seeds_stand_in_one_chart() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"epoch\":1,\"step\":5,\"train_loss\":1.3,\"validation_loss\":1.4,\"validation_f1\":0.5}\n";
        let files = [("seed-1/metrics.jsonl", text), ("seed-2/metrics.jsonl", text)];
        let charts = charts(&checkpoint(dir.path(), "finetune", &files), None).unwrap();
        assert_eq!(
            titles(&charts),
            ["loss, nats/tagged token", "entity F1 of the validation rows"]
        );
        let keys: Vec<_> = charts[0]
            .keys
            .iter()
            .map(|key| (key.name.as_str(), key.class.as_str(), key.dashed))
            .collect();
        assert_eq!(
            keys,
            [
                ("seed 1, training", "series-0", false),
                ("seed 1, validation", "series-0", true),
                ("seed 2, training", "series-1", false),
                ("seed 2, validation", "series-1", true)
            ]
        );
    }

    #[test]
    fn a_damaged_line_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let found = checkpoint(dir.path(), "pretrain", &[("metrics.jsonl", "{\"step\":")]);
        let error = format!("{:#}", charts(&found, None).err().unwrap());
        assert!(error.contains("metrics.jsonl"), "{error}");
    }
}
