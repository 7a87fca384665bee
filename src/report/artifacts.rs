//! The artifacts of a run, opened.

use std::fs;
use std::path::PathBuf;

use pipelines::digest::Digest;
use pipelines::error::Result;
use pipelines::input::Mapped;
use pipelines::kind::Kind;
use pipelines::publish::OutDir;
use pipelines::record::Artifact;
use pipelines::table::{Row, TableReader};

use super::history::History;

/// A published artifact.
pub struct Opened {
    /// The step that it is of.
    pub step: String,
    /// Its identity.
    pub identity: Digest,
    /// Where its files stand.
    pub dir: PathBuf,
    /// What it says of itself.
    pub artifact: Artifact,
}

impl Opened {
    /// Where the files stand whose names end in `suffix`, in order.
    pub fn files(&self, suffix: &str) -> impl Iterator<Item = PathBuf> {
        let parts = self.artifact.parts.iter().filter(move |part| part.path.ends_with(suffix));
        parts.map(|part| self.dir.join(&part.path))
    }

    /// Where the file `path` stands, if it has one.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        let has = self.artifact.parts.iter().any(|part| part.path == path);
        has.then(|| self.dir.join(path))
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.artifact.kind == kind.name()
    }
}

/// All artifacts of a run that are there.
pub struct Artifacts {
    /// The artifacts, by step in the order of the graph, then by kind.
    pub opened: Vec<Opened>,
    /// What cannot be opened, and why.
    pub missing: Vec<String>,
}

impl Artifacts {
    /// What the run made or found made, up to where it ended.
    pub fn of(out: &OutDir, history: &History) -> Self {
        let mut artifacts = Self { opened: Vec::new(), missing: Vec::new() };
        for step in &history.start.steps {
            for identity in history.artifacts_of(step) {
                match open(out, &step.name, identity) {
                    Ok(opened) => artifacts.opened.push(opened),
                    Err(error) => artifacts.missing.push(format!("{}: {error:#}", step.name)),
                }
            }
        }
        artifacts
    }

    /// Those of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Opened> {
        self.opened.iter().filter(move |opened| opened.is(kind))
    }

    /// That of `step` of one kind.
    pub fn get(&self, step: &str, kind: Kind) -> Option<&Opened> {
        self.of_kind(kind).find(|opened| opened.step == step)
    }

    /// The one with this identity.
    pub fn with(&self, identity: &Digest) -> Option<&Opened> {
        self.opened.iter().find(|opened| opened.identity == *identity)
    }
}

fn open(out: &OutDir, step: &str, identity: Digest) -> anyhow::Result<Opened> {
    let dir = out.dir_of(&identity);
    let path = dir.join(Artifact::FILE);
    let bytes = fs::read(&path)
        .map_err(|_| anyhow::anyhow!("{identity:?} is no longer in the store (`seedbed gc`)"))?;
    let artifact = Artifact::read(&path, &bytes)?;
    Ok(Opened { step: step.to_owned(), identity, dir, artifact })
}

/// Hands rows of tables to `take`, one after the other, until it has enough.
///
/// # Errors
/// When a table cannot be read.
pub fn rows<R: Row>(
    files: impl Iterator<Item = PathBuf>,
    mut take: impl FnMut(R) -> bool,
) -> Result<()> {
    for path in files {
        for rows in TableReader::<R>::open(&Mapped::whole(path)?)? {
            if !rows?.into_iter().all(&mut take) {
                return Ok(());
            }
        }
    }
    Ok(())
}
