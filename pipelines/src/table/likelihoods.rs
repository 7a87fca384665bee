//! The table `likelihoods`: how well a language model predicts each document.

use super::documents::RowKey;
use super::{BuildColumns, Columns, Row};
use crate::error::Result;

/// A row of `likelihoods`: one model on one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// The step that made the model.
    pub model: String,
    /// The document.
    pub id: String,
    /// The document's row key.
    pub key: RowKey,
    /// Tokens that were predicted, the end of the document among them.
    pub tokens: u64,
    /// UTF-8 bytes behind them.
    pub bytes: u64,
    /// Negative log-likelihood of the tokens, in nats.
    pub nats: f64,
}

impl Row for Likelihood {
    const TABLE: &'static str = "likelihoods";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("model", rows.iter().map(|row| row.model.as_str()));
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.u64("tokens", rows.iter().map(|row| row.tokens));
        columns.u64("bytes", rows.iter().map(|row| row.bytes));
        columns.f64("nats", rows.iter().map(|row| row.nats));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            model: columns.text("model", at)?,
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            tokens: columns.u64("tokens", at)?,
            bytes: columns.u64("bytes", at)?,
            nats: columns.f64("nats", at)?,
        })
    }

    fn weight(&self) -> usize {
        160
    }
}
