//! Objects of any size: written in parts, copied on the server, and found by how their names begin.

use std::mem;
use std::ops::ControlFlow;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{MultipartId, ObjectStoreExt as _, PutPayload};

use crate::storage::StorageError;
use crate::storage::bucket::client::wait;
use crate::storage::bucket::list::{Depth, pages};
use crate::storage::bucket::read::Pieces;
use crate::storage::bucket::{BucketStorage, BucketUrl};
use crate::values::digest::{Digest, Hasher};
use crate::values::relpath::RelPath;

/// Servers take no more parts of one object.
const MAX_PARTS: usize = 10_000;

/// How many parts are sent at once. They are held in memory meanwhile.
const PARTS_AT_ONCE: usize = 2;

/// Objects up to this size are copied by the server, in one request. Servers copy 5 GiB at most, and have to be done
/// before the request times out.
const MAX_SERVER_COPY_BYTES: u64 = 1 << 30;

/// A server that copies sends no bytes over the network, but reads and writes them. For each of this many bytes, it gets
/// the time that the slowest connection takes to send one.
const COPIED_PER_SENT: u64 = 256;

impl BucketStorage {
    /// Returns a storage for the names below another prefix of the same bucket.
    pub fn at(&self, prefix: Option<RelPath>) -> BucketStorage {
        let url = BucketUrl { bucket: self.url.bucket.clone(), prefix };
        BucketStorage { url, client: self.client.clone() }
    }

