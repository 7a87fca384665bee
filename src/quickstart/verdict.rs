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
