//! A prefix of a bucket that speaks the API of S3.
//!
//! A bucket has no directories: a directory exists while a name below it does. Nothing is renamed, appended to or
//! locked; every write is one request, whole or without effect, and durable when it is answered.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{GetRange, ObjectMeta, ObjectStoreExt as _};

use crate::storage::bucket::client::{Client, wait};
use crate::storage::bucket::fault::{Fault, cause, failed, fault};
use crate::storage::bucket::list::Depth;
use crate::storage::bucket::read::Pieces;
use crate::storage::bucket::tag::{Part, Tag};
use crate::storage::bucket::write::Created;
use crate::storage::{Entry, StorageError};
use crate::values::relpath::RelPath;

mod client;
mod credentials;
mod endpoint;
mod fault;
mod list;
pub mod objects;
mod probe;
mod profile;
mod ranges;
mod read;
pub mod reader;
mod settings;
pub mod tag;
mod tagged;
pub mod url;
mod waiting;
mod wire;
mod write;

pub use settings::Settings;
pub use url::{BucketUrl, BucketUrlError};
pub use waiting::{Waiting, on_waiting};

/// How many objects are deleted at once.
const DELETIONS_AT_ONCE: usize = 32;

/// Keeps bytes under names in a bucket.
#[derive(Debug, Clone)]
pub struct BucketStorage {
    url: BucketUrl,
    client: Arc<Client>,
}

impl BucketStorage {
    /// Returns a storage for the names below `url`, with the settings of this process's environment.
    pub fn new(url: BucketUrl) -> Result<BucketStorage, StorageError> {
        BucketStorage::with_settings(url, &Settings::from_env())
    }

    /// Returns a storage for the names below `url`, with credentials by the conventions of the cloud. Sends no request
    /// to the bucket.
    pub fn with_settings(url: BucketUrl, settings: &Settings) -> Result<BucketStorage, StorageError> {
        let client = Arc::new(Client::new(&url, settings)?);
        Ok(BucketStorage { url, client })
    }

    pub fn url(&self) -> &BucketUrl {
        &self.url
    }

    /// Returns the address.
    pub fn place(&self) -> String {
        self.url.to_string()
    }

    /// Returns the name in the bucket, exactly as it is in `path`.
    fn key(&self, path: &RelPath) -> Result<Path, StorageError> {
        Path::parse(self.url.key(path)).map_err(|error| self.failed("use", path, &error.into()))
    }

    fn shown(&self, path: &RelPath) -> String {
        format!("{}/{path}", self.url)
    }

    fn failed(&self, action: &'static str, path: &RelPath, error: &object_store::Error) -> StorageError {
        failed(action, self.shown(path), error)
    }

