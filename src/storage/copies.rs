//! What a reader of a bucket takes from a [`Cache`].
//!
//! A copy with the SHA-256 that its reader expects is as good as the original. Any other copy is used only if a listing
//! of this process says that the server still has the version of which the copy was made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::storage::bucket::BucketStorage;
use crate::storage::bucket::tag::{Part, Tag};
use crate::storage::cache::{Cache, CacheKey};
use crate::storage::{Entry, StorageError};
use crate::values::digest::Digest;
use crate::values::lock::lock;
use crate::values::relpath::RelPath;

/// The largest part of a file that is kept without a name that proves it, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The copies of files of one bucket.
#[derive(Debug)]
pub(super) struct Copies {
    cache: Arc<Cache>,
    /// What the latest listing of each file said, by its path.
    listed: Mutex<HashMap<String, Tag>>,
}

impl Copies {
    pub(super) fn new(cache: Arc<Cache>) -> Copies {
        Copies { cache, listed: Mutex::default() }
    }

    /// Returns `part` of the file at `path`, if there is a copy of what was listed.
    /// Otherwise reads it. Fails as [`BucketStorage::get_tagged`] does.
    pub(super) fn get(
        &self,
        storage: &BucketStorage,
        path: &RelPath,
        part: Part,
        limit: u64,
    ) -> Result<Bytes, StorageError> {
        let fits = |tag: &&Tag| part.bytes(tag) <= limit.min(MAX_BYTES);
        let Some(listed) = lock(&self.listed).get(path.as_str()).filter(fits).cloned() else {
            return Ok(storage.get_tagged(path, part, limit)?.0);
        };
        let found = self.cache.get(key(storage, path, part, &listed));
        if let Some(bytes) = found.filter(|bytes| bytes.len() as u64 == part.bytes(&listed)) {
            return Ok(bytes);
        }
        let (bytes, tag) = storage.get_tagged(path, part, limit)?;
        if let Some(tag) = tag.filter(|tag| part.bytes(tag) == bytes.len() as u64) {
            self.cache.put(key(storage, path, part, &tag), &bytes);
        }
        Ok(bytes)
    }

    /// Returns whether there is a copy of the whole file at `path` as it was listed.
    pub(super) fn has(&self, storage: &BucketStorage, path: &RelPath) -> bool {
        let listed = lock(&self.listed).get(path.as_str()).cloned();
        listed.is_some_and(|tag| self.cache.has(key(storage, path, Part::Whole, &tag)))
    }

    /// Returns a copy with this SHA-256, and otherwise what `read` returns.
    pub(super) fn get_known(
        &self,
        sha256: Digest,
        limit: u64,
        read: impl FnOnce() -> Result<Bytes, StorageError>,
    ) -> Result<Bytes, StorageError> {
        let key = CacheKey::Content(sha256);
        if let Some(bytes) = self.cache.get(key).filter(|bytes| bytes.len() as u64 <= limit) {
            return Ok(bytes);
        }
        let bytes = read()?;
        if Digest::of(&bytes) == sha256 {
            self.cache.put(key, &bytes);
        }
        Ok(bytes)
    }

    /// Lists files as [`BucketStorage::list_tagged`] does, and notes their versions.
    pub(super) fn list(
        &self,
        storage: &BucketStorage,
        dir: Option<&RelPath>,
        is_deep: bool,
    ) -> Result<Vec<Entry>, StorageError> {
        let above = dir.map_or_else(String::new, |dir| format!("{dir}/"));
        let (mut entries, mut tags) = (Vec::new(), Vec::new());
        storage.list_tagged(dir, is_deep, &mut |entry, tag| {
            tags.extend(tag.map(|tag| (format!("{above}{}", entry.name), tag)));
            entries.push(entry);
        })?;
        let mut listed = lock(&self.listed);
        // What is not there any more has no copy.
        listed.retain(|path, _| path.strip_prefix(&above).is_none_or(|name| !is_deep && name.contains('/')));
        listed.extend(tags);
        Ok(entries)
    }
}

/// Returns what a copy of `part` of the version `tag` of the file at `path` is called.
fn key(storage: &BucketStorage, path: &RelPath, part: Part, tag: &Tag) -> CacheKey {
    let version = storage.version(path, tag);
    let name = match part {
        Part::Whole => format!("{version}\nwhole"),
        Part::End(bytes) => format!("{version}\nend {bytes}"),
    };
    CacheKey::Named(Digest::of(name.as_bytes()))
}
