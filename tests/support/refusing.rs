//! A storage that can be read, and refuses every change.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use ckpt::storage::{Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// Wraps another storage.
#[derive(Debug, Clone)]
pub struct Refusing<S> {
    inner: S,
    kind: io::ErrorKind,
    /// Whether locks can be taken: the files exist, and only the directories are read-only.
    has_locks: bool,
}

impl<S: Storage> Refusing<S> {
    /// Wraps `inner`. Every change fails with `kind`.
    pub fn new(inner: S, kind: io::ErrorKind, has_locks: bool) -> Refusing<S> {
        Refusing { inner, kind, has_locks }
    }

    fn refuse<T>(&self, action: &'static str, path: &str) -> Result<T, StorageError> {
        Err(StorageError::Io { action, path: path.to_owned(), source: self.kind.into() })
    }
}

impl<S: Storage> Storage for Refusing<S> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.inner.get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.inner.get_range(path, range)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.inner.size(path)
    }

    fn create(&self, path: &RelPath, _: &[u8]) -> Result<(), StorageError> {
        self.refuse("write", path.as_str())
    }

    fn create_dir(&self, path: &RelPath, _: &[(&str, &[u8])]) -> Result<(), StorageError> {
        self.refuse("write", path.as_str())
    }

    fn replace(&self, path: &RelPath, _: &[u8]) -> Result<(), StorageError> {
        self.refuse("write", path.as_str())
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.inner.list(dir)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.refuse("delete", path.as_str())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        self.refuse("delete", path.as_str())
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl<S: Storage> FileSystem for Refusing<S> {
    fn rename(&self, from: &RelPath, _: &RelPath) -> Result<(), StorageError> {
        self.refuse("rename", from.as_str())
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        self.refuse("write", path.as_str())
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        if self.has_locks {
            self.inner.file_system().expect("a file system").lock(path, holder)
        } else {
            self.refuse("lock", path.as_str())
        }
    }
}
