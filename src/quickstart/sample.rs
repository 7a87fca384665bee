//! Writes the sample: what of the documentation becomes corpus, and what becomes labelled rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use serde::Serialize;

use super::{
    SampleError,
    draw::{Bounds, draw, letters},
    passages::{self, Passage, Section, sections},
    registry::{self, LOCK, Packages, WORKSPACE},
    sources::{Source, sources},
    tagged::{self, Copies, TaggedParagraph},
};

/// How much of the documentation is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSize {
    /// About 8 MB of text: for minutes of training.
    Full,
    /// About 1 MB of text: for a check that everything runs.
    Small,
}

impl SampleSize {
    /// Most bytes of text from one package, inclusive. This bounds the corpus, and keeps the few packages
    /// with very much documentation from being most of it.
    fn max_package_bytes(self) -> usize {
        match self {
            Self::Full => 160_000,
            Self::Small => 9_000,
        }
    }

    /// How many labelled passages of one section are drawn.
    fn passages(self) -> Bounds {
        let max_rows = match self {
            Self::Full => 200,
            Self::Small => 60,
        };
        Bounds { max_rows, max_per_repository: 20 }
    }

    /// How many tagged paragraphs are drawn: of those with code, or a quarter as many of those without. So a model must
    /// not find code everywhere, and most rows teach it something.
    fn paragraphs(self, has_code: bool) -> Bounds {
        let share = if has_code { 1 } else { 4 };
        let max_rows = match self {
            Self::Full => 800,
            Self::Small => 160,
        };
        Bounds { max_rows: max_rows / share, max_per_repository: 20 / share }
    }
}

/// What was written, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packages whose sources were found.
    pub packages: usize,
    /// `NAME-VERSION` of those whose sources were not found.
    pub missing: Vec<String>,
    /// Documents in the corpus.
    pub documents: usize,
    /// UTF-8 bytes of their text.
    pub bytes: usize,
    /// Documents left out because their package has its share.
    pub over_budget: usize,
    /// Doc comments and Markdown files left out because a labelled row stands in them.
    pub held_out: usize,
    /// Files that were not valid UTF-8; what could not be read became U+FFFD.
    pub repaired: usize,
    /// Labelled passages by section.
    pub passages: BTreeMap<Section, usize>,
    /// Repositories with labelled passages.
    pub groups: usize,
    /// Tagged paragraphs.
    pub paragraphs: usize,
    /// Code spans in them.
    pub code_spans: usize,
}

/// A line of the corpus.
#[derive(Serialize)]
struct Document<'a> {
    /// `NAME-VERSION/path`.
    id: &'a str,
    /// The package's name.
    source: &'a str,
    /// The file's text: Markdown as found, doc comments joined by a blank line.
    text: String,
}

/// Writes the sample into `dir`: `data/corpus/NAME-VERSION.jsonl`, `data/labelled/passages.jsonl` and
/// `data/labelled/code.jsonl`.
///
/// The packages are those that every build of the program has. The labelled passages and the tagged paragraphs are
/// drawn first, from doc comments. Then every doc comment or Markdown file in which one of them stands, in any copy,
/// is left out of the corpus, so that no pre-training sees it next to its heading, or with its backticks. What remains
/// of a file is a document; a package's documents are taken in the order of a digest of their id, passing over
/// those that do not fit its share. Nothing is cleaned and no duplicate removed.
///
/// Files that are already there with the same bytes are left alone, others are replaced.
///
/// # Errors
/// When most sources are missing under `cargo_home`, when one cannot be read or a file not be written, and
/// when `data/corpus` or `data/labelled` holds a `.jsonl` file that is not part of this sample.
pub fn write_sample(
    dir: &Path,
    cargo_home: &Path,
    size: SampleSize,
) -> Result<Summary, SampleError> {
    write_packages(dir, &registry::packages(cargo_home, LOCK, &WORKSPACE)?, size)
}

