//! What a trainer has measured so far, as it stands in a training state.

use model::LossSum;
use serde::{Deserialize, Serialize};

use crate::score::EpochLine;

/// The lines of `metrics.jsonl`, one for each epoch that is over, and the loss of the epoch that is not.
///
/// In a state it is those lines and behind them one of the loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    metrics: Vec<u8>,
    epochs: u32,
    loss: LossSum,
}

/// The last line of a state's notes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partial {
    /// Negative log-likelihood of the epoch's rows so far.
    nats: f64,
    /// How many they are.
    rows: usize,
}

impl Notes {
    /// Reads what [`Notes::to_bytes`] wrote; `None` if it is something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let last = text.rfind('\n').map_or(0, |end| end + 1);
        let Partial { nats, rows } = serde_json::from_str(&text[last..]).ok()?;
        let epochs = u32::try_from(text[..last].lines().count()).ok()?;
        let loss = LossSum { nats, counted: rows };
        Some(Self { metrics: text.as_bytes()[..last].to_vec(), epochs, loss })
    }

    /// The bytes for a state.
    pub fn to_bytes(&self) -> Vec<u8> {
        let partial = Partial { nats: self.loss.nats, rows: self.loss.counted };
        [&self.metrics[..], &json_line(&partial)].concat()
    }

    /// The lines of `metrics.jsonl`.
    pub fn into_metrics(self) -> Vec<u8> {
        self.metrics
    }

    /// The lines of `metrics.jsonl` so far.
    pub fn lines(&self) -> impl Iterator<Item = serde_json::Value> {
        let lines = self.metrics.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok())
    }

    /// Epochs that are over.
    pub fn epochs(&self) -> u32 {
        self.epochs
    }

    /// The loss of the present epoch.
    pub fn loss(&self) -> LossSum {
        self.loss
    }

    /// Adds the loss of a step.
    pub fn add(&mut self, loss: LossSum) {
        self.loss += loss;
    }

    /// Ends the present epoch.
    pub fn end_epoch(&mut self, line: &EpochLine) {
        self.metrics.extend(json_line(line));
        self.epochs += 1;
        self.loss = LossSum::default();
    }
}

fn json_line(line: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string(line).expect("a line has string keys and finite numbers only");
    (text + "\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written_to_the_last_bit() {
        let mut notes = Notes::default();
        for epoch in 1..=2 {
            notes.add(LossSum { nats: 0.1 + 0.2, counted: 3 });
            assert_eq!(Notes::read(&notes.to_bytes()), Some(notes.clone()));
            notes.end_epoch(&EpochLine { epoch, step: 7, train_loss: 0.1, validation: None });
            assert_eq!(Notes::read(&notes.to_bytes()), Some(notes.clone()));
        }
        assert_eq!(
            (notes.epochs(), notes.into_metrics().iter().filter(|byte| **byte == b'\n').count()),
            (2, 2)
        );
    }

    #[test]
    fn other_bytes_are_no_notes() {
        for bytes in ["", "{\"nats\":1.0,\"rows\":2}", "{\"step\":1}\n", "\n"] {
            assert_eq!(Notes::read(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}
