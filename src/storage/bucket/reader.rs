//! The objects of a bucket that other programs wrote: listed, examined, and read in ranges.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt as _};
use tokio::task::JoinHandle;

use crate::storage::StorageError;
use crate::storage::bucket::client::{Client, spawn, wait};
use crate::storage::bucket::fault::{Fault, failed, fault};
use crate::storage::bucket::list::{Depth, pages};
use crate::storage::bucket::read::Pieces;
use crate::storage::bucket::settings::Settings;
use crate::storage::bucket::url::BucketUrl;

/// How many objects are examined at once.
const HEADS: usize = 32;

/// A bucket whose objects are read and never written.
#[derive(Debug)]
pub struct BucketReader {
    bucket: String,
    client: Client,
}

/// An object as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Its name in the bucket.
    pub key: String,
    pub bytes: u64,
    /// Changes whenever the object is replaced; without quotes. Not every server has it.
    pub etag: Option<String>,
}

/// Why a range of an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Another object has its name.
    #[error("the object was replaced")]
    Replaced,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A range of an object that is being read in the background. Dropping it gives the read up.
#[derive(Debug)]
pub struct Fetch(JoinHandle<Result<Bytes, ReadError>>);

impl BucketReader {
    /// Returns the bucket of this name. All callers in the process share its connections and credentials.
    pub fn of(bucket: &str) -> Result<Arc<BucketReader>, StorageError> {
        static KNOWN: OnceLock<Mutex<HashMap<String, Arc<BucketReader>>>> = OnceLock::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(objects) = known.get(bucket) {
            return Ok(Arc::clone(objects));
        }
        let client = Client::new(&BucketUrl { bucket: bucket.to_owned(), prefix: None }, &Settings::from_env())?;
        let objects = Arc::new(BucketReader { bucket: bucket.to_owned(), client });
        known.insert(bucket.to_owned(), Arc::clone(&objects));
        Ok(objects)
    }

    /// Passes the objects whose names begin with `prefix` to `visit`, page by page. With `is_flat`, without those that
    /// have another `/` after the prefix.
    ///
    /// An object whose name ends in `/` comes without that slash and is empty: ask [`BucketReader::describe`] whether an
    /// object of the shorter name exists.
    pub fn list(&self, prefix: &str, is_flat: bool, mut visit: impl FnMut(ObjectEntry)) -> Result<(), StorageError> {
        let depth = if is_flat { Depth::One } else { Depth::All };
        let listed = wait(pages(&self.client, prefix, None, depth, |page, _| {
            let entries = page.objects.into_iter().map(entry);
            entries.filter(|entry| entry.key.starts_with(prefix)).for_each(&mut visit);
            ControlFlow::Continue(())
        }));
        listed.map_err(|error| failed("list", self.shown(prefix), &error))
    }

    /// Returns what the server says about each of `keys`; nothing for an object that does not exist.
    pub fn describe(&self, keys: &[String]) -> Result<Vec<Option<ObjectEntry>>, StorageError> {
        let describe = |key: String| async move {
            let path = path(&key);
            let answer = self.client.repeat(0, async |store| store.head(&path).await).await;
            (key, answer)
        };
        let requests: Vec<_> = keys.iter().cloned().map(describe).collect();
        let answers: Vec<_> = wait(futures_util::stream::iter(requests).buffered(HEADS).collect());
        let entry = |(key, answer): (String, object_store::Result<ObjectMeta>)| match answer {
            Ok(meta) => Ok(Some(entry(meta))),
            Err(error) if fault(&error) == Fault::Missing => Ok(None),
            Err(error) => Err(failed("read", self.shown(&key), &error)),
        };
        answers.into_iter().map(entry).collect()
    }

    /// Starts to read `range`, which is in the object `key` with this `etag` and not empty.
    pub fn fetch(self: &Arc<Self>, key: &str, etag: &str, range: Range<u64>) -> Fetch {
        let (objects, key, etag) = (Arc::clone(self), key.to_owned(), etag.to_owned());
        Fetch(spawn(async move { objects.read(&key, &etag, range).await }))
    }

    async fn read(&self, key: &str, etag: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        let failed = |error: object_store::Error| match fault(&error) {
            Fault::Taken => ReadError::Replaced,
            _ => failed("read", self.shown(key), &error).into(),
        };
        let options = GetOptions {
            // Without quotes it would be another tag.
            if_match: Some(if etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let path = path(key);
        let pieces = Pieces::open_with(&self.client, &path, options).await.map_err(failed)?;
        // Not every server knows the condition.
        if pieces.meta.e_tag.as_deref().map(unquoted) != Some(etag) {
            return Err(ReadError::Replaced);
        }
        pieces.rest().await.map_err(failed)
    }

    fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

impl Fetch {
    /// Waits for the bytes.
    pub fn wait(mut self) -> Result<Bytes, ReadError> {
        wait(&mut self.0).expect("reading does not panic")
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn entry(meta: ObjectMeta) -> ObjectEntry {
    let etag = meta.e_tag.as_deref().map(unquoted).filter(|etag| !etag.is_empty()).map(str::to_owned);
    ObjectEntry { key: meta.location.to_string(), bytes: meta.size, etag }
}

fn unquoted(etag: &str) -> &str {
    if etag.starts_with("W/") { etag } else { etag.trim_matches('"') }
}

/// Returns the name of an object as the client has it. A name that it refuses was refused before.
fn path(key: &str) -> Path {
    Path::parse(key).unwrap_or_else(|_| Path::from(key))
}
