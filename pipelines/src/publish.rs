//! Publishing: a step's results as directories that people and other programs open.
//!
//! `OUT/STEP/KIND` is a link to a directory named by the artifact's identity. The directory appears with all its files and
//! `artifact.json` at once, and never changes; the link moves when the step's result does.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::files::DigestCache;
use crate::given;
use crate::kind::Kind;
use crate::output::TaskOutput;
use crate::plan::{PlannedStep, Read, State};
use crate::record::{Artifact, Counts, InputRecord, PartRecord, TaskRecord};
use crate::roots::{entries, keep_import};
use crate::stage::{ArtifactFile, ArtifactView, Source, Stage};
use crate::store::{Store, move_into_place, write_durably};
use crate::table::TableWriter;
use crate::table::sources::SourceRow;

/// Where a run leaves its results.
#[derive(Clone, Debug)]
pub struct OutDir {
    /// The directory that people look into.
    pub root: PathBuf,
    /// The store behind it, in `root/.seedbed`.
    pub store: Store,
}

/// Identities of published artifacts by step (or path) and kind.
pub type Identities = BTreeMap<(String, Kind), Digest>;

impl OutDir {
    /// The directory of the store, by which a directory of results is known.
    pub const STORE: &str = ".seedbed";

    /// Opens `root`, making it and its store. The store is for its owner's eyes only: it holds raw text.
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let inner = root.join(Self::STORE);
        fs::create_dir_all(&inner).at("create", &inner)?;
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).at("protect", &inner)?;
        Ok(Self { root: root.to_owned(), store: Store::open(&inner)? })
    }

    /// Results at `root` as they are, to look at: nothing is made, and where there are none everything is still to do.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), store: Store::at(root.join(Self::STORE)) }
    }

    /// Publishes all artifacts of a step that is done, and adds their identities to `known`.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn publish(
        &self,
        stage: &dyn Stage,
        seed: u64,
        base: &Path,
        step: &PlannedStep,
        plan: &[PlannedStep],
        known: &mut Identities,
    ) -> Result<()> {
        let inputs = inputs(step, known)?;
        let done = Done::of(plan);
        for view in &step.artifacts {
            for file in &view.files {
                if let Source::File { path, digest, bytes, .. }
                | Source::Published { path, digest, bytes } = &file.source
                    && !self.store.has_object(digest, *bytes)
                {
                    self.take(path, digest)?;
                }
            }
            let artifact = match step.pin {
                Some(pin) => Artifact::read(&self.store.object_path(&pin), &self.store.get(&pin)?)?,
                None => describe(stage, seed, step, view, &done, inputs.clone())?,
            };
            let identity = self.place(&artifact)?;
            known.insert((step.name.clone(), view.kind), identity);
            self.link(&step.name, view.kind, &identity)?;
        }
        self.withdraw_others(step)?;
        match step.pin {
            Some(_) => Ok(()),
            None => self.write_sources(base, step),
        }
    }

    /// Takes away what an earlier run left of a step that now has fewer artifacts: because a pin holds one alone, or because
    /// the manifest lets some go.
    fn withdraw_others(&self, step: &PlannedStep) -> Result<()> {
        for path in entries(&self.root.join(&step.name))? {
            let stays = step.artifacts.iter().any(|artifact| path.ends_with(artifact.kind.name()));
            let is_of_pinned = step.pin.is_some() && path.ends_with("sources.parquet");
            if !stays && (path.is_symlink() || is_of_pinned) {
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    /// The directory of an artifact, which is there if it is published.
    pub fn dir_of(&self, identity: &Digest) -> PathBuf {
        self.store.root().join("artifacts").join(identity.hex())
    }

    /// Makes the artifact's directory from objects of the store, if it is not there.
    fn place(&self, artifact: &Artifact) -> Result<Digest> {
        let bytes = artifact.to_bytes();
        let identity = self.store.put(&bytes)?;
        let dir = self.dir_of(&identity);
        let attempt = self.store.attempt()?;
        if dir.exists() {
            if is_whole(&dir, artifact, &bytes) {
                return Ok(identity);
            }
            let aside = attempt.dir().join("damaged");
            fs::rename(&dir, &aside).at("move", &dir)?;
        }
        let made = attempt.dir().join("artifact");
        for part in &artifact.parts {
            let path = made.join(&part.path);
            let parent = path.parent().unwrap_or(&made);
            fs::create_dir_all(parent).at("create", parent)?;
            let object = self.store.object_path(&part.blake3);
            link_or_copy(&object, &path)?;
        }
        fs::create_dir_all(&made).at("create", &made)?;
        write_durably(&made.join(Artifact::FILE), &bytes)?;
        match move_into_place(&made, &dir) {
            // Another run published the same meanwhile.
            Err(_) if dir.join(Artifact::FILE).exists() => Ok(identity),
            moved => moved.map(|()| identity),
        }
    }

    /// Identities of all artifacts that are published here now.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn published(&self) -> Result<Vec<Digest>> {
        let mut identities = Vec::new();
        for step in entries(&self.root)?.into_iter().filter(|path| path.is_dir()) {
            for link in entries(&step)? {
                let target = fs::read_link(&link).ok();
                let name =
                    target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
                identities
                    .extend(name.and_then(|name| format!("b3:{name}").parse::<Digest>().ok()));
            }
        }
        Ok(identities)
    }

    /// Points `root/step/kind` at the artifact.
    fn link(&self, step: &str, kind: Kind, identity: &Digest) -> Result<()> {
        let path = self.root.join(step).join(kind.name());
        let target = Path::new("../.seedbed/artifacts").join(identity.hex());
        if fs::read_link(&path).is_ok_and(|found| found == target) {
            return Ok(());
        }
        let attempt = self.store.attempt()?;
        let fresh = attempt.dir().join("link");
        symlink(&target, &fresh).at("create", &fresh)?;
        if path.is_dir() && !path.is_symlink() {
            let (found, expected) =
                ("a directory".into(), "nothing, or a link that an earlier run made".into());
            return Err(Error::Format { path, found, expected });
        }
        move_into_place(&fresh, &path)
    }

    /// Writes `root/step/sources.parquet`: which files the units came from. Not part of any artifact.
    fn write_sources(&self, base: &Path, step: &PlannedStep) -> Result<()> {
        if step.files.is_empty() {
            return Ok(());
        }
        let mut out = TaskOutput::new(&self.store)?;
        let mut table = TableWriter::<SourceRow>::create(&out, "sources")?;
        for (field, parts) in &step.files {
            for part in parts {
                for unit in &part.units {
                    for (at, path) in unit.paths.iter().enumerate() {
                        table.push(SourceRow {
                            path: path.strip_prefix(base).unwrap_or(path).display().to_string(),
                            field: field.clone(),
                            part: part.name.clone(),
                            unit: unit.digest.row_name(),
                            offset: unit.offset,
                            bytes: unit.bytes,
                            outcome: if at == 0 { "read" } else { "duplicate_file" }.into(),
                        })?;
                    }
                }
            }
        }
        table.finish(&mut out)?;
        let fresh = out.path_of("sources")?;
        move_into_place(&fresh, &self.root.join(&step.name).join("sources.parquet"))
    }

    /// Brings the artifact at `dir` into the store, and says its identity. A model or a tokenizer that others wrote, as
    /// Hugging Face's libraries lay them out, is one too.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of a newer format.
    pub fn import(&self, dir: &Path) -> Result<(Artifact, Digest)> {
        let mut cache = DigestCache::open(&self.store);
        let (artifact, bytes) = given::record(dir, &mut cache)?;
        given::kind_of(&artifact, dir)?;
        for part in &artifact.parts {
            self.take(&dir.join(&part.path), &part.blake3)?;
        }
        let identity = self.store.put(&bytes)?;
        keep_import(&self.store, &identity)?;
        Ok((artifact, identity))
    }

    /// Copies a file of an artifact elsewhere into the store.
    fn take(&self, path: &Path, expected: &Digest) -> Result<()> {
        let attempt = self.store.attempt()?;
        let copy = attempt.dir().join("object");
        fs::copy(path, &copy).at("copy", path)?;
        let file = fs::File::open(&copy).at("read", &copy)?;
        let (found, _) = Digest::of_reader(&file).at("read", &copy)?;
        if found != *expected {
            let (path, expected) = (path.to_owned(), *expected);
            return Err(Error::Damaged { path, expected, found, advice: "" });
        }
        file.sync_all().at("write", &copy)?;
        self.store.adopt(&copy, &found)
    }
}

/// Whether the artifact's files stand in `dir` with their lengths. `verify` looks at their bytes.
fn is_whole(dir: &Path, artifact: &Artifact, bytes: &[u8]) -> bool {
    let has = |path: &str, bytes: u64| {
        fs::metadata(dir.join(path)).is_ok_and(|found| found.is_file() && found.len() == bytes)
    };
    has(Artifact::FILE, bytes.len() as u64)
        && artifact.parts.iter().all(|part| has(&part.path, part.bytes))
}

/// Reflink, hard link or copy, whichever works first.
fn link_or_copy(object: &Path, path: &Path) -> Result<()> {
    if reflink_copy::reflink(object, path).is_ok() || fs::hard_link(object, path).is_ok() {
        return Ok(());
    }
    fs::copy(object, path).at("copy", object).map(|_| ())
}

/// The artifacts that `step` reads. Those of other steps are published before it.
fn inputs(step: &PlannedStep, known: &Identities) -> Result<Vec<InputRecord>> {
    let record = |read: &Read| {
        let digest = read.given.or_else(|| known.get(&(read.name.clone(), read.kind)).copied());
        let digest = digest.ok_or_else(|| Error::Undeclared {
            what: format!("{} of `{}`", read.kind, read.name),
        })?;
        let (field, name, kind) = (read.field.clone(), read.name.clone(), read.kind.name().into());
        Ok(InputRecord { field, name, kind, digest })
    };
    step.reads.iter().map(record).collect()
}

fn describe(
    stage: &dyn Stage,
    seed: u64,
    step: &PlannedStep,
    view: &ArtifactView,
    done: &Done<'_>,
    inputs: Vec<InputRecord>,
) -> Result<Artifact> {
    let details = match step.details.get(&view.kind) {
        Some((phase, task)) => done.record(&step.name, phase, task)?.details.clone(),
        None => serde_json::Value::Null,
    };
    Ok(Artifact {
        kind: view.kind.name().to_owned(),
        format_version: Artifact::VERSION,
        stage: stage.name().to_owned(),
        config: stage.config(),
        seed,
        numeric_profile: stage.numeric_profile(),
        inputs,
        parts: view.files.iter().map(|file| part(file, done)).collect::<Result<_>>()?,
        counts: counts(step),
        details,
    })
}

/// The finished tasks of a plan, by step, phase and name.
struct Done<'p>(HashMap<(&'p str, &'p str, &'p str), &'p TaskRecord>);

