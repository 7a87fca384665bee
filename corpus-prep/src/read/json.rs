//! Values of Arrow as JSON, of the types that Parquet has.
//!
//! | type | JSON |
//! |---|---|
//! | booleans, strings | themselves |
//! | integers | numbers, exact |
//! | floats | numbers; `null` for NaN and infinity, which JSON does not have |
//! | decimals | strings of all their digits |
//! | dates, times, timestamps | strings by ISO 8601; timestamps of an instant in UTC, with `Z` |
//! | intervals | strings, such as `1 days 0.500 secs` |
//! | bytes | strings of hexadecimal digits |
//! | lists, structs | arrays, objects |
//! | maps | objects; arrays of objects with key and value where keys are no strings |

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

/// Why a value has no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// It is out of the range of the calendar.
    #[error(
        "column `{column}` holds a {found} out of range, expected one that can be written as text"
    )]
    OutOfRange {
        /// The column; of a field in it, with the names on the way to it.
        column: String,
        /// What it is.
        found: &'static str,
    },
    /// Its type is none that Parquet has.
    #[error("column `{column}` is of type {found}, which cannot be written as JSON")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
}

type Shown = Result<Value, BadValue>;

/// The rows of `batch` as objects; null fields are left out.
///
/// # Errors
/// In place of a row, when one of its values has no JSON.
pub fn objects(batch: &RecordBatch) -> Vec<Result<Map<String, Value>, BadValue>> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    members(columns.map(|(field, column)| (&**field.name(), column)), "", batch.num_rows())
}

fn members<'a>(
    columns: impl Iterator<Item = (&'a str, &'a ArrayRef)>,
    within: &str,
    num_rows: usize,
) -> Vec<Result<Map<String, Value>, BadValue>> {
    let mut objects = vec![Ok(Map::new()); num_rows];
    for (name, column) in columns {
        for (at, value) in values(column, &format!("{within}{name}")).into_iter().enumerate() {
            match (&mut objects[at], value) {
                (Ok(object), Ok(value)) if !column.is_null(at) => {
                    object.insert(name.to_owned(), value);
                }
                (Ok(_), Err(bad)) => objects[at] = Err(bad),
                _ => {}
            }
        }
    }
    objects
}

/// The values of a column that messages call `name`.
fn values(array: &ArrayRef, name: &str) -> Vec<Shown> {
    let shown = match array.data_type() {
        DataType::Null => vec![Ok(Value::Null); array.len()],
        DataType::Boolean => each(array, |at| array.as_boolean().value(at).into()),
        DataType::Utf8 => each(array, |at| array.as_string::<i32>().value(at).into()),
        DataType::Binary => each(array, |at| hex(array.as_binary::<i32>().value(at))),
        DataType::FixedSizeBinary(_) => {
            each(array, |at| hex(array.as_fixed_size_binary().value(at)))
        }
        found if found.is_unsigned_integer() => {
            let wide = widened(array, &DataType::UInt64);
            each(array, |at| wide.as_primitive::<UInt64Type>().value(at).into())
        }
        found if found.is_integer() => {
            let wide = widened(array, &DataType::Int64);
            each(array, |at| wide.as_primitive::<Int64Type>().value(at).into())
        }
        DataType::Float64 => each(array, |at| array.as_primitive::<Float64Type>().value(at).into()),
        DataType::Float16 | DataType::Float32 => {
            let wide = widened(array, &DataType::Float32);
            each(array, |at| shortest(wide.as_primitive::<Float32Type>().value(at)))
        }
        // The reader calls UTC by its name, of which the formatter knows only the offset.
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            texts(&widened(array, &utc), name)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            lists(values(list.values(), name), list.value_offsets(), |items| {
                items.into_iter().collect::<Result<_, _>>().map(Value::Array)
            })
        }
        DataType::Map(..) => maps(array, name),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let columns = columns.map(|(field, column)| (&**field.name(), column));
            let objects = members(columns, &format!("{name}."), array.len());
            objects.into_iter().map(|object| object.map(Value::Object)).collect()
        }
        _ => texts(array, name),
    };
    let known = shown.into_iter().enumerate();
    known.map(|(at, value)| if array.is_null(at) { Ok(Value::Null) } else { value }).collect()
}

fn each(array: &ArrayRef, value: impl Fn(usize) -> Value) -> Vec<Shown> {
    (0..array.len()).map(|at| Ok(value(at))).collect()
}

