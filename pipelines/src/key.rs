//! Keys: what a task's result depends on, in one digest.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// One input as the key sees it: what it is for, and which bytes it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedInput {
    /// What the task uses it for.
    pub role: String,
    /// What the stage knows of it besides its bytes, such as a file's format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// BLAKE3 of the bytes that are read.
    pub digest: Digest,
    /// Where it was found, for people: not part of the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Everything that a task's bytes may depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingredients {
    /// The stage's name.
    pub stage: String,
    /// The phase's name.
    pub phase: String,
    /// The phase's version.
    pub version: u32,
    /// The phase's own config.
    pub config: Value,
    /// The bytes it reads, in order.
    pub inputs: Vec<KeyedInput>,
}

impl Ingredients {
    /// The key: BLAKE3 over the ingredients, each length-prefixed, the config in canonical form.
    pub fn key(&self) -> Digest {
        let inputs = self.inputs.iter();
        PhaseKey::new(Self { inputs: Vec::new(), ..self.clone() })
            .key(inputs.map(|input| (input.role.as_str(), input.tag.as_str(), &input.digest)))
    }
}

/// What the keys of a phase's tasks have in common: their ingredients but for the inputs.
#[derive(Clone, Debug)]
pub struct PhaseKey {
    about: Ingredients,
    /// The config in canonical form.
    config: String,
    /// Has taken in all but the inputs.
    hasher: blake3::Hasher,
}

impl PhaseKey {
    /// For tasks that have these ingredients beside their inputs.
    pub fn new(about: Ingredients) -> Self {
        let config = canonical(&about.config);
        let mut hasher = blake3::Hasher::new_derive_key("seedbed 2026 task key");
        add(&mut hasher, about.stage.as_bytes());
        add(&mut hasher, about.phase.as_bytes());
        add(&mut hasher, &about.version.to_le_bytes());
        add(&mut hasher, config.as_bytes());
        Self { about, config, hasher }
    }

    /// The config in canonical form.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// All ingredients of a task with these inputs.
    pub fn with(&self, inputs: Vec<KeyedInput>) -> Ingredients {
        Ingredients { inputs, ..self.about.clone() }
    }

    /// The key of a task whose inputs have these roles, tags and digests, in order.
    pub fn key<'a>(&self, inputs: impl Iterator<Item = (&'a str, &'a str, &'a Digest)>) -> Digest {
        let mut hasher = self.hasher.clone();
        for (role, tag, digest) in inputs {
            add(&mut hasher, role.as_bytes());
            add(&mut hasher, tag.as_bytes());
            add(&mut hasher, digest.as_bytes());
        }
        Digest::from(&hasher)
    }
}

fn add(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

/// JSON without blanks and with sorted keys, whatever order the value was built in.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let fields: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::from(key.as_str()), canonical(&map[key])))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ingredients() -> Ingredients {
        Ingredients {
            stage: "tokenize".into(),
            phase: "encode".into(),
            version: 1,
            config: json!({"b": 1, "a": [0.5, null, "x"]}),
            inputs: vec![KeyedInput {
                role: "documents".into(),
                tag: String::new(),
                digest: Digest::of(b"x"),
                name: "somewhere".into(),
            }],
        }
    }

    #[test]
    fn the_key_of_fixed_ingredients_never_changes() {
        assert_eq!(
            ingredients().key().to_string(),
            "b3:f77e738c76093facdf5ab6e207c17256a18653be28e5b41c68101c9b6f1563a6"
        );
    }

    #[test]
    fn canonical_json_is_sorted_and_tight() {
        assert_eq!(canonical(&ingredients().config), r#"{"a":[0.5,null,"x"],"b":1}"#);
    }

    #[test]
    fn names_do_not_count_and_everything_else_does() {
        let key = ingredients().key();
        let with = |change: fn(&mut Ingredients)| {
            let mut other = ingredients();
            change(&mut other);
            other.key()
        };
        assert_eq!(key, with(|other| other.inputs[0].name = "elsewhere".into()));
        for changed in [
            with(|other| other.stage = "tokenise".into()),
            with(|other| other.phase = "encoded".into()),
            with(|other| other.version = 2),
            with(|other| other.config["b"] = json!(2)),
            with(|other| other.inputs[0].role = "document".into()),
            with(|other| other.inputs[0].tag = "jsonl".into()),
            with(|other| other.inputs[0].digest = Digest::of(b"y")),
            with(|other| other.inputs.clear()),
        ] {
            assert_ne!(key, changed);
        }
    }
}
