//! Columns to rows and back.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};

/// Columns being built, in order.
#[derive(Default)]
pub struct BuildColumns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl BuildColumns {
    /// A column built elsewhere.
    pub fn array(&mut self, name: &str, nullable: bool, array: ArrayRef) {
        self.fields.push(Field::new(name, array.data_type().clone(), nullable));
        self.arrays.push(array);
    }

    /// Texts.
    pub fn text<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        self.array(name, false, Arc::new(StringArray::from_iter_values(values)));
    }

    /// Texts or nothing.
    pub fn maybe_text<'a>(&mut self, name: &str, values: impl Iterator<Item = Option<&'a str>>) {
        self.array(name, true, Arc::new(values.collect::<StringArray>()));
    }

    /// Whole numbers.
    pub fn u64(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.array(name, false, Arc::new(UInt64Array::from_iter_values(values)));
    }

    /// Whole numbers or nothing.
    pub fn maybe_u64(&mut self, name: &str, values: impl Iterator<Item = Option<u64>>) {
        self.array(name, true, Arc::new(values.collect::<UInt64Array>()));
    }

    /// Numbers.
    pub fn f64(&mut self, name: &str, values: impl Iterator<Item = f64>) {
        self.array(name, false, Arc::new(Float64Array::from_iter_values(values)));
    }

    /// Numbers or nothing.
    pub fn maybe_f64(&mut self, name: &str, values: impl Iterator<Item = Option<f64>>) {
        self.array(name, true, Arc::new(values.collect::<Float64Array>()));
    }

    /// Lists of texts.
    pub fn texts<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [String]>) {
        let lists: Vec<&[String]> = lists.collect();
        let values = StringArray::from_iter_values(lists.iter().flat_map(|list| list.iter()));
        let lengths = lists.iter().map(|list| list.len());
        self.list(name, Arc::new(values), lengths);
    }

    /// Lists of numbers.
    pub fn f64s<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [f64]>) {
        let lists: Vec<&[f64]> = lists.collect();
        let values =
            Float64Array::from_iter_values(lists.iter().flat_map(|list| list.iter().copied()));
        let lengths = lists.iter().map(|list| list.len());
        self.list(name, Arc::new(values), lengths);
    }

    /// Lists of anything: the values of all lists behind each other, and each list's length.
    pub fn list(&mut self, name: &str, values: ArrayRef, lengths: impl Iterator<Item = usize>) {
        let item = Arc::new(Field::new("item", values.data_type().clone(), false));
        let list = ListArray::new(item, OffsetBuffer::from_lengths(lengths), values, None);
        self.array(name, false, Arc::new(list));
    }

    /// The columns' names and types.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    /// The columns together.
    ///
    /// # Errors
    /// When they differ in length.
    pub fn batch(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)
    }
}

/// Columns being read, by name.
pub struct Columns<'a> {
    batch: &'a RecordBatch,
    path: &'a Path,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a RecordBatch, path: &'a Path) -> Self {
        Self { batch, path }
    }

    fn wrong(&self, found: String, expected: String) -> Error {
        Error::Format { path: self.path.to_owned(), found, expected }
    }

    /// The column `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn array(&self, name: &str) -> Result<&'a ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| {
            let schema = self.batch.schema();
            let names: Vec<&str> =
                schema.fields().iter().map(|field| field.name().as_str()).collect();
            self.wrong(format!("the columns {}", names.join(", ")), format!("a column `{name}`"))
        })
    }

    fn typed<T>(&self, name: &str, typed: Option<T>, expected: &str) -> Result<T> {
        typed.ok_or_else(|| {
            let found = self.array(name).map_or(DataType::Null, |array| array.data_type().clone());
            self.wrong(format!("column `{name}` of type {found}"), expected.to_owned())
        })
    }

    /// The text in column `name` at row `at`, if it is not null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn maybe_text(&self, name: &str, at: usize) -> Result<Option<String>> {
        let texts = self.typed(name, self.array(name)?.as_string_opt::<i32>(), "text")?;
        Ok(texts.is_valid(at).then(|| texts.value(at).to_owned()))
    }

    /// The text in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or of another type, or the value is null.
    pub fn text(&self, name: &str, at: usize) -> Result<String> {
        self.present(name, at, self.maybe_text(name, at)?)
    }

    /// The whole number in column `name` at row `at`, if it is not null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn maybe_u64(&self, name: &str, at: usize) -> Result<Option<u64>> {
        let numbers = self.typed(
            name,
            self.array(name)?.as_primitive_opt::<UInt64Type>(),
            "unsigned 64-bit integers",
        )?;
        Ok(numbers.is_valid(at).then(|| numbers.value(at)))
    }

    /// The whole number in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or of another type, or the value is null.
    pub fn u64(&self, name: &str, at: usize) -> Result<u64> {
        self.present(name, at, self.maybe_u64(name, at)?)
    }

    /// The number in column `name` at row `at`, if it is not null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn maybe_f64(&self, name: &str, at: usize) -> Result<Option<f64>> {
        let numbers =
            self.typed(name, self.array(name)?.as_primitive_opt::<Float64Type>(), "64-bit floats")?;
        Ok(numbers.is_valid(at).then(|| numbers.value(at)))
    }

    /// The number in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or of another type, or the value is null.
    pub fn f64(&self, name: &str, at: usize) -> Result<f64> {
        self.present(name, at, self.maybe_f64(name, at)?)
    }

    /// The values of the list in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or no list.
    pub fn list(&self, name: &str, at: usize) -> Result<ArrayRef> {
        let lists = self.typed(name, self.array(name)?.as_list_opt::<i32>(), "lists")?;
        Ok(lists.value(at))
    }

    /// The texts of the list in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn texts(&self, name: &str, at: usize) -> Result<Vec<String>> {
        let list = self.list(name, at)?;
        let texts = self.typed(name, list.as_string_opt::<i32>(), "lists of text")?;
        Ok(texts.iter().flatten().map(str::to_owned).collect())
    }

    /// The texts of the list in column `name` at row `at`; none where the table is older than the column.
    ///
    /// # Errors
    /// When the column is of another type.
    pub fn later_texts(&self, name: &str, at: usize) -> Result<Vec<String>> {
        self.batch.column_by_name(name).map_or(Ok(Vec::new()), |_| self.texts(name, at))
    }

    /// The numbers of the list in column `name` at row `at`.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn f64s(&self, name: &str, at: usize) -> Result<Vec<f64>> {
        let list = self.list(name, at)?;
        let numbers =
            self.typed(name, list.as_primitive_opt::<Float64Type>(), "lists of 64-bit floats")?;
        Ok(numbers.values().to_vec())
    }

    fn present<T>(&self, name: &str, at: usize, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            self.wrong(format!("null in column `{name}`, row {at} of its batch"), "a value".into())
        })
    }
}
