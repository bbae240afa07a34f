//! A prefix of a bucket that speaks the API of S3.
//!
//! A bucket has no directories: a directory exists while a name below it does. Nothing is renamed, appended to or
//! locked; every write is one request, whole or without effect, and durable when it is answered.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ListResult, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload,
};

use crate::storage::bucket::client::{Client, wait};
use crate::storage::bucket::fault::{Fault, code, failed, fault};
use crate::storage::{Entry, EntryKind, StorageError};
use crate::values::relpath::RelPath;

mod client;
mod fault;
pub mod objects;
mod profile;
mod settings;
pub mod url;

pub use settings::Settings;
pub use url::{BucketUrl, BucketUrlError};

/// How long a create waits before it asks again what became of it.
const PAUSE: Duration = Duration::from_millis(100);

/// Keeps bytes under names in a bucket.
#[derive(Debug)]
pub struct BucketStorage {
    url: BucketUrl,
    client: Client,
}

impl BucketStorage {
    /// Returns a storage for the names below `url`, with the settings of this process's environment.
    pub fn new(url: BucketUrl) -> Result<BucketStorage, StorageError> {
        BucketStorage::with_settings(url, &Settings::from_env())
    }

    /// Returns a storage for the names below `url`, with credentials by the conventions of the cloud.
    pub fn with_settings(url: BucketUrl, settings: &Settings) -> Result<BucketStorage, StorageError> {
        let client = Client::new(&url, settings)?;
        Ok(BucketStorage { url, client })
    }

    /// Returns the address.
    pub fn place(&self) -> String {
        self.url.to_string()
    }

    fn key(&self, path: &RelPath) -> Path {
        Path::from(self.url.key(path))
    }

    fn shown(&self, path: &RelPath) -> String {
        format!("{}/{path}", self.url)
    }

    fn failed(&self, action: &'static str, path: &RelPath, source: object_store::Error) -> StorageError {
        failed(action, self.shown(path), source)
    }

    /// Returns all bytes at `path`, at most `limit`.
    pub fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        let read = wait(async {
            let answer = self.client.repeating.get(&self.key(path)).await?;
            match answer.meta.size {
                found if found > limit => Ok(Err(found)),
                _ => answer.bytes().await.map(Ok),
            }
        });
        match read.map_err(|error| self.failed("read", path, error))? {
            Ok(bytes) => Ok(bytes),
            Err(found) => Err(StorageError::TooLarge { path: self.shown(path), limit, found }),
        }
    }

    /// Returns the bytes in `range`, or fewer if the object ends before.
    pub fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return self.size(path).map(|_| Bytes::new());
        }
        let range = Some(GetRange::Bounded(range.start..range.end.min(i64::MAX as u64)));
        let options = GetOptions { range, ..GetOptions::default() };
        let read = wait(async { self.client.repeating.get_opts(&self.key(path), options).await?.bytes().await });
        match read {
            Err(error) if code(&error.to_string()) == Some("InvalidRange") => Ok(Bytes::new()),
            read => read.map_err(|error| self.failed("read", path, error)),
        }
    }

    /// Hands up to `limit` bytes at `path` to `visit`, one piece after another, and returns how many there were.
    pub fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        let failed = |error| self.failed("read", path, error);
        let answer = wait(self.client.repeating.get(&self.key(path))).map_err(failed)?;
        let expected = answer.meta.size.min(limit);
        let mut pieces = answer.into_stream();
        let mut at = 0;
        while at < expected {
            let Some(piece) = wait(pieces.next()) else { break };
            let piece = piece.map_err(failed)?;
            let wanted = usize::try_from(expected - at).unwrap_or(usize::MAX).min(piece.len());
            visit(&piece[..wanted]);
            at += wanted as u64;
        }
        Ok(at)
    }

    /// Returns the size of the object at `path` in bytes.
    pub fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        let meta = wait(self.client.repeating.head(&self.key(path)));
        meta.map(|meta| meta.size).map_err(|error| self.failed("read", path, error))
    }

    /// Creates `path` with `bytes` only if no such name exists.
    ///
    /// An answer that is lost, or says that the server failed, leaves open whether the object was created, and whether
    /// it still will be. So the object is read back: the same bytes are this call's own, provided that no other writer
    /// uses equal ones, and other bytes are another writer's. Fails with [`StorageError::Unsettled`] if that cannot be
    /// found out within a minute: then the object may appear at any later time.
    pub fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let payload = PutPayload::from(bytes.to_vec());
        let begun = Instant::now();
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let error = match wait(self.client.once.put_opts(&self.key(path), payload.clone(), options)) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if let Fault::Other(fault) = fault(&error)
                && fault.is_refusal()
            {
                return Err(self.failed("write", path, error));
            }
            match self.get(path, bytes.len() as u64) {
                Ok(found) if found == bytes => return Ok(()),
                Ok(_) | Err(StorageError::TooLarge { .. }) => {
                    return Err(StorageError::Exists { path: self.shown(path) });
                }
                Err(_) if begun.elapsed() > self.client.limits.patience => {
                    return Err(StorageError::Unsettled { path: self.shown(path), source: Arc::new(error) });
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Writes `bytes` to `path`, replacing the object of that name.
    pub fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let put = wait(self.client.repeating.put(&self.key(path), PutPayload::from(bytes.to_vec())));
        put.map(drop).map_err(|error| self.failed("write", path, error))
    }

    /// Returns the names directly below `dir`, or below the prefix, sorted.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let prefix = match (dir, &self.url.prefix) {
            (Some(dir), _) => Some(self.key(dir)),
            (None, Some(prefix)) => Some(Path::from(prefix.as_str())),
            (None, None) => None,
        };
        let listed = wait(self.client.repeating.list_with_delimiter(prefix.as_ref()));
        let ListResult { common_prefixes, objects, .. } = listed.map_err(|error| match dir {
            Some(dir) => self.failed("list", dir, error),
            None => failed("list", self.place(), error),
        })?;
        let directory = |path: Path| {
            let name = path.filename().unwrap_or_default().to_owned();
            Entry { name, kind: EntryKind::Directory, bytes: 0, modified_seconds: None }
        };
        let mut entries: Vec<Entry> = common_prefixes.into_iter().map(directory).collect();
        entries.extend(objects.into_iter().filter_map(entry));
        entries.sort_unstable();
        Ok(entries)
    }

    /// Deletes the object at `path`. One that does not exist is deleted already.
    pub fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        wait(self.client.repeating.delete(&self.key(path))).map_err(|error| self.failed("delete", path, error))
    }
}

fn entry(meta: ObjectMeta) -> Option<Entry> {
    let name = meta.location.filename()?.to_owned();
    Some(Entry {
        name,
        kind: EntryKind::File,
        bytes: meta.size,
        modified_seconds: Some(meta.last_modified.timestamp()),
    })
}