fn write_packages(
    dir: &Path,
    packages: &Packages,
    size: SampleSize,
) -> Result<Summary, SampleError> {
    let documentation =
        packages.found.iter().map(sources).collect::<Result<Vec<_>, SampleError>>()?;
    let passages = draw(candidates(packages, &documentation, passages_of), |_| size.passages());
    let paragraphs = draw(candidates(packages, &documentation, paragraphs_of), |has_code| {
        size.paragraphs(*has_code)
    });
    let labelled = LabelledTexts {
        passages: passages::all_letters(&passages),
        paragraphs: Copies::of(&paragraphs),
    };
    let mut summary = Summary {
        packages: packages.found.len(),
        missing: packages.missing.clone(),
        repaired: documentation.iter().flatten().filter(|source| source.repaired).count(),
        groups: passages.iter().map(|passage| &passage.group).collect::<BTreeSet<_>>().len(),
        paragraphs: paragraphs.len(),
        code_spans: paragraphs.iter().map(TaggedParagraph::num_code_spans).sum(),
        ..Summary::default()
    };
    for passage in &passages {
        *summary.passages.entry(passage.label).or_default() += 1;
    }
    let mut corpus = BTreeMap::new();
    for (package, sources) in packages.found.iter().zip(&documentation) {
        let documents = documents(&package.name, sources, &labelled, size, &mut summary);
        if !documents.is_empty() {
            corpus.insert(format!("{}.jsonl", package.release), json_lines(&documents));
        }
    }
    write_folder(&dir.join("data").join("corpus"), &corpus)?;
    let labelled = BTreeMap::from([
        ("passages.jsonl".to_owned(), json_lines(&passages)),
        ("code.jsonl".to_owned(), json_lines(&paragraphs)),
    ]);
    write_folder(&dir.join("data").join("labelled"), &labelled)?;
    Ok(summary)
}

/// What could be labelled in all doc comments. Markdown files give no rows: their headings follow no convention, and a
/// file is much to leave out of the corpus for one row.
fn candidates<R>(
    packages: &Packages,
    documentation: &[Vec<Source>],
    rows_of: fn(&Place<'_>, &str) -> Vec<R>,
) -> Vec<R> {
    let mut rows = Vec::new();
    for (package, sources) in packages.found.iter().zip(documentation) {
        for source in sources.iter().filter(|source| source.id.ends_with(".rs")) {
            for comment in &source.comments {
                let place = Place {
                    source: &source.id,
                    line: comment.line,
                    repository: &package.repository,
                };
                rows.extend(rows_of(&place, &comment.text));
            }
        }
    }
    rows
}

/// Where a doc comment stands.
struct Place<'a> {
    /// The id of its file.
    source: &'a str,
    /// Its first line there, counted from one.
    line: usize,
    /// The repository of its package.
    repository: &'a str,
}

impl Place<'_> {
    /// Names line `line` of the comment, counted from zero.
    fn id(&self, line: usize) -> String {
        format!("{}#{}", self.source, self.line + line)
    }
}

fn passages_of(place: &Place<'_>, markdown: &str) -> Vec<Passage> {
    let passages = sections(markdown).into_iter().map(|prose| Passage {
        id: place.id(prose.line),
        text: prose.text,
        label: prose.section,
        group: place.repository.to_owned(),
    });
    passages.collect()
}

fn paragraphs_of(place: &Place<'_>, markdown: &str) -> Vec<TaggedParagraph> {
    let paragraphs = tagged::candidates(markdown).into_iter().map(|words| TaggedParagraph {
        id: place.id(words.line),
        tokens: words.tokens,
        tags: words.tags,
        group: place.repository.to_owned(),
    });
    paragraphs.collect()
}

/// Everything that is labelled.
struct LabelledTexts {
    /// The [`letters`] of the passages.
    passages: BTreeSet<String>,
    paragraphs: Copies,
}

impl LabelledTexts {
    /// Whether something that is labelled stands in a Markdown text.
    fn stand_in(&self, markdown: &str) -> bool {
        sections(markdown).iter().any(|prose| self.passages.contains(&letters(&prose.text)))
            || self.paragraphs.stand_in(markdown)
    }
}

