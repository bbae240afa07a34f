//! A bucket as a [`Storage`]: its credentials are looked for with the first use.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::storage::bucket::tag::Part;
use crate::storage::bucket::{BucketStorage, BucketUrl};
use crate::storage::cache::Cache;
use crate::storage::copies::Copies;
use crate::storage::{Entry, Storage, StorageError, directories_of};
use crate::values::digest::Digest;
use crate::values::relpath::RelPath;

/// The names below a URL, as a storage.
#[derive(Debug)]
pub struct Bucket {
    url: BucketUrl,
    opened: OnceLock<Result<BucketStorage, StorageError>>,
    copies: Option<Copies>,
}

impl Bucket {
    /// Returns a storage for the names below `url`. Sends no request, and looks for no credentials yet.
    pub fn new(url: BucketUrl) -> Bucket {
        Bucket { url, opened: OnceLock::new(), copies: None }
    }

    /// Returns the same for a reader that takes from `cache` what it has, see `Copies`.
    pub fn with_cache(self, cache: &Arc<Cache>) -> Bucket {
        Bucket { copies: Some(Copies::new(Arc::clone(cache))), ..self }
    }

    /// Returns a storage with a client that exists.
    pub fn of(storage: BucketStorage) -> Bucket {
        Bucket { url: storage.url().clone(), opened: OnceLock::from(Ok(storage)), copies: None }
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
        match &self.copies {
            Some(copies) => copies.get(self.opened()?, path, Part::Whole, limit),
            None => self.opened()?.get(path, limit),
        }
    }

    fn is_at_hand(&self, path: &RelPath) -> bool {
        let Some(copies) = &self.copies else { return false };
        self.opened().is_ok_and(|storage| copies.has(storage, path))
    }

    fn get_known(&self, path: &RelPath, limit: u64, sha256: Digest) -> Result<Bytes, StorageError> {
        let read = || self.opened()?.get(path, limit);
        match &self.copies {
            Some(copies) => copies.get_known(sha256, limit, read),
            None => read(),
        }
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.opened()?.get_range(path, range)
    }

    fn get_end(&self, path: &RelPath, bytes: u64) -> Result<Bytes, StorageError> {
        match &self.copies {
            Some(copies) => copies.get(self.opened()?, path, Part::End(bytes), u64::MAX),
            None => self.opened()?.get_end(path, bytes),
        }
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

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.opened()?.replace(path, bytes)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let storage = self.opened()?;
        let Some(copies) = &self.copies else { return storage.list(dir) };
        let mut entries = copies.list(storage, dir, false)?;
        entries.sort_unstable();
        Ok(entries)
    }

    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        let storage = self.opened()?;
        if let Some(copies) = &self.copies {
            return copies.list(storage, Some(dir), true);
        }
        let mut files = Vec::new();
        storage.list_deep(Some(dir), &mut |entry| files.push(entry))?;
        Ok(files)
    }

    fn list_dirs_after(&self, dir: &RelPath, root: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
        let mut files = Vec::new();
        self.opened()?.list_after(dir, after, &mut |entry| files.push(entry))?;
        let mut directories = directories_of(files, root);
        // A server may ignore where a listing should start.
        directories.retain(|entry| entry.name.as_str() > after);
        Ok(directories)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.opened()?.delete(path)
    }

    fn delete_all(&self, paths: &[RelPath]) -> Result<(), StorageError> {
        self.opened()?.delete_all(paths)
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.opened()?.prove()
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn reopen(&self) {
        if let Some(Ok(storage)) = self.opened.get() {
            storage.distrust();
        }
    }
}
