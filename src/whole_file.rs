//! Files that stand under their names once they are whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A name for a file that is being written: the file gets it once it is whole, and is removed if it never is.
///
/// Links are followed, so that what they point to is replaced. What is no regular file, such as a FIFO or `/dev/null`, is
/// written straight.
pub struct WholeFile {
    /// Where it will stand.
    path: PathBuf,
    /// What it is called until then; `None` where it is written straight.
    partial: Option<PathBuf>,
}

/// Tells the files of one process apart.
static NUM_FILES: AtomicU64 = AtomicU64::new(0);

impl WholeFile {
    /// Begins a file that will stand at `path`; what stands there stays until [`Self::publish`].
    ///
    /// Its permissions are `mode` without what the process's mask takes away; `None` is those of the file that it replaces,
    /// and for a new one its owner's alone. Opening a FIFO waits until somebody reads it.
    ///
    /// # Errors
    /// When a file cannot be created beside `path`, or what stands there is not to be written.
    pub fn create(path: &Path, mode: Option<u32>) -> io::Result<(Self, File)> {
        let replaced = match fs::metadata(path) {
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok((Self { path: path.to_owned(), partial: None }, file));
            }
            Ok(found) => Some(found.permissions().mode()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let path = followed(path);
        let (partial, file) = create_beside(&path, mode.or(replaced).unwrap_or(0o600))?;
        let whole = Self { path, partial: Some(partial) };
        if let (None, Some(kept)) = (mode, replaced) {
            // The process's mask has no say about a mode that stood there.
            file.set_permissions(Permissions::from_mode(kept))?;
        }
        Ok((whole, file))
    }

    /// Puts `file`, which must be the one that [`Self::create`] gave, under its name, once it is on disk.
    ///
    /// # Errors
    /// When it cannot be written or renamed. What stood there stays, and nothing is left beside it.
    pub fn publish(self, file: File) -> io::Result<()> {
        let Some(partial) = &self.partial else { return Ok(()) };
        file.sync_all()?;
        fs::rename(partial, &self.path)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // It is there no more where it was renamed; what else can go wrong leaves a file whose name says what it is.
            let _ = fs::remove_file(partial);
        }
    }
}

/// Creates a file beside `path`, under a name that no other has.
fn create_beside(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    };
    loop {
        let number = NUM_FILES.fetch_add(1, Ordering::Relaxed);
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{number}.partial", process::id()));
        let partial = path.with_file_name(beside);
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial) {
            // A process that was killed left it, which had the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((partial, opened?)),
        }
    }
}

/// Where the links at `path` end, of which the system has made sure that they do.
fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    while let Ok(target) = fs::read_link(&path) {
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, mode: Option<u32>, text: &str) {
        let (whole, mut file) = WholeFile::create(path, mode).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        whole.publish(file).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_is_not_published_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "before").unwrap();
        let (whole, mut file) = WholeFile::create(&path, None).unwrap();
        let (other, _) = WholeFile::create(&path, None).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(names(dir.path()).len(), 3);
        drop((whole, other));
        assert_eq!(names(dir.path()), ["a.csv"]);
        assert_eq!(fs::read(&path).unwrap(), b"before");
    }

    #[test]
    fn a_new_file_is_its_owners_and_one_that_is_replaced_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, None, "1");
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        write(&path, None, "2");
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o666, b"2".to_vec()));
        write(&path, Some(0o600), "3");
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"3".to_vec()));
    }

    #[test]
    fn links_stay_and_what_they_point_to_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("data/b", at("a")).unwrap();
        symlink("c", at("data/b")).unwrap();
        for text in ["new", "again"] {
            write(&at("a"), None, text);
            assert_eq!(fs::read_to_string(at("data/c")).unwrap(), text);
        }
        assert!(at("a").is_symlink() && at("data/b").is_symlink());
        assert_eq!(names(&at("data")), ["b", "c"]);
        symlink("loop", at("loop")).unwrap();
        assert!(WholeFile::create(&at("loop"), None).is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_written_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let read = std::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut text = String::new();
                File::open(fifo).unwrap().read_to_string(&mut text).map(|_| text)
            }
        });
        write(&fifo, Some(0o600), "through");
        assert_eq!(read.join().unwrap().unwrap(), "through");
        assert_eq!(names(dir.path()), ["fifo"]);
        write(Path::new("/dev/null"), Some(0o600), "gone");
        assert!(WholeFile::create(dir.path(), None).is_err());
        assert!(WholeFile::create(Path::new(""), None).is_err());
    }
}