fn widened(array: &ArrayRef, wide: &DataType) -> ArrayRef {
    cast(array, wide).expect("a type is cast to a wider one, or a time zone to another")
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// The number of the fewest digits that is this one in 32 bits: 0.1, not 0.10000000149011612.
fn shortest(value: f32) -> Value {
    value.to_string().parse::<f64>().unwrap_or(f64::NAN).into()
}

/// Values as the formatter writes them.
fn texts(array: &ArrayRef, name: &str) -> Vec<Shown> {
    let column = || name.to_owned();
    let Some(kind) = kind(array.data_type()) else {
        let found = array.data_type().to_string();
        return vec![Err(BadValue::Type { column: column(), found }); array.len()];
    };
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array, &options)
        .expect("times and decimals have text, and the only time zone is an offset");
    let text = |at| match formatter.value(at).try_to_string() {
        Ok(text) => Ok(Value::String(text)),
        Err(_) => Err(BadValue::OutOfRange { column: column(), found: kind }),
    };
    (0..array.len()).map(text).collect()
}

/// What a value of a type is called that is written as text.
fn kind(found: &DataType) -> Option<&'static str> {
    match found {
        DataType::Date32 | DataType::Date64 => Some("date"),
        DataType::Time32(_) | DataType::Time64(_) => Some("time"),
        DataType::Timestamp(..) => Some("timestamp"),
        DataType::Duration(_) | DataType::Interval(_) => Some("duration"),
        found if found.is_decimal() => Some("decimal"),
        _ => None,
    }
}

/// Of items behind each other, those between one of `offsets` and the next.
fn lists<T>(
    items: impl IntoIterator<Item = T>,
    offsets: &[i32],
    list: impl Fn(Vec<T>) -> Shown,
) -> Vec<Shown> {
    let length = |from: i32, to: i32| usize::try_from(to - from).unwrap_or(0);
    let mut items = items.into_iter().skip(length(0, offsets[0]));
    let lengths = offsets.windows(2).map(|pair| length(pair[0], pair[1]));
    lengths.map(|length| list(items.by_ref().take(length).collect())).collect()
}

/// Of equal keys the last one counts, as Parquet says. Null values are left out.
fn maps(array: &ArrayRef, name: &str) -> Vec<Shown> {
    let map = array.as_map();
    let (keys, held) = (map.keys(), map.values());
    if keys.data_type() != &DataType::Utf8 {
        let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
        return lists(values(&entries, name), map.value_offsets(), |entries| {
            entries.into_iter().collect::<Result<_, _>>().map(Value::Array)
        });
    }
    let keys = keys.as_string::<i32>();
    let entry = |(at, value)| (keys.value(at).to_owned(), held.is_null(at), value);
    let entries = values(held, name).into_iter().enumerate().map(entry);
    lists(entries, map.value_offsets(), |entries| {
        let there = entries.into_iter().filter(|(_, is_null, _)| !is_null);
        let members = there.map(|(key, _, value)| Ok((key, value?)));
        members.collect::<Result<_, _>>().map(Value::Object)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{LargeStringArray, StringArray, TimestampSecondArray};
    use std::sync::Arc;

    #[test]
    fn a_value_without_json_names_its_column_and_takes_no_other_row_with_it() {
        let times = TimestampSecondArray::from(vec![Some(0), Some(i64::MIN), None]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef, true),
            ("t", Arc::new(times), true),
        ]);
        let found = objects(&batch.unwrap());
        let shown = |at: usize| found[at].clone().map(|row| Value::Object(row).to_string());
        assert_eq!(shown(0), Ok(r#"{"n":"a","t":"1970-01-01T00:00:00"}"#.to_owned()));
        let bad = BadValue::OutOfRange { column: "t".into(), found: "timestamp" };
        assert_eq!(shown(1), Err(bad));
        assert_eq!(shown(2), Ok(r#"{"n":"c"}"#.to_owned()));
    }

    #[test]
    fn a_type_that_parquet_does_not_have_is_named() {
        let texts: ArrayRef = Arc::new(LargeStringArray::from(vec!["a"]));
        let bad = objects(&RecordBatch::try_from_iter([("t", texts)]).unwrap()).remove(0);
        let message = "column `t` is of type LargeUtf8, which cannot be written as JSON";
        assert_eq!(bad.unwrap_err().to_string(), message);
    }
}
