//! The names of a file's columns.

use crate::error::{Error, Result};
use std::sync::Arc;

/// The names of a file's columns, all different.
#[derive(Clone, Debug)]
pub struct Header {
    file: String,
    names: Arc<[String]>,
}

impl Header {
    /// The columns `names` of a file that messages call `file`.
    ///
    /// # Errors
    /// [`Error::ColumnTwice`]: one of two columns of the same name would be lost.
    pub fn new(file: &str, names: Vec<String>) -> Result<Self> {
        let header = Self { file: file.to_owned(), names: names.into() };
        let names = &header.names;
        match (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
            None => Ok(header),
            Some(at) => Err(Error::ColumnTwice {
                file: file.to_owned(),
                column: names[at].clone(),
                found: header.found(),
            }),
        }
    }

    /// The names, in order.
    pub fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// Where `column` stands, from 0.
    ///
    /// # Errors
    /// [`Error::MissingColumn`].
    pub fn place(&self, column: &str) -> Result<usize> {
        let place = self.names.iter().position(|name| name == column);
        place.ok_or_else(|| Error::MissingColumn {
            file: self.file.clone(),
            column: column.to_owned(),
            found: self.found(),
        })
    }

    fn found(&self) -> String {
        format!("`{}`", self.names.join("`, `"))
    }
}
