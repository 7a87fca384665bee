//! What stands in one column or field of a row.

use super::super::json::{BadValue, objects};
use super::super::parquet::{is_text, text_at};
use super::super::record::{Fields, Unreadable, broken_json, type_of};
use super::super::utf8::{self, InvalidUtf8};
use super::LINE;
use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;

/// The name of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A text.
    Text(String),
    /// A number of JSON, as it is written.
    Number(String),
}

impl Name {
    /// The text, or that of the number.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }
}

impl Serialize for Name {
    /// As a string, or as the number that was written, which only JSON can hold.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => RawValue::from_string(number.clone())
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

/// What stands in a column or field.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(String),
    /// As it is written.
    Number(String),
    /// Bytes that are no text, and the first that is not.
    NotUtf8 {
        byte: u8,
    },
    Other(Value),
}

/// What stands in the columns or fields of a row, by their names.
pub(super) type Cells = BTreeMap<String, Cell>;

impl Cell {
    /// The text of these bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        match utf8::decode(bytes.to_vec(), InvalidUtf8::Refuse) {
            Ok((text, _)) => Self::Text(text),
            Err(invalid) => Self::NotUtf8 { byte: invalid.byte },
        }
    }

    fn of_json(raw: &str) -> serde_json::Result<Self> {
        Ok(match raw.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Self::Number(raw.to_owned()),
            _ => Self::of_value(serde_json::from_str(raw)?),
        })
    }

    fn of_value(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Number(number) => Self::Number(number.to_string()),
            other => Self::Other(other),
        }
    }

    /// What it is, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::NotUtf8 { .. } => "bytes",
            Self::Other(value) => type_of(value),
        }
    }
}

/// The fields of a JSON object.
pub(super) fn of_object(line: &str) -> Result<Cells, Unreadable> {
    let cells = |fields: BTreeMap<String, &RawValue>| -> serde_json::Result<Cells> {
        let named = fields.into_iter();
        named.map(|(name, raw)| Ok((name, Cell::of_json(raw.get())?))).collect()
    };
    // What is wrong is said of the line as a whole, whose columns a message counts.
    serde_json::from_str(line).and_then(cells).map_err(|_| {
        match serde_json::from_str::<Value>(line) {
            Ok(other) => Unreadable::NotAnObject { found: type_of(&other) },
            Err(error) => broken_json(&error),
        }
    })
}

/// A line of plain text.
pub(super) fn of_line(text: &str) -> Cells {
    let text = text.strip_suffix('\r').unwrap_or(text);
    Cells::from([(LINE.to_owned(), Cell::Text(text.to_owned()))])
}

/// The rows of a batch of Parquet; a column that a row says nothing in is null there.
///
/// # Errors
/// In place of a row, when one of its values cannot be read.
pub(super) fn of_batch(batch: &RecordBatch) -> Vec<Result<Cells, Unreadable>> {
    let schema = batch.schema();
    let (texts, others): (Vec<usize>, Vec<usize>) =
        (0..schema.fields().len()).partition(|&at| is_text(schema.field(at).data_type()));
    let others_of_batch = batch.project(&others).expect("the columns are those of the batch");
    let row = |(row, values): (usize, Result<Map<String, Value>, BadValue>)| {
        let mut values = values.map_err(Unreadable::Value)?;
        let mut cells = Cells::new();
        for &at in &others {
            let name = schema.field(at).name();
            let value = values.remove(name).unwrap_or(Value::Null);
            cells.insert(name.clone(), Cell::of_value(value));
        }
        for &at in &texts {
            cells.insert(schema.field(at).name().clone(), text_cell(batch.column(at), row));
        }
        Ok(cells)
    };
    objects(&others_of_batch).into_iter().enumerate().map(row).collect()
}

fn text_cell(column: &ArrayRef, row: usize) -> Cell {
    // The name of the field is for a message that the caller words.
    match text_at(column, row, &Fields::default(), InvalidUtf8::Refuse) {
        Ok((text, _)) => Cell::Text(text),
        Err(Unreadable::TextNotUtf8 { byte, .. }) => Cell::NotUtf8 { byte },
        Err(_) => Cell::Other(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BinaryArray, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn bytes_of_parquet_are_texts_and_nulls_are_null() {
        let bytes: [Option<&[u8]>; 3] = [Some("é".as_bytes()), None, Some(b"a\xff")];
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("b", Arc::new(BinaryArray::from_iter(bytes)) as ArrayRef, true),
            ("t", Arc::new(StringArray::from(vec![Some("x"), None, Some("")])), true),
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)])), true),
        ]);
        let rows: Vec<Cells> =
            of_batch(&batch.unwrap()).into_iter().collect::<Result<_, _>>().unwrap();
        let shown = |name: &str| -> Vec<String> {
            rows.iter().map(|cells| format!("{:?}", cells[name])).collect()
        };
        assert_eq!(shown("b"), ["Text(\"é\")", "Other(Null)", "NotUtf8 { byte: 255 }"]);
        assert_eq!(shown("t"), ["Text(\"x\")", "Other(Null)", "Text(\"\")"]);
        assert_eq!(
            shown("n"),
            ["Number(\"9223372036854775807\")", "Other(Null)", "Number(\"-1\")"]
        );
    }
}
