//! `seedbed schema`: what a manifest can say, as JSON Schema, for editors that complete and check while one writes.

use clap::Args;
use pipelines::manifest::Manifest;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::show;
use crate::stages::Stage;

#[derive(Args)]
pub struct Command {}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        show::line(schema()?)
    }
}

/// The schema of manifests, indented. Draft 7 is what editors' TOML extensions read.
fn schema() -> anyhow::Result<String> {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(say_absent));
    let generator = settings.into_generator();
    let schema = generator.into_root_schema_for::<Manifest<Stage>>();
    Ok(serde_json::to_string_pretty(&schema)?)
}

/// Doc comments say `None` of a key that is not given, which is no word of TOML.
fn say_absent(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        let mut said = String::new();
        for (at, piece) in description.split("`None`").enumerate() {
            let begins = said.trim_end().is_empty() || said.trim_end().ends_with('.');
            said.push_str(match (at, begins) {
                (0, _) => "",
                (_, true) => "Absent",
                (_, false) => "absent",
            });
            said.push_str(piece);
        }
        *description = said;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(&schema().unwrap()).unwrap()
    }

    /// Every table of the schema with keys, by its place.
    fn tables<'v>(value: &'v Value, place: &str, found: &mut Vec<(String, &'v Value)>) {
        if value["type"] == "object" && value["properties"].is_object() {
            found.push((place.to_owned(), value));
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            tables(inner, &format!("{place}/{name}"), found);
        }
        for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
            tables(inner, &format!("{place}/{at}"), found);
        }
    }

    #[test]
    fn every_key_is_explained_and_no_other_is_allowed() {
        let schema = parsed();
        let mut found = Vec::new();
        tables(&schema, "", &mut found);
        assert!(found.len() > 20, "{found:?}");
        for (place, table) in found {
            assert_eq!(table["additionalProperties"], false, "{place}");
            // A stage is explained beside the one key that names it.
            let is_stage = place.contains("/Stage/oneOf/");
            for (key, value) in table["properties"].as_object().unwrap() {
                let explained = value["description"].is_string() || is_stage;
                assert!(explained, "{place}: {key} has no description");
            }
        }
    }

    /// All that editors show, by its place.
    fn descriptions(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
        if let Value::String(text) = &value["description"] {
            found.push((place.to_owned(), text.clone()));
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            descriptions(inner, &format!("{place}/{name}"), found);
        }
        for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
            descriptions(inner, &format!("{place}/{at}"), found);
        }
    }

    #[test]
    fn descriptions_are_for_those_who_write_manifests() {
        let mut found = Vec::new();
        descriptions(&parsed(), "", &mut found);
        assert!(found.len() > 100, "{found:?}");
        for (place, text) in &found {
            for foreign in ["[`", "`None`", "`Some", "`Option", "::", "Rust", "enum", "struct"] {
                assert!(!text.contains(foreign), "{place} says {foreign}: {text}");
            }
        }
        let delimiter = found.iter().find(|(place, _)| place.ends_with("/delimiter")).unwrap();
        assert!(delimiter.1.contains(". Absent: a comma"), "{delimiter:?}");
        let heads = found.iter().find(|(place, _)| place.ends_with("/num_key_value_heads"));
        assert!(heads.unwrap().1.ends_with("is the same if absent."), "{heads:?}");
    }

    #[test]
    fn all_stages_are_offered_with_their_keys() {
        let text = schema().unwrap();
        for key in ["corpus-prep", "tokenize", "pretrain", "finetune", "evaluate", "max_grad_norm"]
        {
            assert!(text.contains(&format!("\"{key}\"")), "{key}");
        }
    }
}
