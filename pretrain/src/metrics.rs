//! The lines of `metrics.jsonl`: what can be told of a run without a clock.

use serde::Serialize;

/// What an optimizer step came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepLine {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss of the step's tokens before its update, in nats a token.
    pub train_loss: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// L2 norm of the mean gradient before clipping.
    pub grad_norm: f64,
    /// Tokens learnt from since the start.
    pub tokens: u64,
}

/// What an evaluation on the validation split came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluationLine {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss, in nats a token.
    pub validation_loss: f64,
    /// The loss in bits, times tokens a byte of the whole split; absent where only some tokens are predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_bits_per_byte: Option<f64>,
    /// `exp` of the loss.
    pub validation_perplexity: f64,
    /// Tokens that were predicted.
    pub validation_tokens: u64,
}

impl EvaluationLine {
    /// From a mean loss over `tokens` tokens of a split that has `tokens_per_byte`, if all its tokens are predicted.
    pub fn new(step: u64, nats_per_token: f64, tokens: u64, tokens_per_byte: Option<f64>) -> Self {
        Self {
            step,
            validation_loss: nats_per_token,
            validation_bits_per_byte: tokens_per_byte
                .map(|tokens_per_byte| nats_per_token * std::f64::consts::LOG2_E * tokens_per_byte),
            validation_perplexity: libm::exp(nats_per_token),
            validation_tokens: tokens,
        }
    }
}

/// Appends a line to `metrics`.
pub fn push(metrics: &mut Vec<u8>, line: &impl Serialize) {
    let json = serde_json::to_string(line).expect("a line has string keys and finite numbers only");
    metrics.extend_from_slice(json.as_bytes());
    metrics.push(b'\n');
}

/// The lines of `metrics`.
pub fn lines(metrics: &[u8]) -> impl Iterator<Item = serde_json::Value> {
    metrics.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Whether `metrics` ends with an evaluation after `step` steps.
pub fn ends_with_evaluation(metrics: &[u8], step: u64) -> bool {
    let lines = metrics.strip_suffix(b"\n").unwrap_or(metrics);
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = serde_json::from_slice::<serde_json::Value>(last) else { return false };
    line["step"] == step && line.get("validation_loss").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_whether_a_step_was_evaluated() {
        let mut metrics = Vec::new();
        assert!(!ends_with_evaluation(&metrics, 0));
        push(&mut metrics, &EvaluationLine::new(20, 2.0, 8, Some(0.25)));
        assert!(ends_with_evaluation(&metrics, 20) && !ends_with_evaluation(&metrics, 10));
        push(
            &mut metrics,
            &StepLine { step: 30, train_loss: 1.0, lr: 0.1, grad_norm: 1.0, tokens: 8 },
        );
        assert!(!ends_with_evaluation(&metrics, 30) && !ends_with_evaluation(&metrics, 20));
        let text = String::from_utf8(metrics).unwrap();
        assert!(
            text.starts_with(
                "{\"step\":20,\"validation_loss\":2.0,\"validation_bits_per_byte\":0.72134"
            ),
            "{text}"
        );
    }
}
