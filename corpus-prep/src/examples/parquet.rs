//! Labelled rows of Parquet files.

use super::config::Column;
use super::row::{Row, RowReader, bad_row};
use crate::error::{Error, Result};
use crate::read::json::objects;
use crate::read::parquet::ParquetFile;
use crate::read::{Place, Unreadable};
use pipelines::input::TaskInput;

impl RowReader {
    /// Gives the rows of a Parquet file to `push`, in order.
    ///
    /// # Errors
    /// [`Error::BadRow`], [`Error::Unreadable`] and [`Error::MissingColumn`] with file and row, [`Error::Parquet`], and what `push` fails with.
    pub fn parquet(&self, unit: &TaskInput, mut push: impl FnMut(Row) -> Result<()>) -> Result<()> {
        let file = ParquetFile::open(unit)?;
        let wanted = self.wanted();
        for column in &wanted {
            file.header().place(column)?;
        }
        for batch in file.batches(Some(&wanted)) {
            let place = |row| Place::row(unit.name(), row);
            let unreadable = |row, problem| Error::Unreadable { place: place(row), problem };
            let rows = batch.rows.map_err(|problem| unreadable(batch.first_row, problem))?;
            for (row, object) in (batch.first_row..).zip(objects(&rows)) {
                let object = object.map_err(|bad| unreadable(row, Unreadable::Value(bad)))?;
                let labelled = self.fields(&object);
                let labelled =
                    labelled.map_err(|problem| bad_row(&place(row).file, None, problem))?;
                push(Row { line: Some(row), ..labelled })?;
            }
        }
        Ok(())
    }

    /// The columns that rows are made of.
    fn wanted(&self) -> Vec<&str> {
        let columns = &self.columns;
        let mut wanted: Vec<&str> = match &self.tokens {
            None => {
                let texts = [&columns.text, &columns.label].map(String::as_str);
                texts.into_iter().chain(columns.text_pair.as_deref()).collect()
            }
            Some(tokens) => [(&tokens.tokens, "tokens"), (&tokens.tags, "tags")]
                .map(|(column, default)| match column {
                    Some(Column::Name(name)) => name.as_str(),
                    _ => default,
                })
                .to_vec(),
        };
        wanted.extend(columns.group.as_deref().into_iter().chain(columns.id.as_deref()));
        wanted
    }
}
