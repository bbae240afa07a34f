//! A bucket as a [`Storage`]: its credentials are looked for with the first use.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::storage::bucket::{BucketStorage, BucketUrl};
use crate::storage::{Entry, EntryKind, Storage, StorageError};
use crate::values::relpath::RelPath;

/// The names below a URL, as a storage.
#[derive(Debug)]
pub struct Bucket {
    url: BucketUrl,
    opened: OnceLock<Result<BucketStorage, StorageError>>,
}

impl Bucket {
    /// Returns a storage for the names below `url`. Sends no request, and looks for no credentials yet.
    pub fn new(url: BucketUrl) -> Bucket {
        Bucket { url, opened: OnceLock::new() }
    }

    /// Returns a storage with a client that exists.
    pub fn of(storage: BucketStorage) -> Bucket {
        Bucket { url: storage.url().clone(), opened: OnceLock::from(Ok(storage)) }
    }

    fn opened(&self) -> Result<&BucketStorage, StorageError> {
        let opened = self.opened.get_or_init(|| BucketStorage::new(self.url.clone()));
        opened.as_ref().map_err(StorageError::clone)
    }
}

impl Storage for Bucket {
    fn place(&self) -> String {
        self.url.to_string()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.opened()?.get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.opened()?.get_range(path, range)
    }

    fn get_end(&self, path: &RelPath, bytes: u64) -> Result<Bytes, StorageError> {
        self.opened()?.get_end(path, bytes)
    }

    fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        self.opened()?.scan(path, limit, visit)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.opened()?.size(path)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.opened()?.create(path, bytes)
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let opened = self.opened()?;
        let mut named = Vec::with_capacity(files.len());
        for (name, bytes) in files {
            let inside = path.join(name).ok().filter(|_| !name.contains('/'));
            let inside = inside.ok_or_else(|| StorageError::NotADirectory { path: format!("{}/{path}", self.url) })?;
            named.push((inside, bytes));
        }
        let Some(((root, bytes), rest)) = named.split_first() else { return Ok(()) };
        opened.create(root, bytes)?;
        rest.iter().try_for_each(|(path, bytes)| opened.replace(path, bytes))
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.opened()?.replace(path, bytes)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.opened()?.list(dir)
    }

    fn list_dirs(&self, dir: &RelPath, root: &str) -> Result<Vec<Entry>, StorageError> {
        let mut directories: Vec<Entry> = self
            .list_deep(dir)?
            .into_iter()
            .filter_map(|entry| {
                let name = entry.name.strip_suffix(root)?.strip_suffix('/').filter(|name| !name.contains('/'))?;
                Some(Entry { name: name.to_owned(), kind: EntryKind::Directory, ..entry })
            })
            .collect();
        directories.sort_unstable();
        Ok(directories)
    }

    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        let mut files = Vec::new();
        self.opened()?.list_deep(Some(dir), &mut |entry| files.push(entry))?;
        Ok(files)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.opened()?.delete(path)
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        for entry in self.list_deep(path)? {
            if let Ok(path) = path.join(&entry.name) {
                self.delete(&path)?;
            }
        }
        Ok(())
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.opened()?.probe().map(drop)
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