impl<'p> Done<'p> {
    fn of(plan: &'p [PlannedStep]) -> Self {
        let of_step = |step: &'p PlannedStep| {
            step.tasks().filter_map(|(phase, planned)| match &planned.state {
                State::Done(record) => {
                    Some(((step.name.as_str(), phase, planned.task.name.as_str()), &**record))
                }
                State::Ready | State::Waits(_) => None,
            })
        };
        Self(plan.iter().flat_map(of_step).collect())
    }

    fn record(&self, step: &str, phase: &str, task: &str) -> Result<&'p TaskRecord> {
        self.0.get(&(step, phase, task)).copied().ok_or_else(|| Error::Undeclared {
            what: format!("the finished task {step}/{phase}/{task}"),
        })
    }
}

fn part(file: &ArtifactFile, done: &Done<'_>) -> Result<PartRecord> {
    let (path, part) = (file.path.clone(), file.part.clone());
    match &file.source {
        Source::Output { step, phase, task, output, .. } => {
            let bug = || Error::Undeclared { what: format!("{step}/{phase}/{task}/{output}") };
            let record = done.record(step, phase, task)?;
            let made = record.outputs.get(output).ok_or_else(bug)?;
            let (rows, tokens, task) = (made.rows, made.tokens, Some(record.key));
            Ok(PartRecord {
                path,
                part,
                bytes: made.bytes,
                blake3: made.digest,
                rows,
                tokens,
                task,
            })
        }
        Source::Object { digest, bytes, .. }
        | Source::File { digest, bytes, .. }
        | Source::Published { digest, bytes, .. } => Ok(PartRecord {
            path,
            part,
            bytes: *bytes,
            blake3: *digest,
            rows: None,
            tokens: None,
            task: None,
        }),
    }
}

/// Counts of the step's raw files, then of each phase.
fn counts(step: &PlannedStep) -> BTreeMap<String, Counts> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for unit in step.files.values().flatten().flat_map(|part| &part.units) {
        let files = counts.entry("files".into()).or_default();
        *files.entry("units".into()).or_default() += 1;
        *files.entry("bytes".into()).or_default() += unit.bytes;
        *files.entry("duplicate_file".into()).or_default() += unit.paths.len() as u64 - 1;
    }
    for (phase, task) in step.tasks() {
        let State::Done(record) = &task.state else { continue };
        for (name, count) in &record.counts {
            *counts.entry(phase.to_owned()).or_default().entry(name.clone()).or_default() += count;
        }
    }
    counts
}
