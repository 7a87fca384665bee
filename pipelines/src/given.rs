//! Artifacts that stand before a plan begins: named by the path of a directory, or held by a pin.
//!
//! A directory is one that seedbed published, whose `artifact.json` says what it is, or a model or a tokenizer that other
//! programs wrote in the layout of Hugging Face's libraries; then its record follows from the files that are in it now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::files::DigestCache;
use crate::kind::Kind;
use crate::record::{Artifact, PartRecord};
use crate::stage::{ArtifactFile, ArtifactView, Source};
use crate::store::Store;

/// What the record of a directory calls its stage when no stage made it.
const ELSEWHERE: &str = "elsewhere";

/// Endings of the files that belong to a model or a tokenizer of others. Weights in other forms, which often stand beside
/// them, are passed over.
const ENDINGS: [&str; 5] = ["json", "safetensors", "txt", "model", "jinja"];

/// The artifact in `dir`, as bytes for the store and as a record.
///
/// # Errors
/// When the directory cannot be read, or is neither an artifact, nor a model, nor a tokenizer.
pub(crate) fn record(dir: &Path, cache: &mut DigestCache) -> Result<(Artifact, Vec<u8>)> {
    let path = dir.join(Artifact::FILE);
    if path.exists() {
        let bytes = fs::read(&path).at("read", &path)?;
        return Ok((Artifact::read(&path, &bytes)?, bytes));
    }
    let made = elsewhere(dir, cache)?;
    let bytes = made.to_bytes();
    Ok((made, bytes))
}

/// The record of a directory that others wrote.
fn elsewhere(dir: &Path, cache: &mut DigestCache) -> Result<Artifact> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).at("read", dir)? {
        let path = entry.at("read", dir)?.path();
        let belongs = path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
        // Hugging Face's cache is made of links.
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && belongs
            && path.is_file()
        {
            files.insert(name.to_owned(), path);
        }
    }
    let signed = [Kind::Checkpoint, Kind::Vocabulary]
        .into_iter()
        .find(|kind| kind.sign().is_some_and(|sign| files.contains_key(sign)));
    let Some(kind) = signed else {
        return Err(Error::Format {
            path: dir.to_owned(),
            found: "a directory with neither of them".into(),
            expected:
                "artifact.json, the config.json of a model or the tokenizer.json of a tokenizer"
                    .into(),
        });
    };
    let mut parts = Vec::new();
    for (name, path) in files {
        let (blake3, bytes) = cache.digest(&path)?;
        let (part, rows, tokens, task) = (String::new(), None, None, None);
        parts.push(PartRecord { path: name, part, bytes, blake3, rows, tokens, task });
    }
    Ok(Artifact {
        kind: kind.name().to_owned(),
        format_version: Artifact::VERSION,
        stage: ELSEWHERE.to_owned(),
        config: serde_json::Value::Null,
        seed: 0,
        numeric_profile: None,
        inputs: Vec::new(),
        parts,
        counts: BTreeMap::new(),
        details: serde_json::Value::Null,
    })
}

/// The artifact in `dir`, which messages call `name`, with its identity.
///
/// # Errors
/// As [`record`], and when it is not of the kind `wanted`.
pub(crate) fn at_path(
    dir: &Path,
    name: &str,
    wanted: Kind,
    cache: &mut DigestCache,
) -> Result<(ArtifactView, Digest)> {
    if dir.is_file() {
        let expected = format!("the name of a step, or a directory with an artifact of {wanted}");
        return Err(Error::Format { path: dir.to_owned(), found: "a file".into(), expected });
    }
    let (artifact, bytes) = record(dir, cache)?;
    let kind = kind_of(&artifact, dir)?;
    // A model that others wrote has its tokenizer beside it.
    let has_sign = |sign: &str| artifact.parts.iter().any(|part| part.path == sign);
    let serves = artifact.stage == ELSEWHERE && wanted.sign().is_some_and(has_sign);
    if kind != wanted && !serves {
        let (found, expected) = (format!("an artifact of {kind}"), format!("one of {wanted}"));
        return Err(Error::Format { path: dir.to_owned(), found, expected });
    }
    let source = |part: &PartRecord| {
        let (path, bytes, digest) = (dir.join(&part.path), part.bytes, part.blake3);
        match artifact.stage == ELSEWHERE {
            true => Source::File { path, offset: 0, bytes, footer: None, digest },
            false => Source::Published { path, bytes, digest },
        }
    };
    let files = artifact.parts.iter().map(|part| ArtifactFile {
        path: part.path.clone(),
        part: part.part.clone(),
        source: source(part),
    });
    let view = ArtifactView { name: name.to_owned(), kind: wanted, files: files.collect() };
    Ok((view, Digest::of(&bytes)))
}

