//! What the quickstart's last line says: whether pre-training paid, on which corpus.

use evaluate::results::Verdict;
use evaluate::{Metric, Results};
use pipelines::digest::Digest;

/// Whether `pretrained` is above `scratch` in accuracy, with the interval and the corpus; nothing if the two were not
/// compared.
pub fn verdict(results: &Results, corpus: &Digest) -> Option<String> {
    let mut pairs = results.classification.as_ref()?.comparisons.iter();
    let pair = pairs.find(|pair| {
        (pair.model.as_str(), pair.other.as_str()) == ("pretrained", "scratch")
            && pair.metric == Metric::Accuracy
    })?;
    let words = match pair.verdict {
        Verdict::Better => "pre-training paid: it is better than scratch by",
        Verdict::Worse => "pre-training did not pay: it differs from scratch by",
        Verdict::Tied => {
            "pre-training made no difference that can be told from chance: it differs from scratch by"
        }
    };
    let difference = &pair.difference.estimate;
    Some(format!(
        "{words} {:+.3} accuracy [{:+.3}, {:+.3}] ({:.0} % interval)\ncorpus {corpus}",
        difference.value,
        difference.low,
        difference.high,
        difference.level * 100.0,
    ))
}
