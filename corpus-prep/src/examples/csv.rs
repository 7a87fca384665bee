//! Labelled rows of comma-separated values.

use super::row::{BadRow, Row, RowReader, bad_row};
use crate::error::{Error, Result};
use crate::read::Header;
use crate::read::csv::{CsvRow, CsvRows};
use crate::read::decompress::Decoder;
use crate::read::raw::MAX_ROW_BYTES;
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
        let header = rows.header();
        let places = header.map(|(line, names)| self.places(file, line, names)).transpose()?;
        for row in rows {
            let CsvRow { line, fields, .. } = row.map_err(failed)?;
            let line = Some(line);
            let fields = fields.map_err(|problem| bad_row(file, line, problem.into()))?;
            let Some(places) = &places else { break };
            let labelled = places.row(self, &fields);
            let labelled = labelled.map_err(|problem| bad_row(file, line, problem))?;
            push(Row { line, ..labelled })?;
        }
        Ok(())
    }

    /// Where the wanted columns stand.
    fn places(&self, file: &str, line: u64, names: &ByteRecord) -> Result<Places> {
        let name = |name: &[u8]| Ok(self.decode(name)?.trim().to_owned());
        let names = names.iter().map(name).collect::<Result<_, _>>();
        let names = names.map_err(|problem| bad_row(file, Some(line), problem))?;
        let header = Header::new(file, names)?;
        let at = |column: &String| header.place(column);
        let maybe_at = |column: &Option<String>| column.as_ref().map(at).transpose();
        Ok(Places {
            text: at(&self.columns.text)?,
            text_pair: maybe_at(&self.columns.text_pair)?,
            label: at(&self.columns.label)?,
            group: maybe_at(&self.columns.group)?,
            id: maybe_at(&self.columns.id)?,
        })
    }
}

/// Where the columns of a CSV file stand.
struct Places {
    text: usize,
    text_pair: Option<usize>,
    label: usize,
    group: Option<usize>,
    id: Option<usize>,
}

impl Places {
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