    /// Returns the names of objects directly below the prefix that begin with `beginning`, sorted.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>, StorageError> {
        let mut names = Vec::new();
        self.visit_names(beginning, Depth::One, &mut |name| {
            names.push(name.to_owned());
            true
        })?;
        Ok(names)
    }

    /// Returns the first name below the prefix, at any depth, that `is_wanted`.
    pub fn first_name(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Option<String>, StorageError> {
        let mut found = None;
        self.visit_names("", Depth::All, &mut |name| {
            found = is_wanted(name).then(|| name.to_owned());
            found.is_none()
        })?;
        Ok(found)
    }

    /// Hands the names to `visit`, in their order, until it returns `false`.
    fn visit_names(
        &self,
        beginning: &str,
        depth: Depth,
        visit: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), StorageError> {
        let above = self.url.prefix.as_ref().map_or(String::new(), |prefix| format!("{prefix}/"));
        let prefix = format!("{above}{beginning}");
        let listed = wait(pages(&self.client, &prefix, None, depth, |page, _| {
            let mut names = page.objects.iter().filter_map(|meta| meta.location.as_ref().strip_prefix(&above));
            let is_over = names.any(|name| !name.is_empty() && !visit(name));
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }));
        listed.map_err(|error| super::failed("list", self.place(), &error))
    }

    /// Returns whether an object is at `path`. Fails if the bucket does not exist.
    pub fn exists(&self, path: &RelPath) -> Result<bool, StorageError> {
        // Unlike the answer to a question for the size, this one says whether the name or the bucket is missing.
        match self.get(path, 0) {
            Ok(_) | Err(StorageError::TooLarge { .. }) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the SHA-256 of the object at `path` if it has `bytes` bytes. Returns nothing if it does not exist or has
    /// another size.
    pub fn digest(&self, path: &RelPath, bytes: u64) -> Result<Option<Digest>, StorageError> {
        match self.size(path) {
            Ok(found) if found == bytes => {}
            Ok(_) | Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut hasher = Hasher::new();
        match self.scan(path, bytes, &mut |piece| hasher.update(piece)) {
            Ok(read) => Ok((read == bytes).then(|| hasher.finish())),
            // It was deleted meanwhile.
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies the object at `from`, which has `bytes` bytes, to `to`, and replaces the object of that name. `to` has the
    /// old bytes or the new ones at any time.
    pub fn copy(&self, from: &RelPath, to: &RelPath, bytes: u64) -> Result<(), StorageError> {
        if bytes > MAX_SERVER_COPY_BYTES {
            return self.rewrite(from, to, bytes);
        }
        let (source, target) = (self.key(from)?, self.key(to)?);
        let time = usize::try_from(bytes / COPIED_PER_SENT).unwrap_or(usize::MAX);
        let copied = wait(self.client.repeat(time, async |store| store.copy(&source, &target).await));
        // What is missing is the source.
        copied.map_err(|error| match self.failed("write", to, &error) {
            StorageError::NotFound { .. } => StorageError::NotFound { path: self.shown(from) },
            error => error,
        })
    }

    /// Does the same by reading and writing the bytes, for objects that the server does not copy.
    pub fn rewrite(&self, from: &RelPath, to: &RelPath, bytes: u64) -> Result<(), StorageError> {
        let source = self.key(from)?;
        let failed = |error| self.failed("read", from, &error);
        let mut pieces = wait(Pieces::open(&self.client, &source, None)).map_err(failed)?;
        let mut target = self.upload(to);
        while let Some(piece) = wait(pieces.next()).map_err(failed)? {
            target.write(&piece)?;
        }
        if target.bytes != bytes {
            return Err(StorageError::TooLarge { path: self.shown(from), limit: bytes, found: target.bytes });
        }
        target.finish()
    }

    /// Begins to write the object at `path`. It replaces the object of that name when it is finished, and has no effect
    /// before.
    pub fn upload(&self, path: &RelPath) -> Upload<'_> {
        Upload { storage: self, path: path.clone(), bytes: 0, buffer: Vec::new(), begun: None }
    }
}

/// An object while it is written. Small ones are sent whole, larger ones in parts. If it is dropped before it is
/// finished, its parts are deleted; if the process dies, only a rule of the bucket deletes them.
#[derive(Debug)]
pub struct Upload<'a> {
    storage: &'a BucketStorage,
    path: RelPath,
    bytes: u64,
    /// What is not sent yet.
    buffer: Vec<u8>,
    /// The upload in parts, with those that were sent.
    begun: Option<(MultipartId, Vec<PartId>)>,
}

impl Upload<'_> {
    /// Appends `bytes`.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        let most = self.storage.client.limits.part_bytes.saturating_mul(PARTS_AT_ONCE);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(most - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            self.bytes += now.len() as u64;
            bytes = later;
            if self.buffer.len() == most {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Sends what is in the buffer as parts. Only the last call may send a part that is not full.
    fn send(&mut self) -> Result<(), StorageError> {
        let storage = self.storage;
        let (client, size) = (&storage.client, storage.client.limits.part_bytes);
        let failed = |error| storage.failed("write", &self.path, &error);
        let key = storage.key(&self.path)?;
        let (id, mut sent) = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let begun = wait(client.repeat(0, async |store| store.create_multipart(&key).await));
                (begun.map_err(failed)?, Vec::new())
            }
        };
        let bytes = Bytes::from(mem::take(&mut self.buffer));
        let first = sent.len();
        let count = bytes.len().div_ceil(size);
        let parts = (0..count).map(|number| {
            let part = bytes.slice(number * size..bytes.len().min((number + 1) * size));
            let (key, id, number) = (&key, &id, first + number);
            async move {
                let payload = || PutPayload::from(part.clone());
                client.repeat(part.len(), async |store| store.put_part(key, id, number, payload()).await).await
            }
        });
        let answer = match first + count <= MAX_PARTS {
            true => wait(stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect::<Vec<PartId>>()).map_err(failed),
            false => {
                let (path, limit) = (storage.shown(&self.path), size as u64 * MAX_PARTS as u64);
                Err(StorageError::TooLarge { path, limit, found: self.bytes })
            }
        };
        let answer = answer.map(|parts| sent.extend(parts));
        self.begun = Some((id, sent));
        answer
    }

    /// Completes the object. It is durable on return.
    ///
    /// After an error, the object may be complete all the same: the answer may have been lost. Its bytes show that.
    pub fn finish(mut self) -> Result<(), StorageError> {
        let storage = self.storage;
        let key = storage.key(&self.path)?;
        let failed = |error| storage.failed("write", &self.path, &error);
        if self.begun.is_none() && self.buffer.len() <= storage.client.limits.part_bytes {
            let bytes = Bytes::from(mem::take(&mut self.buffer));
            let payload = || PutPayload::from(bytes.clone());
            let put = wait(storage.client.repeat(bytes.len(), async |store| store.put(&key, payload()).await));
            return put.map(drop).map_err(failed);
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        let Some((id, parts)) = &self.begun else { return Ok(()) };
        let complete =
            storage.client.repeat(0, async |store| store.complete_multipart(&key, id, parts.clone()).await.map(drop));
        wait(complete).map_err(|error| storage.failed("write", &self.path, &error))?;
        self.begun = None;
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let (Some((id, _)), Ok(key)) = (self.begun.take(), self.storage.key(&self.path)) {
            // What is left costs money, but harms nothing.
            let client = &self.storage.client;
            let _ = wait(client.once(0, client.store().abort_multipart(&key, &id)));
        }
    }
}
