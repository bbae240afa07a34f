//! Which directories need a flush before the names in them are durable.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::storage::durable::flush_opened;
use crate::storage::error::StorageError;
use crate::storage::local::directory::{DIRECTORY, open_beneath};
use crate::storage::local::root::{Root, ancestors};
use crate::values::lock::lock;

/// Creates and flushes directories, which are named relative to the root; the empty path is the root.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    directories: Mutex<Directories>,
    /// Held while directories are flushed, so that a second caller returns only when the first one is done.
    flushing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Directories {
    /// Those whose entries may not be on disk yet.
    touched: BTreeSet<String>,
    /// Those that this process has flushed at least once. An earlier process may have died between creating a directory
    /// and flushing its parent, so the first use of a directory flushes all directories that lead to it.
    flushed: BTreeSet<String>,
}

impl Flusher {
    fn directories(&self) -> MutexGuard<'_, Directories> {
        lock(&self.directories)
    }

    /// Records that the entries of `dir` need a flush, and so does `dir` itself if it has never had one.
    pub(super) fn touch(&self, dir: &str) {
        let mut directories = self.directories();
        for way in [""].into_iter().chain(ancestors(dir)) {
            if !directories.flushed.contains(way) {
                directories.touched.insert(way.to_owned());
            }
        }
        directories.touched.insert(dir.to_owned());
    }

    /// Opens the directory `dir` after creating what is missing of it.
    pub(super) fn make_dir(&self, root: &Root, action: &'static str, dir: &str) -> Result<OwnedFd, StorageError> {
        let opened: io::Result<OwnedFd> = root.open_or_make();
        let mut opened = opened.map_err(|source| root.failed_dir(action, "", source))?;
        if dir.is_empty() {
            return Ok(opened);
        }
        match open_beneath(opened.as_fd(), dir, DIRECTORY) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(|source| root.failed_dir(action, dir, source)),
        }
        for way in ancestors(dir).chain([dir]) {
            let (parent, name) = way.rsplit_once('/').unwrap_or(("", way));
            match rustix::fs::mkdirat(&opened, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => self.touch(parent),
                Err(Errno::EXIST) => {}
                Err(source) => return Err(root.failed_dir(action, way, source)),
            }
            opened = rustix::fs::openat(&opened, name, DIRECTORY, Mode::empty())
                .map_err(|source| root.failed_dir(action, way, source))?;
        }
        Ok(opened)
    }

    /// Flushes all directories that need it.
    pub(super) fn flush_all(&self, root: &Root) -> Result<(), StorageError> {
        let touched = self.directories().touched.clone();
        self.flush(root, touched)
    }

    /// Flushes the entries of `dir` and, if it has never been flushed, the directories that lead to it.
    pub(super) fn flush_now(&self, root: &Root, dir: &str) -> Result<(), StorageError> {
        self.touch(dir);
        self.flush(root, [""].into_iter().chain(ancestors(dir)).chain([dir]).map(str::to_owned))
    }

    /// Flushes those of `dirs` that need it.
    fn flush(&self, root: &Root, dirs: impl IntoIterator<Item = String>) -> Result<(), StorageError> {
        let _alone = lock(&self.flushing);
        for dir in dirs {
            // Removed before the flush: whatever is created meanwhile adds it again.
            if !self.directories().touched.remove(&dir) {
                continue;
            }
            let flushed = match root.open_dir("flush", &dir) {
                Ok(opened) => flush_opened(opened.as_fd()).map_err(|source| root.failed_dir("flush", &dir, source)),
                // Deleted since, which touched its parent.
                Err(StorageError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            let mut directories = self.directories();
            if let Err(error) = flushed {
                directories.touched.insert(dir);
                return Err(error);
            }
            directories.flushed.insert(dir);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::storage::Storage;
    use crate::storage::local::LocalStorage;
    use crate::values::relpath::RelPath;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn the_first_use_of_a_directory_flushes_all_that_lead_to_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let storage = LocalStorage::new(dir.path());
        storage.create(&path("a/b/one"), b"1").unwrap();
        let touched = || storage.flusher().directories().touched.iter().cloned().collect::<Vec<_>>();
        let is_flushed = |dir: &str| storage.flusher().directories().flushed.contains(dir);
        assert_eq!(touched(), ["", "a", "a/b"]);
        storage.sync().unwrap();
        assert!(touched().is_empty());
        storage.create(&path("a/b/two"), b"2").unwrap();
        assert_eq!(touched(), ["a/b"], "the others are known to be durable");
        storage.sync().unwrap();
        assert!(storage.create(&path("a/b/two"), b"2").unwrap_err().is_exists());
        assert_eq!(touched(), ["a/b"], "a caller that finds a name may rely on it after a sync");
        storage.create_dir(&path("c/d"), &[("x", b"x")]).unwrap();
        assert_eq!(touched(), ["a/b"], "a directory is durable on return");
        assert!(is_flushed("c"));
        storage.sync_dir(Some(&path("x"))).unwrap();
        storage.sync_dir(Some(&path("a"))).unwrap();
        assert!(is_flushed("a") && !storage.root().join("x").exists());
    }
}
