//! Directories that stand under their names once they are whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, bail};

/// A directory that is being written: it gets its name once it is whole, and is removed if it never is.
pub struct WholeDir {
    /// Where it will stand.
    path: PathBuf,
    /// Where it stands until then.
    partial: PathBuf,
}

impl WholeDir {
    /// Refuses a name that something has already.
    pub fn require_free(path: &Path) -> anyhow::Result<()> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
            Ok(_) => bail!(
                "{}: found something there already, expected the name of a new directory",
                path.display()
            ),
        }
    }

    /// Begins a directory that will stand at `path`; those above it are made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        Self::require_free(path)?;
        let Some(name) = path.file_name() else {
            bail!("{}: it names no directory", path.display());
        };
        let beside = format!(".{}.{}.partial", name.to_string_lossy(), process::id());
        let partial = path.with_file_name(beside);
        let cannot = || format!("cannot create {}", partial.display());
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).with_context(cannot)?;
        }
        fs::create_dir(&partial).with_context(cannot)?;
        Ok(Self { path: path.to_owned(), partial })
    }

    /// Where its files are to be written.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name, once all its files are on disk. A directory that came to stand there meanwhile stays, unless it is
    /// empty.
    pub fn publish(self) -> anyhow::Result<()> {
        let named = || -> io::Result<()> {
            for entry in fs::read_dir(&self.partial)? {
                File::open(entry?.path())?.sync_all()?;
            }
            fs::rename(&self.partial, &self.path)
        };
        named().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for WholeDir {
    fn drop(&mut self) {
        // It is there no more where it was renamed; what else can go wrong leaves one whose name says what it is.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let names = fs::read_dir(dir).unwrap().map(name);
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_directory_stands_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let whole = WholeDir::create(&path).unwrap();
        fs::write(whole.partial().join("f"), "1").unwrap();
        assert!(!path.exists());
        whole.publish().unwrap();
        assert_eq!(
            (names(path.parent().unwrap()), names(&path)),
            (vec!["b".into()], vec!["f".into()])
        );
    }

    #[test]
    fn one_that_is_not_published_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let whole = WholeDir::create(&dir.path().join("a")).unwrap();
        fs::write(whole.partial().join("f"), "1").unwrap();
        drop(whole);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn what_stands_there_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let whole = WholeDir::create(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mine"), "1").unwrap();
        assert!(whole.publish().is_err());
        assert_eq!(names(dir.path()), ["a"]);
        assert!(WholeDir::create(&path).is_err() && WholeDir::create(&path.join("mine")).is_err());
    }
}
