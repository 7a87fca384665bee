//! The manifest that says what was seen.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::base::Base;
use super::labels::{Labels, Taught};
use super::text::{Corpus, escaped};

const TEMPLATE: &str = include_str!("manifest.toml");

/// What the manifest is made of.
#[derive(Serialize)]
pub struct Parts<'a> {
    name: String,
    inputs: Vec<String>,
    /// The field of the text, where it is not the one that is taken unless another is named.
    text_field: Option<&'a str>,
    base: Base,
    labels: Option<&'a Labels>,
    /// A glob that names the labelled file.
    files: Option<String>,
    hint: Option<&'static str>,
}

impl<'a> Parts<'a> {
    /// Of a manifest in the folder `base`.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub fn new(
        corpus: &'a Corpus,
        labels: Option<&'a Labels>,
        base: &Path,
    ) -> anyhow::Result<Self> {
        let is_tagged = labels.is_some_and(|labels| matches!(labels.taught, Taught::Tags { .. }));
        let named = |glob: &std::path::PathBuf| relative(glob, base);
        Ok(Self {
            name: name(base),
            inputs: corpus.globs.iter().map(named).collect::<anyhow::Result<_>>()?,
            text_field: corpus.text_field.as_deref().filter(|field| *field != "text"),
            base: Base::new(corpus.text_bytes, is_tagged),
            labels,
            files: labels.map(|labels| named(&escaped(&labels.file))).transpose()?,
            hint: labels.map(Labels::hint),
        })
    }

    /// The manifest as text.
    ///
    /// # Errors
    /// When the template is wrong.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        let mut environment = Environment::new();
        environment.set_syntax(syntax.build()?);
        environment.add_filter("quoted", quoted);
        environment.add_template("manifest.toml", TEMPLATE)?;
        Ok(environment.get_template("manifest.toml")?.render(Value::from(Serde(self)))?)
    }
}

/// The name of the folder that the manifest stands in.
fn name(base: &Path) -> String {
    let whole = fs::canonicalize(if base.as_os_str().is_empty() { Path::new(".") } else { base });
    let name = whole.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    name.unwrap_or_else(|| "pipeline".to_owned())
}

/// `path` as the manifest in `base` names it.
fn relative(path: &Path, base: &Path) -> anyhow::Result<String> {
    let inner = path.strip_prefix(base).unwrap_or(path);
    let inner = inner.strip_prefix(".").unwrap_or(inner);
    let is_outside = !path.starts_with(base) && !base.as_os_str().is_empty();
    let named = match is_outside && inner.is_relative() {
        // The data is named from where the program runs, the manifest stands elsewhere.
        true => std::env::current_dir().context("cannot find the current directory")?.join(inner),
        false => inner.to_owned(),
    };
    match named.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{}: the path is not UTF-8", path.display()),
    }
}

/// `text` as TOML writes it.
fn quoted(text: String) -> String {
    toml::Value::String(text).to_string()
}