/// The documents of one package that fit its share, by path.
fn documents<'a>(
    package: &'a str,
    sources: &'a [Source],
    labelled: &LabelledTexts,
    size: SampleSize,
    summary: &mut Summary,
) -> Vec<Document<'a>> {
    let mut documents = Vec::new();
    for source in sources {
        let open: Vec<&str> = source
            .comments
            .iter()
            .filter(|comment| !labelled.stand_in(&comment.text))
            .map(|comment| comment.text.as_str())
            .collect();
        summary.held_out += source.comments.len() - open.len();
        if !open.is_empty() {
            documents.push(Document { id: &source.id, source: package, text: open.join("\n\n") });
        }
    }
    documents.sort_by_key(|document| *blake3::hash(document.id.as_bytes()).as_bytes());
    let (found, mut left) = (documents.len(), size.max_package_bytes());
    documents.retain(|document| {
        let fits = document.text.len() <= left;
        left -= if fits { document.text.len() } else { 0 };
        fits
    });
    documents.sort_by_key(|document| document.id);
    summary.documents += documents.len();
    summary.over_budget += found - documents.len();
    summary.bytes += documents.iter().map(|document| document.text.len()).sum::<usize>();
    documents
}

/// One JSON object a line.
fn json_lines<T: Serialize>(rows: &[T]) -> String {
    let line = |row| serde_json::to_string(row).expect("strings and names always serialize") + "\n";
    rows.iter().map(line).collect()
}

/// Makes `folder` hold exactly `files` as its `.jsonl` files.
fn write_folder(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), SampleError> {
    let failed = |source| SampleError::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| files.contains_key(name));
        if !ours && path.extension().is_some_and(|extension| extension == "jsonl") {
            return Err(SampleError::Foreign { path });
        }
    }
    files.iter().try_for_each(|(name, text)| {
        let path = folder.join(name);
        replace(&path, text.as_bytes()).map_err(|source| SampleError::Write { path, source })
    })
}

