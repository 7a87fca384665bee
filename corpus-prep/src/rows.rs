//! Rows of a table, one by one.

use pipelines::error::Result;

/// The rows of a table in order; one batch of them is in memory.
pub fn rows<R>(table: impl Iterator<Item = Result<Vec<R>>>) -> impl Iterator<Item = Result<R>> {
    table.flat_map(|batch| match batch {
        Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}
