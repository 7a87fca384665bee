//! `config.json` as keys and values.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use super::{
    Head,
    check::{listed, refusal},
};
use crate::error::{ModelError, Result};

/// The keys of a file.
///
/// # Errors
/// When it is not a JSON object.
pub(super) fn object(bytes: &[u8], file: &Path) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes)
        .map_err(|source| ModelError::Json { file: file.to_owned(), source })
}

/// The bytes of a file: `constant`, what is dropped before a classifier, if that is said, and the labels of the head. Keys are in alphabetical order.
pub(super) fn write(constant: Value, classifier_dropout: Option<f64>, head: &Head) -> String {
    // Sorted maps all the way, so that the bytes do not depend on the features serde_json is built with.
    let mut keys: BTreeMap<String, Value> =
        constant.as_object().cloned().into_iter().flatten().collect();
    if let Some(rate) = classifier_dropout {
        keys.insert("classifier_dropout".to_owned(), json!(rate));
    }
    if let Some(labels) = head.labels() {
        let named = || labels.iter().enumerate();
        let id2label: BTreeMap<_, _> = named().map(|(id, label)| (id.to_string(), label)).collect();
        let label2id: BTreeMap<_, _> = named().map(|(id, label)| (label, id)).collect();
        keys.insert("id2label".to_owned(), json!(id2label));
        keys.insert("label2id".to_owned(), json!(label2id));
    }
    if let Head::SequenceClassification { .. } = head {
        keys.insert("problem_type".to_owned(), json!("single_label_classification"));
    }
    format!("{:#}\n", json!(keys))
}

pub(super) fn one_or_many(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => json!(id),
        many => json!(many),
    }
}

/// Classes that get names by number where a config has none: more than anyone would leave unnamed, and no memory to speak of.
const MAX_UNNAMED: usize = 100_000;

/// The keys of one `config.json`. A `null` is an absent key, as in `transformers`.
pub(super) struct Keys<'a> {
    pub(super) file: &'a Path,
    pub(super) object: &'a Map<String, Value>,
}

impl Keys<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn refuse<T>(&self, key: &str, found: &Value, expected: &str) -> Result<T> {
        Err(refusal(self.file, key, found.to_string(), expected))
    }

    /// A word of a list; no other is implemented.
    pub(super) fn only(&self, key: &str, known: &[&str]) -> Result<Option<&str>> {
        match self.get(key) {
            Some(found) if !known.iter().any(|known| found == known) => {
                self.refuse(key, found, &format!("{known:?}"))
            }
            found => Ok(found.and_then(Value::as_str)),
        }
    }

    pub(super) fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().map(usize::try_from) {
            Some(Ok(count)) => Ok(Some(count)),
            _ => self.refuse(key, value, "a whole number"),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<usize> {
        match self.count(key)? {
            Some(count) => Ok(count),
            None => self.refuse(key, &Value::Null, "a whole number"),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value
            .as_f64()
            .map_or_else(|| self.refuse(key, value, "a number"), |number| Ok(Some(number)))
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value
            .as_bool()
            .map_or_else(|| self.refuse(key, value, "true or false"), |flag| Ok(Some(flag)))
    }

    /// One id, a list of ids, or none. Published configs use `-1` for none as well.
    pub(super) fn token_ids(&self, key: &str) -> Result<Vec<u32>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let listed = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut ids = Vec::with_capacity(listed.len());
        for id in listed.iter().filter(|id| id.as_i64() != Some(-1)) {
            match id.as_u64().map(u32::try_from) {
                Some(Ok(id)) => ids.push(id),
                _ => return self.refuse(key, value, "a token id or a list of them"),
            }
        }
        Ok(ids)
    }

    /// The head by the first of `architectures`: the name of the `family`, then what [`Head::suffix`] gives for one of
    /// `heads`.
    pub(super) fn head(&self, family: &str, heads: &[&str], absent: Head) -> Result<Head> {
        let Some(architectures) = self.get("architectures") else { return Ok(absent) };
        let first = architectures.get(0).and_then(Value::as_str);
        let suffix = first.and_then(|name| name.strip_prefix(family));
        match suffix.filter(|suffix| heads.contains(suffix)) {
            Some("Model") => Ok(Head::Body),
            Some("ForCausalLM" | "LMHeadModel") => Ok(Head::CausalLm),
            Some("ForMaskedLM" | "ForPreTraining") => Ok(Head::MaskedLm),
            Some("ForSequenceClassification") => {
                Ok(Head::SequenceClassification { labels: self.labels()? })
            }
            Some("ForTokenClassification") => {
                Ok(Head::TokenClassification { labels: self.labels()? })
            }
            _ => self.refuse("architectures", architectures, &listed(family, heads)),
        }
    }

    /// Names by id, without names at most [`MAX_UNNAMED`]; two classes with the names `transformers` gives them where the config has none.
    fn labels(&self) -> Result<Vec<String>> {
        let expected = "an object from \"0\", \"1\", … to names";
        let Some(value) = self.get("id2label") else {
            let count = self.count("num_labels")?.unwrap_or(2);
            if count > MAX_UNNAMED {
                let expected = format!("names in `id2label` for more than {MAX_UNNAMED} classes");
                return self.refuse("num_labels", &count.into(), &expected);
            }
            return Ok((0..count).map(|id| format!("LABEL_{id}")).collect());
        };
        let Some(names) = value.as_object() else {
            return self.refuse("id2label", value, expected);
        };
        let by_id =
            |id: usize| names.get(&id.to_string()).and_then(Value::as_str).map(str::to_owned);
        let labels: Option<Vec<String>> = (0..names.len()).map(by_id).collect();
        labels.map_or_else(|| self.refuse("id2label", value, expected), Ok)
    }
}
