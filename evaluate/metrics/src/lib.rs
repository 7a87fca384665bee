//! Metrics, intervals and tests of significance: pure functions, no input or output.
//!
//! [`Rows`] holds the truth and says which rows belong together; [`Runs`] holds what one model answered, once for each
//! training seed. A [`Metric`] scores them; a [`Bootstrap`] says how far the score, or the difference of two models on
//! the same rows, could have come out otherwise; a [`Randomisation`] says whether the difference could be chance.
//!
//! For token classification a [`TagSet`] reads tags as entities, and decodes the scores of a model into legal tags;
//! [`Sentences`], [`EntityRuns`] and [`EntityMetric`] are to entities what the three above are to labels.
//!
//! ```
//! use metrics::{Bootstrap, Metric, Rows, Runs};
//!
//! let rows = Rows::new(vec![0, 1, 1, 0, 1, 0], 2)?;
//! let model = Runs::new(&rows, vec![vec![0, 1, 0, 0, 1, 0]])?;
//! let accuracy = Bootstrap::new(1337).score(Metric::Accuracy, &rows, &model)?;
//! assert_eq!(accuracy.value, 5.0 / 6.0);
//! assert!(accuracy.low <= accuracy.value && accuracy.value <= accuracy.high);
//! # Ok::<_, metrics::MetricsError>(())
//! ```

mod bootstrap;
mod confusion;
mod decode;
mod entities;
mod error;
mod estimate;
mod holm;
mod language;
mod mcnemar;
mod normal;
mod probability;
mod randomisation;
mod rows;
mod tags;
mod wilson;

pub use bootstrap::Bootstrap;
pub use confusion::{ClassScores, Confusion};
pub use decode::{Decoding, argmax};
pub use entities::{
    EntityAverage, EntityCounts, EntityMetric, EntityReport, EntityRuns, EntityScores, Sentences,
};
pub use error::MetricsError;
pub use estimate::{Estimate, IntervalMethod, Test, TestMethod};
pub use holm::holm;
pub use language::{bits_per_byte, perplexity, unigram_entropy};
pub use mcnemar::mcnemar;
pub use probability::{brier, log_loss};
pub use randomisation::Randomisation;
pub use rows::{Metric, Rows, Runs};
pub use tags::{Entity, EntityMode, Scheme, TagSet};
pub use wilson::wilson;
