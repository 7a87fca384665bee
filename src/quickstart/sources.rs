//! The documentation inside a package: its Markdown files and the doc comments of its library.

use std::{fs, path::Path};

use super::{
    SampleError,
    registry::Package,
    rustdoc::{DocComment, doc_comments},
};

/// One file with documentation.
#[derive(Debug)]
pub struct Source {
    /// `NAME-VERSION/path`, with `/` between folders.
    pub id: String,
    /// Its doc comments; a Markdown file counts as one.
    pub comments: Vec<DocComment>,
    /// Whether it was not valid UTF-8: what could not be read became U+FFFD.
    pub repaired: bool,
}

/// The documentation of `package`: every `*.md`, and the doc comments of every `*.rs` below `src/`, by
/// path. Links are not followed.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn sources(package: &Package) -> Result<Vec<Source>, SampleError> {
    let mut paths = Vec::new();
    walk(&package.folder, "", &mut paths)?;
    paths.sort();
    let sources = paths.iter().map(|path| read(package, path));
    sources.filter(|source| source.as_ref().map_or(true, |s| !s.comments.is_empty())).collect()
}

/// Collects the paths below `folder` that hold documentation, relative to the package: `prefix` is the
/// path of `folder`, empty or ending in `/`.
fn walk(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<(), SampleError> {
    let failed = |source| SampleError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        // Names that are not UTF-8 have no place in an id; no published package has one.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), paths)?;
        } else if kind.is_file() && (is_markdown(&path) || is_library(&path)) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_markdown(path: &str) -> bool {
    path.to_lowercase().ends_with(".md")
}

fn is_library(path: &str) -> bool {
    path.starts_with("src/") && path.ends_with(".rs")
}

fn read(package: &Package, path: &str) -> Result<Source, SampleError> {
    let file = package.folder.join(path);
    let bytes = fs::read(&file).map_err(|source| SampleError::Read { path: file, source })?;
    let text = String::from_utf8_lossy(&bytes);
    let repaired = matches!(text, std::borrow::Cow::Owned(_));
    let comments = if is_library(path) {
        doc_comments(&text)
    } else {
        let text = text.into_owned();
        Vec::from_iter((!text.trim().is_empty()).then_some(DocComment { line: 1, text }))
    };
    Ok(Source { id: format!("{}/{path}", package.release), comments, repaired })
}

#[cfg(test)]
mod tests {
    use super::{super::registry::tests::unpack, *};

    fn found(files: &[(&str, &[u8])]) -> Vec<(String, Vec<String>, bool)> {
        let home = tempfile::tempdir().unwrap();
        unpack(home.path(), "index", "one-1.0.0", "", files);
        let folder = home.path().join("registry/src/index/one-1.0.0");
        let package = Package {
            name: "one".into(),
            release: "one-1.0.0".into(),
            folder,
            repository: "one".into(),
        };
        let rows = sources(&package).unwrap().into_iter();
        rows.map(|source| {
            let texts = source.comments.into_iter().map(|comment| comment.text).collect();
            (source.id, texts, source.repaired)
        })
        .collect()
    }

    #[test]
    fn markdown_anywhere_and_doc_comments_of_the_library_are_read_by_path() {
        let files: &[(&str, &[u8])] = &[
            ("src/a/b.rs", b"/// B\nfn b() {}"),
            ("src/a.rs", b"//! A\r\n/// item"),
            ("README.md", b"# One\r\n"),
            ("docs/Guide.MD", b"guide"),
            ("src/empty.rs", b"fn f() {}"),
            ("tests/t.rs", b"/// no"),
            ("LICENSE", b"no"),
            ("blank.md", b" \n"),
        ];
        let expected = [
            ("one-1.0.0/README.md", vec!["# One\r\n"]),
            ("one-1.0.0/docs/Guide.MD", vec!["guide"]),
            ("one-1.0.0/src/a.rs", vec!["A", "item"]),
            ("one-1.0.0/src/a/b.rs", vec!["B"]),
        ];
        let expected = expected.map(|(id, texts)| {
            (id.to_owned(), texts.into_iter().map(str::to_owned).collect(), false)
        });
        assert_eq!(found(files), expected);
    }

    #[test]
    fn invalid_utf8_is_repaired_and_said() {
        let rows = found(&[("README.md", b"caf\xe9"), ("src/lib.rs", b"/// \xff a")]);
        assert_eq!(rows[0].1, ["caf\u{fffd}"]);
        assert_eq!(rows[1].1, ["\u{fffd} a"]);
        assert!(rows.iter().all(|row| row.2));
    }
}
