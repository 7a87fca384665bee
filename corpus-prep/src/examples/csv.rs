//! Labelled rows of comma-separated values.

use super::row::{BadRow, MAX_ROW_BYTES, Row, RowReader, bad_row};
use crate::error::{Error, Result};
use crate::read::csv::CsvRows;
use crate::read::decompress::Decoder;
use ::csv::ByteRecord;

impl RowReader {
    /// Gives the rows of a file of CSV to `push`, in order.
    pub(super) fn csv(
        &self,
        decoder: Decoder<'_>,
        delimiter: char,
        file: &str,
        push: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let delimiter = u8::try_from(delimiter).unwrap_or(b',');
        let failed = |source| Error::Io { file: file.to_owned(), source };
        let rows = CsvRows::new(decoder, delimiter, MAX_ROW_BYTES).map_err(failed)?;
        let header = rows.columns().map(|columns| self.header(&columns, file)).transpose()?;
        for row in rows {
            let row = row.map_err(failed)?;
            let fields = row.fields.map_err(|problem| bad_row(file, row.line, problem.into()))?;
            let Some(header) = &header else { break };
            let labelled = header.row(self, &fields);
            let labelled = labelled.map_err(|problem| bad_row(file, row.line, problem))?;
            push(Row { line: row.line, ..labelled })?;
        }
        Ok(())
    }

    /// Where the wanted columns stand.
    fn header(&self, found: &[String], file: &str) -> Result<Header> {
        let at = |column: &String| {
            found.iter().position(|name| name == column).ok_or_else(|| Error::MissingColumn {
                file: file.to_owned(),
                column: column.clone(),
                found: format!("`{}`", found.join("`, `")),
            })
        };
        let maybe_at = |column: &Option<String>| column.as_ref().map(at).transpose();
        Ok(Header {
            text: at(&self.columns.text)?,
            text_pair: maybe_at(&self.columns.text_pair)?,
            label: at(&self.columns.label)?,
            group: maybe_at(&self.columns.group)?,
            id: maybe_at(&self.columns.id)?,
        })
    }
}

/// Where the columns of a CSV file stand.
struct Header {
    text: usize,
    text_pair: Option<usize>,
    label: usize,
    group: Option<usize>,
    id: Option<usize>,
}

impl Header {
    fn row(&self, reader: &RowReader, record: &ByteRecord) -> Result<Row, BadRow> {
        let field = |at: usize| reader.decode(record.get(at).unwrap_or_default());
        let maybe_field = |at: Option<usize>| at.map(field).transpose();
        reader.checked(Row {
            text: field(self.text)?,
            text_pair: maybe_field(self.text_pair)?,
            label: field(self.label)?,
            group: maybe_field(self.group)?,
            id: maybe_field(self.id)?,
            ..Row::default()
        })
    }
}
