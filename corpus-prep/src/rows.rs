//! Rows of a table, one by one.

use pipelines::error::Result;
use pipelines::table::{Row, TableReader};

/// The rows of `table` in order; one batch of them is in memory.
pub fn rows<R: Row>(table: TableReader<R>) -> impl Iterator<Item = Result<R>> {
    table.flat_map(|batch| match batch {
        Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}