/// The artifact that a pin holds `step` at.
///
/// # Errors
/// When the store lacks it, or some of it.
pub(crate) fn pinned(store: &Store, step: &str, digest: Digest) -> Result<ArtifactView> {
    let path = store.object_path(&digest);
    let wrong = |what: String| Error::Step {
        step: step.to_owned(),
        message: format!("`[pins]` holds it at {digest}, {what}; `seedbed import DIR` brings it"),
    };
    if !path.exists() {
        return Err(wrong("which is not in the store".into()));
    }
    let artifact = Artifact::read(&path, &store.get(&digest)?)?;
    let whole = |part: &&PartRecord| store.has_object(&part.blake3, part.bytes);
    if let Some(part) = artifact.parts.iter().find(|part| !whole(part)) {
        return Err(wrong(format!("whose {} is not whole in the store", part.path)));
    }
    let files = artifact.parts.iter().map(|part| ArtifactFile {
        path: part.path.clone(),
        part: part.part.clone(),
        source: Source::Object {
            digest: part.blake3,
            bytes: part.bytes,
            name: format!("{step}/{}", part.path),
        },
    });
    let kind = kind_of(&artifact, &path)?;
    Ok(ArtifactView { name: step.to_owned(), kind, files: files.collect() })
}

/// The kind of an artifact whose record stands at `path`.
///
/// # Errors
/// When this build does not know it.
pub(crate) fn kind_of(artifact: &Artifact, path: &Path) -> Result<Kind> {
    serde_json::from_value(artifact.kind.clone().into()).map_err(|_| Error::Format {
        path: path.to_owned(),
        found: format!("an artifact of the kind `{}`", artifact.kind),
        expected: "a kind that this build knows".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("store")).unwrap();
        dir
    }

    fn view(dir: &Path, wanted: Kind) -> Result<(Vec<String>, Digest)> {
        let mut cache = DigestCache::open(&Store::open(dir.join("store")).unwrap());
        let (view, identity) = at_path(dir, "models/mini", wanted, &mut cache)?;
        assert_eq!((view.name.as_str(), view.kind), ("models/mini", wanted));
        Ok((view.files.into_iter().map(|file| file.path).collect(), identity))
    }

    #[test]
    fn a_model_of_others_is_made_of_the_files_that_belong_to_it() {
        let files = ["config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"];
        let dir = model(&files);
        let (found, identity) = view(dir.path(), Kind::Checkpoint).unwrap();
        assert_eq!(found, ["config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(view(dir.path(), Kind::Vocabulary).unwrap(), (found, identity));
        fs::write(dir.path().join("model.safetensors"), "other weights").unwrap();
        assert_ne!(view(dir.path(), Kind::Checkpoint).unwrap().1, identity);
    }

    #[test]
    fn a_tokenizer_alone_is_no_model() {
        let dir = model(&["tokenizer.json"]);
        assert!(view(dir.path(), Kind::Vocabulary).is_ok());
        let error = view(dir.path(), Kind::Checkpoint).unwrap_err().to_string();
        assert!(error.ends_with("found an artifact of vocabulary, expected one of checkpoint"));
    }

    #[test]
    fn a_file_is_refused_with_what_would_be_right() {
        let dir = model(&["notes.txt"]);
        let mut cache = DigestCache::open(&Store::at(dir.path().join("store")));
        let file = dir.path().join("notes.txt");
        let error = at_path(&file, "notes.txt", Kind::Examples, &mut cache).unwrap_err();
        let words = "found a file, expected the name of a step, or a directory with an artifact of examples";
        assert!(error.to_string().ends_with(words), "{error}");
    }

    #[test]
    fn another_directory_is_refused_with_what_would_be_right() {
        let dir = model(&["notes.txt"]);
        let error = view(dir.path(), Kind::Checkpoint).unwrap_err().to_string();
        assert!(error.contains("expected artifact.json, the config.json of a model"), "{error}");
        let error = at_path(
            &dir.path().join("absent"),
            "absent",
            Kind::Checkpoint,
            &mut DigestCache::open(&Store::at(dir.path().join("store"))),
        );
        assert!(matches!(error, Err(Error::Io { .. })), "{error:?}");
    }
}
