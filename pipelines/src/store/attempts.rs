//! Attempts: directories in which one process writes, and which nobody reads. A lock tells those under way from those whose
//! process was killed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Store;
use crate::error::{At, Result};

/// The file in an attempt's directory that its process holds a lock on. No output has this name.
const LOCK: &str = "%lock";

/// Where locks do not tell, an attempt whose directory nothing was added to for so long is one that was killed.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// A directory of one attempt at something; gone when dropped.
#[derive(Debug)]
pub struct Attempt {
    dir: PathBuf,
    /// Held until the process ends, however it ends.
    _lock: File,
}

impl Attempt {
    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        remove_attempt(&self.dir);
    }
}

impl Store {
    /// A new directory for one attempt, removed by [`Attempt`]'s drop. It is locked as long as its process lives.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn attempt(&self) -> Result<Attempt> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos());
            let dir =
                self.root.join("tmp").join(format!("{}-{nanos:x}-{count}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error).at("create", &dir),
            }
            let path = dir.join(LOCK);
            let lock = match File::create(&path) {
                Ok(lock) => lock,
                // A run that sweeps at this very moment takes the directory away; then another is made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).at("create", &path),
            };
            // Where there are no locks, age alone tells what was abandoned.
            if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) && path.exists() {
                return Ok(Attempt { dir, _lock: lock });
            }
        }
    }

    /// Removes what killed attempts left behind.
    ///
    /// # Errors
    /// When the directory of attempts cannot be read.
    pub fn sweep(&self) -> Result<()> {
        let tmp = self.root.join("tmp");
        for entry in fs::read_dir(&tmp).at("read", &tmp)?.flatten() {
            let dir = entry.path();
            match File::open(dir.join(LOCK)) {
                // The lock is held until all is gone, so that nobody takes the directory for theirs meanwhile.
                Ok(lock) if lock.try_lock().is_ok() || is_old(&dir) => remove_attempt(&dir),
                Ok(_) => {}
                Err(_) if is_old(&dir) => remove_attempt(&dir),
                // Killed before it had its lock. If it gets one now it is not empty any more, and stays.
                Err(_) => drop(fs::remove_dir(&dir)),
            }
        }
        Ok(())
    }
}

/// Whether nothing has happened to an attempt's directory for days.
fn is_old(dir: &Path) -> bool {
    let modified = fs::metadata(dir).and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age > ABANDONED)
}

/// Removes an attempt's directory, its lock last: by that it is known if this ends early. What cannot be removed stays in
/// `tmp`, where nothing reads it; another run may remove it at the same time.
fn remove_attempt(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.ends_with(LOCK) {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
    let _ = fs::remove_dir_all(dir);
}

#[cfg(test)]
mod tests {
    use super::super::tests::store;
    use super::*;

    #[test]
    fn what_a_killed_attempt_left_is_swept_and_what_one_under_way_holds_is_not() {
        let (_dir, store) = store();
        let alive = store.attempt().unwrap();
        let killed = store.root().join("tmp").join("killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join(LOCK), b"").unwrap();
        fs::write(killed.join("half"), b"written").unwrap();
        store.sweep().unwrap();
        assert!(!killed.exists() && alive.dir().exists());
    }

    #[test]
    fn an_attempt_that_was_killed_before_it_had_its_lock_is_swept() {
        let (_dir, store) = store();
        let tmp = store.root().join("tmp");
        fs::create_dir(tmp.join("early")).unwrap();
        store.sweep().unwrap();
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    }
}
