//! The learning rate over a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learning rate over a run: linear warm-up, constant, decay to zero after the last step.
///
/// All lengths are in optimizer steps, not micro-batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Learning rate between warm-up and decay; above 0.
    pub peak_lr: f64,
    /// Steps of linear warm-up. `0` starts at `peak_lr`.
    pub warmup_steps: u64,
    /// Steps of decay at the end of the run. `0` ends at `peak_lr`. Warm-up and decay do not overlap.
    pub decay_steps: u64,
    /// Length of the run; at least 1.
    pub total_steps: u64,
    /// The curve of the decay.
    pub decay: Decay,
}

/// The curve from the peak to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// A straight line.
    #[default]
    Linear,
    /// Half a period of a cosine.
    Cosine,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            peak_lr: 1e-3,
            warmup_steps: 50,
            decay_steps: 100,
            total_steps: 500,
            decay: Decay::Linear,
        }
    }
}

impl Schedule {
    /// Steps before the decay: what a run shares with longer ones.
    ///
    /// At least `warmup_steps` in a schedule that [validates](Self::validate).
    pub fn decay_start(&self) -> u64 {
        self.total_steps.saturating_sub(self.decay_steps)
    }

    /// Says what is wrong, naming field and value.
    ///
    /// # Errors
    /// With the message for the user.
    pub fn validate(&self) -> Result<(), String> {
        let Self { peak_lr, warmup_steps, decay_steps, total_steps, .. } = self;
        if !(*peak_lr > 0.0 && peak_lr.is_finite()) {
            return Err(format!("`schedule.peak_lr` is {peak_lr}, expected a positive number"));
        }
        if *total_steps == 0 {
            return Err("`schedule.total_steps` is 0, expected at least 1".into());
        }
        match warmup_steps.checked_add(*decay_steps) {
            Some(both) if both <= *total_steps => Ok(()),
            _ => Err(format!(
                "`schedule.warmup_steps` is {warmup_steps} and `schedule.decay_steps` is {decay_steps}, expected at most \
                 `schedule.total_steps`, {total_steps}, together"
            )),
        }
    }
}

/// Learning rate of step `step`, counted from zero, before the decay.
pub fn warm_up(peak_lr: f64, warmup_steps: u64, step: u64) -> f64 {
    let done = step.saturating_add(1);
    if done < warmup_steps { peak_lr * (done as f64 / warmup_steps as f64) } else { peak_lr }
}

impl Decay {
    /// Learning rate of step `step`, counted from zero, in a decay from step `from` to the end of the run at `to`.
    ///
    /// It is `peak_lr` at `from`, and would be zero at `to`.
    pub fn lr(self, peak_lr: f64, from: u64, to: u64, step: u64) -> f64 {
        let left = to.saturating_sub(step) as f64 / to.saturating_sub(from).max(1) as f64;
        peak_lr
            * match self {
                Self::Linear => left,
                Self::Cosine => 0.5 - 0.5 * libm::cos(std::f64::consts::PI * left),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_stays_and_falls() {
        let warmed: Vec<f64> = (0..4).map(|step| warm_up(2.0, 2, step)).collect();
        assert_eq!(warmed, [1.0, 2.0, 2.0, 2.0]);
        assert_eq!(warm_up(2.0, 0, 0), 2.0);
        let line: Vec<f64> = (6..10).map(|step| Decay::Linear.lr(2.0, 6, 10, step)).collect();
        assert_eq!(line, [2.0, 1.5, 1.0, 0.5]);
        let curve: Vec<f64> = (6..11).map(|step| Decay::Cosine.lr(2.0, 6, 10, step)).collect();
        assert_eq!((curve[0], curve[4]), (2.0, 0.0));
        assert!((curve[2] - 1.0).abs() < 1e-15 && curve[1] > 1.5 && curve[3] < 0.5, "{curve:?}");
    }

    #[test]
    fn warm_up_and_decay_fit_the_run() {
        let schedule = |warmup_steps, decay_steps, total_steps| {
            Schedule { warmup_steps, decay_steps, total_steps, ..Schedule::default() }.validate()
        };
        assert_eq!(schedule(4, 6, 10), Ok(()));
        assert_eq!(schedule(0, 0, 1), Ok(()));
        assert!(schedule(5, 6, 10).unwrap_err().contains("`schedule.total_steps`, 10, together"));
        assert!(schedule(u64::MAX, 6, 10).is_err());
        assert_eq!(
            schedule(0, 0, 0).unwrap_err(),
            "`schedule.total_steps` is 0, expected at least 1"
        );
    }
}
