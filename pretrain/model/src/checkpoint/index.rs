//! The index of weights that stand in several files: `model.safetensors.index.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::{ModelError, Result};

/// Which file holds which tensor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) path: PathBuf,
    /// Files by the names of the tensors in them.
    pub(super) weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads the bytes of an index; `path` names it in errors.
    ///
    /// # Errors
    /// When it is not JSON, and when it does not map names to names of files beside it.
    pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Self> {
        let refused = |key: String, found: &Value, expected: &str| ModelError::Config {
            file: path.to_owned(),
            key,
            found: found.to_string(),
            expected: expected.to_owned(),
        };
        let object: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|source| ModelError::Json { file: path.to_owned(), source })?;
        let map = object.get("weight_map").unwrap_or(&Value::Null);
        let Some(entries) = map.as_object() else {
            let expected = "an object from names of tensors to names of files";
            return Err(refused("weight_map".to_owned(), map, expected));
        };
        let mut weight_map = BTreeMap::new();
        for (tensor, file) in entries {
            let Some(name) = file.as_str().filter(|name| is_file_name(name)) else {
                let expected = "the name of a file beside it";
                return Err(refused(format!("weight_map.{tensor}"), file, expected));
            };
            weight_map.insert(tensor.clone(), name.to_owned());
        }
        Ok(Self { path: path.to_owned(), weight_map })
    }

    /// The files that hold tensors.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Says that a file is not there.
    pub(super) fn missing(&self, shard: &str) -> ModelError {
        ModelError::MissingShard { index: self.path.clone(), shard: shard.to_owned() }
    }
}

/// Whether this is the name of a file and no way to another directory.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Index> {
        Index::read(json.as_bytes(), Path::new("m/index"))
    }

    #[test]
    fn an_index_says_which_file_holds_which_tensor() {
        let json = r#"{"metadata": {"total_size": 8}, "weight_map": {"b": "2.safetensors", "a": "1.safetensors", "c": "2.safetensors"}}"#;
        let index = read(json).unwrap();
        assert_eq!(index.weight_map["c"], "2.safetensors");
        assert_eq!(
            index.files().into_iter().collect::<Vec<_>>(),
            ["1.safetensors", "2.safetensors"]
        );
    }

    #[test]
    fn what_is_no_index_is_refused() {
        let refused = |json: &str, message: &str| {
            assert_eq!(read(json).unwrap_err().to_string(), message);
        };
        refused("{\"weight_map\"", "m/index: not JSON");
        let expected = "expected an object from names of tensors to names of files";
        refused("{}", &format!("m/index: `weight_map` is null; {expected}"));
        refused("{\"weight_map\": [1]}", &format!("m/index: `weight_map` is [1]; {expected}"));
        for file in ["3", "\"\"", "\"..\"", "\"/etc/a\"", "\"../a\"", "\"a/b\"", "\"a/\""] {
            refused(
                &format!("{{\"weight_map\": {{\"w\": {file}}}}}"),
                &format!(
                    "m/index: `weight_map.w` is {file}; expected the name of a file beside it"
                ),
            );
        }
    }
}