/// Writes `bytes` beside `path` and renames, unless they are there already.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let partial = path.with_added_extension("partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::{
        super::registry::{Package, tests::unpack},
        *,
    };

    const PROSE: &str = "one two three four five six seven eight";

    fn packages(home: &Path) -> Packages {
        let section = |title, last| {
            format!("/// Item.\n///\n/// # {title}\n/// {PROSE} {last}\nfn f() {{}}\n\n")
        };
        let library =
            section("Errors", "nine") + "/// Open to all.\nfn g() {}\n" + &section("Other", "ten");
        let copy = format!("About.\n\n## Errors\n\n{PROSE} NINE.\n");
        let one: &[(&str, &[u8])] =
            &[("src/lib.rs", library.as_bytes()), ("README.md", b"Read me. \xff")];
        let long = "long ".repeat(40_000);
        let two: &[(&str, &[u8])] = &[
            ("README.md", copy.as_bytes()),
            ("long.md", long.as_bytes()),
            ("short.md", b"Short."),
        ];
        let found = [("one", one), ("two", two)].map(|(name, files)| {
            let release = format!("{name}-1.0.0");
            unpack(home, "index", &release, "", files);
            let folder = home.join("registry/src/index").join(&release);
            Package { name: name.into(), release, folder, repository: "host/owner/all".into() }
        });
        Packages { found: found.into(), missing: vec!["gone-1.0.0".into()] }
    }

    fn read(dir: &Path, path: &str) -> String {
        fs::read_to_string(dir.join("data").join(path)).unwrap()
    }

    #[test]
    fn what_holds_a_labelled_passage_is_not_in_the_corpus() {
        let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let summary = write_packages(out.path(), &packages(home.path()), SampleSize::Full).unwrap();
        let expected = Summary {
            packages: 2,
            missing: vec!["gone-1.0.0".into()],
            documents: 3,
            bytes: 90,
            over_budget: 1,
            held_out: 2,
            repaired: 1,
            passages: BTreeMap::from([(Section::Errors, 1)]),
            groups: 1,
            ..Summary::default()
        };
        assert_eq!(summary, expected);
        assert_eq!(
            read(out.path(), "labelled/passages.jsonl"),
            format!(
                "{{\"id\":\"one-1.0.0/src/lib.rs#3\",\"text\":\"{PROSE} nine\",\"label\":\"errors\",\"group\":\"host/owner/all\"}}\n"
            )
        );
        let corpus = read(out.path(), "corpus/one-1.0.0.jsonl");
        assert!(
            corpus.starts_with(r#"{"id":"one-1.0.0/README.md","source":"one","text":"Read me. "#)
        );
        assert!(
            corpus.contains("Open to all.\\n\\nItem.") && !corpus.contains("# Errors"),
            "{corpus}"
        );
        assert_eq!(read(out.path(), "corpus/two-1.0.0.jsonl").lines().count(), 1);
    }

    #[test]
    fn what_holds_a_tagged_paragraph_is_not_in_the_corpus() {
        let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let code = format!("/// Item.\n///\n/// {PROSE} [`Vec<T>`].\nfn f() {{}}\n");
        let copy = format!("# Other\n\n{PROSE} `Vec<T>`!\n");
        let other = format!("{PROSE} Vec.\n\nA `b`.");
        let one: &[(&str, &[u8])] = &[("src/lib.rs", code.as_bytes())];
        let list = format!("- as said, {PROSE}\n  `Vec<T>`, and more");
        let two: &[(&str, &[u8])] = &[
            ("README.md", copy.as_bytes()),
            ("list.md", list.as_bytes()),
            ("other.md", other.as_bytes()),
        ];
        let found = [("one", one), ("two", two)].map(|(name, files)| {
            let release = format!("{name}-1.0.0");
            unpack(home.path(), "index", &release, "", files);
            let folder = home.path().join("registry/src/index").join(&release);
            Package { name: name.into(), release, folder, repository: "host/owner/all".into() }
        });
        let packages = Packages { found: found.into(), missing: Vec::new() };
        let summary = write_packages(out.path(), &packages, SampleSize::Full).unwrap();
        assert_eq!((summary.paragraphs, summary.code_spans, summary.held_out), (1, 1, 3));
        let row: serde_json::Value =
            serde_json::from_str(&read(out.path(), "labelled/code.jsonl")).unwrap();
        let tokens: Vec<_> = PROSE.split(' ').chain(["Vec", "<", "T", ">", "."]).collect();
        let mut tags = vec!["O"; 8];
        tags.extend(["B-CODE", "I-CODE", "I-CODE", "I-CODE", "O"]);
        let expected = serde_json::json!({
            "id": "one-1.0.0/src/lib.rs#3", "tokens": tokens, "tags": tags, "group": "host/owner/all",
        });
        assert_eq!(row, expected);
        assert!(!out.path().join("data/corpus/one-1.0.0.jsonl").exists());
        let corpus = read(out.path(), "corpus/two-1.0.0.jsonl");
        assert!(corpus.contains("other.md") && !corpus.contains("README.md"), "{corpus}");
    }

    #[test]
    fn the_bytes_do_not_depend_on_where_the_registry_is() {
        let written = ["a", "b"].map(|home| {
            let (parent, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let packages = packages(&parent.path().join(home));
            write_packages(out.path(), &packages, SampleSize::Small).unwrap();
            let files = [
                "labelled/passages.jsonl",
                "labelled/code.jsonl",
                "corpus/one-1.0.0.jsonl",
                "corpus/two-1.0.0.jsonl",
            ];
            files.map(|path| read(out.path(), path))
        });
        assert_eq!(written[0], written[1]);
    }

    #[test]
    fn a_second_writing_leaves_equal_files_alone_and_refuses_foreign_ones() {
        let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packages = packages(home.path());
        let write = || write_packages(out.path(), &packages, SampleSize::Full);
        let changed = || {
            fs::metadata(out.path().join("data/corpus/one-1.0.0.jsonl"))
                .unwrap()
                .modified()
                .unwrap()
        };
        write().unwrap();
        let before = changed();
        write().unwrap();
        assert_eq!(changed(), before);
        fs::write(out.path().join("data/corpus/mine.jsonl"), "").unwrap();
        let error = write().unwrap_err();
        assert!(matches!(&error, SampleError::Foreign { path } if path.ends_with("mine.jsonl")));
    }

    #[test]
    fn an_unwritable_folder_is_named() {
        let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = out.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write_packages(&file, &packages(home.path()), SampleSize::Full).unwrap_err();
        assert!(matches!(error, SampleError::Write { .. }));
    }

    #[test]
    fn nothing_is_written_where_sources_are_missing() {
        let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let error = write_sample(out.path(), home.path(), SampleSize::Full).unwrap_err();
        assert!(matches!(error, SampleError::MissingSources { found: 0, .. }));
        assert!(!out.path().join("data").exists());
    }
}