    /// Returns all bytes at `path`, at most `limit`.
    pub fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.get_tagged(path, Part::Whole, limit).map(|(bytes, _)| bytes)
    }

    /// Returns the bytes in `range`, or fewer if the object ends before.
    pub fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return self.size(path).map(|_| Bytes::new());
        }
        let key = self.key(path)?;
        let range = GetRange::Bounded(range.start..range.end.min(i64::MAX as u64));
        let read = wait(async { Pieces::open(&self.client, &key, Some(range)).await?.rest().await });
        match read {
            Err(error) if fault(&error) == Fault::PastEnd => Ok(Bytes::new()),
            read => read.map_err(|error| self.failed("read", path, &error)),
        }
    }

    /// Returns the last `bytes` bytes, or all if there are fewer.
    pub fn get_end(&self, path: &RelPath, bytes: u64) -> Result<Bytes, StorageError> {
        self.get_tagged(path, Part::End(bytes), u64::MAX).map(|(bytes, _)| bytes)
    }

    /// Hands up to `limit` bytes at `path` to `visit`, one piece after another, and returns how many there were.
    pub fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        let key = self.key(path)?;
        let failed = |error| self.failed("read", path, &error);
        let mut pieces = wait(Pieces::open(&self.client, &key, None)).map_err(failed)?;
        let mut at = 0;
        while at < limit {
            let Some(piece) = wait(pieces.next()).map_err(failed)? else { break };
            let wanted = usize::try_from(limit - at).unwrap_or(usize::MAX).min(piece.len());
            visit(&piece[..wanted]);
            at += wanted as u64;
        }
        Ok(at)
    }

    /// Returns the size of the object at `path` in bytes.
    pub fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.meta(path).map(|meta| meta.size)
    }

    fn meta(&self, path: &RelPath) -> Result<ObjectMeta, StorageError> {
        let key = self.key(path)?;
        let meta = wait(async {
            match self.client.repeat(0, async |store| store.head(&key).await).await {
                // An answer without content does not say what is wrong, but the answer to a read does.
                Err(error) if matches!(fault(&error), Fault::Other(_)) => {
                    Pieces::open(&self.client, &key, Some(GetRange::Bounded(0..1))).await.map(|pieces| pieces.meta)
                }
                meta => meta,
            }
        });
        meta.map_err(|error| self.failed("read", path, &error))
    }

    /// Creates `path` with `bytes` only if no such name exists.
    ///
    /// An answer that is lost, or says that the server failed, leaves open whether the object was created. It is read
    /// back then: with equal bytes it counts as created by this call, so callers that must know put something random
    /// into them. Fails with [`StorageError::Unsettled`] if that cannot be found out; then it may also appear later.
    pub fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let key = self.key(path)?;
        match wait(write::create(&self.client, &key, &Bytes::copy_from_slice(bytes))) {
            Created::Ours => Ok(()),
            Created::Taken => Err(StorageError::Exists { path: self.shown(path) }),
            Created::Refused(error) => Err(self.failed("write", path, &error)),
            Created::Unknown(error) => Err(StorageError::Unsettled { path: self.shown(path), source: cause(&error) }),
        }
    }

    /// Writes `bytes` to `path`, replacing the object of that name.
    pub fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let key = self.key(path)?;
        let put = wait(write::replace(&self.client, &key, &Bytes::copy_from_slice(bytes)));
        put.map_err(|error| self.failed("write", path, &error))
    }

    /// Returns the names directly below `dir`, or below the prefix, sorted.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        self.visit(dir, None, Depth::One, &mut |entry, _| entries.push(entry))?;
        entries.sort_unstable();
        Ok(entries)
    }

    /// Hands every object below `dir`, or below the prefix, to `visit`, named by its path from there, in the order of
    /// the names.
    pub fn list_deep(&self, dir: Option<&RelPath>, visit: &mut dyn FnMut(Entry)) -> Result<(), StorageError> {
        self.visit(dir, None, Depth::All, &mut |entry, _| visit(entry))
    }

    /// Does the same for the objects whose names come after `after`, which is a path from `dir`. Names before it cost no
    /// requests.
    pub fn list_after(&self, dir: &RelPath, after: &str, visit: &mut dyn FnMut(Entry)) -> Result<(), StorageError> {
        self.visit(Some(dir), Some(after), Depth::All, &mut |entry, _| visit(entry))
    }

    fn visit(
        &self,
        dir: Option<&RelPath>,
        after: Option<&str>,
        depth: Depth,
        visit: &mut dyn FnMut(Entry, Option<Tag>),
    ) -> Result<(), StorageError> {
        let above = match (dir, &self.url.prefix) {
            (Some(dir), _) => format!("{}/", self.url.key(dir)),
            (None, Some(prefix)) => format!("{prefix}/"),
            (None, None) => String::new(),
        };
        let after = after.map(|after| format!("{above}{after}"));
        let listed = wait(list::list(&self.client, &above, after.as_deref(), depth, visit));
        listed.map_err(|error| match dir {
            Some(dir) => self.failed("list", dir, &error),
            None => failed("list", self.place(), &error),
        })
    }

    /// Deletes the object at `path`. One that does not exist is deleted already.
    pub fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        wait(self.delete_one(path))
    }

    /// Deletes the objects at `paths`, several at once: not every server has requests that delete several objects.
    pub fn delete_all(&self, paths: &[RelPath]) -> Result<(), StorageError> {
        let deletions = paths.iter().map(|path| self.delete_one(path));
        wait(stream::iter(deletions).buffer_unordered(DELETIONS_AT_ONCE).try_collect())
    }

    async fn delete_one(&self, path: &RelPath) -> Result<(), StorageError> {
        let key = self.key(path)?;
        match self.client.repeat(0, async |store| store.delete(&key).await).await {
            Err(error) if fault(&error) != Fault::Missing => Err(self.failed("delete", path, &error)),
            _ => Ok(()),
        }
    }
}
