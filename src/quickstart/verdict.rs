//! What the quickstart's last lines say: whether pre-training paid, for which task, on which corpus.

use evaluate::results::{Comparison, Verdict};
use evaluate::{EntityMetric, Metric, Results};
use pipelines::digest::Digest;

/// Whether models that were pre-trained are above those from scratch, a line a task, and the corpus: `pretrained` in
/// accuracy over passages, by `report`, and `tagger` in micro F1 of code spans, by `entities`. A task whose two models
/// were not compared has no line; nothing comes back if none was.
pub fn verdicts(
    report: Option<&Results>,
    entities: Option<&Results>,
    corpus: &Digest,
) -> Option<String> {
    let passages = report.and_then(|results| {
        let pairs = &results.classification.as_ref()?.comparisons;
        verdict(pairs, "passages", ["pretrained", "scratch"], (Metric::Accuracy, "accuracy"))
    });
    let code = entities.and_then(|results| {
        let pairs = &results.entities.as_ref()?.comparisons;
        let score = (EntityMetric::MicroF1, "micro F1");
        verdict(pairs, "entities", ["tagger", "tagger-scratch"], score)
    });
    let lines: Vec<String> = passages.into_iter().chain(code).collect();
    (!lines.is_empty()).then(|| format!("{}\ncorpus {corpus}", lines.join("\n")))
}

/// Whether the first model is above the second in a score, with the interval; nothing if the two were not compared.
fn verdict<M: PartialEq>(
    pairs: &[Comparison<M>],
    task: &str,
    [model, other]: [&str; 2],
    (metric, score): (M, &str),
) -> Option<String> {
    let pair = pairs
        .iter()
        .find(|pair| pair.model == model && pair.other == other && pair.metric == metric)?;
    let words = match pair.verdict {
        Verdict::Better => format!("pre-training paid: it is better than {other} by"),
        Verdict::Worse => format!("pre-training did not pay: it differs from {other} by"),
        Verdict::Tied => format!(
            "pre-training made no difference that can be told from chance: it differs from {other} by"
        ),
    };
    let difference = &pair.difference.estimate;
    Some(format!(
        "{task}: {words} {:+.3} {score} [{:+.3}, {:+.3}] ({:.0} % interval)",
        difference.value,
        difference.low,
        difference.high,
        difference.level * 100.0,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pair(model: &str, other: &str, verdict: &str) -> Comparison<EntityMetric> {
        let pair = json!({
            "model": model, "other": other, "metric": "micro_f1", "p_adjusted": 0.01, "verdict": verdict,
            "difference": {
                "unit": "share", "value": 0.1234, "low": -0.05, "high": 0.3, "level": 0.95, "units": 9,
                "method": "paired-bootstrap",
            },
            "test": { "p": 0.01, "units": 9, "method": "approximate-randomisation" },
        });
        serde_json::from_value(pair).unwrap()
    }

    #[track_caller]
    fn check(pairs: &[Comparison<EntityMetric>], expected: Option<&str>) {
        let score = (EntityMetric::MicroF1, "micro F1");
        let found = verdict(pairs, "entities", ["tagger", "tagger-scratch"], score);
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn a_verdict_names_task_score_and_interval() {
        let numbers = "+0.123 micro F1 [-0.050, +0.300] (95 % interval)";
        let words = [
            ("better", "paid: it is better than"),
            ("worse", "did not pay: it differs from"),
            ("tied", "made no difference that can be told from chance: it differs from"),
        ];
        for (verdict, words) in words {
            let expected = format!("entities: pre-training {words} tagger-scratch by {numbers}");
            check(
                &[pair("a", "b", "tied"), pair("tagger", "tagger-scratch", verdict)],
                Some(&expected),
            );
        }
    }

    #[test]
    fn what_was_not_compared_has_no_verdict() {
        check(&[pair("tagger-scratch", "tagger", "better")], None);
        assert_eq!(verdicts(None, None, &Digest::of(b"")), None);
    }
}
