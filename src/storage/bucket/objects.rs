//! The objects of a bucket, whoever wrote them: listed, examined, and read in ranges.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use tokio::task::JoinHandle;

use crate::storage::bucket::client::{Client, wait};
use crate::storage::bucket::fault::failed;
use crate::storage::bucket::settings::Settings;
use crate::storage::bucket::url::BucketUrl;
use crate::storage::{BucketFault, StorageError};

/// How many objects are examined at once.
const HEADS: usize = 32;
/// How often a body may end early, one request after another, without a single byte.
const EMPTY_ANSWERS: u32 = 5;

/// A bucket whose objects are read and never written.
#[derive(Debug)]
pub struct Objects {
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

impl Objects {
    /// Returns the bucket of this name. All callers in the process share its connections and credentials.
    pub fn of(bucket: &str) -> Result<Arc<Objects>, StorageError> {
        static KNOWN: OnceLock<Mutex<HashMap<String, Arc<Objects>>>> = OnceLock::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(objects) = known.get(bucket) {
            return Ok(Arc::clone(objects));
        }
        let client = Client::new(&BucketUrl { bucket: bucket.to_owned(), prefix: None }, &Settings::from_env())?;
        let objects = Arc::new(Objects { bucket: bucket.to_owned(), client });
        known.insert(bucket.to_owned(), Arc::clone(&objects));
        Ok(objects)
    }

    /// Passes the objects whose names begin with `prefix` to `visit`, page by page. With `is_flat`, without those that
    /// have another `/` after the prefix.
    ///
    /// An object whose name ends in `/` comes without that slash and is empty: ask [`Objects::describe`] whether an
    /// object of the shorter name exists.
    pub fn list(&self, prefix: &str, is_flat: bool, mut visit: impl FnMut(ObjectEntry)) -> Result<(), StorageError> {
        let mut page_token: Option<String> = None;
        loop {
            let delimiter = is_flat.then(|| "/".into());
            let options =
                PaginatedListOptions { delimiter, page_token: page_token.clone(), ..PaginatedListOptions::default() };
            let from = Some(prefix).filter(|prefix| !prefix.is_empty());
            let page = wait(self.client.repeating.list_paginated(from, options));
            let page = page.map_err(|error| self.failed("list", prefix, error))?;
            page.result
                .objects
                .into_iter()
                .map(entry)
                .filter(|entry| entry.key.starts_with(prefix))
                .for_each(&mut visit);
            match page.page_token {
                None => return Ok(()),
                // It would never end.
                Some(token) if page_token.as_ref() == Some(&token) => {
                    let (path, fault) = (self.shown(prefix), BucketFault::Server);
                    return Err(StorageError::Bucket { action: "list", path, fault, source: None });
                }
                token => page_token = token,
            }
        }
    }

    /// Returns what the server says about each of `keys`; nothing for an object that does not exist.
    pub fn describe(&self, keys: &[String]) -> Result<Vec<Option<ObjectEntry>>, StorageError> {
        let describe = |key: &String| {
            let (key, path) = (key.clone(), path(key));
            async move { (key, self.client.repeating.head(&path).await) }
        };
        let requests: Vec<_> = keys.iter().map(describe).collect();
        let answers: Vec<_> = wait(futures_util::stream::iter(requests).buffered(HEADS).collect());
        let entry = |(key, answer): (String, Result<ObjectMeta, object_store::Error>)| match answer {
            Ok(meta) => Ok(Some(entry(meta))),
            Err(error) => match self.failed("read", &key, error) {
                StorageError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        };
        answers.into_iter().map(entry).collect()
    }

    /// Starts to read `range`, which is in the object `key` with this `etag`.
    pub fn fetch(self: &Arc<Self>, key: &str, etag: &str, range: Range<u64>) -> Fetch {
        let (objects, key, etag) = (Arc::clone(self), key.to_owned(), etag.to_owned());
        Fetch(wait(async { tokio::spawn(async move { objects.read(&key, &etag, range).await }) }))
    }

    /// Reads `range` whole. What a body leaves out is asked for again, from where it stopped.
    async fn read(&self, key: &str, etag: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut read = BytesMut::with_capacity(length);
        let mut empty_answers = 0;
        while read.len() < length {
            let before = read.len();
            let (start, end) = (range.start + before as u64, range.end);
            let options = GetOptions {
                // Without quotes it would be another tag.
                if_match: Some(if etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }),
                range: Some(GetRange::Bounded(start..end)),
                ..GetOptions::default()
            };
            let answer = self.client.repeating.get_opts(&path(key), options).await;
            let answer = answer.map_err(|error| self.unread(key, error))?;
            // Not every server knows the condition.
            if answer.meta.e_tag.as_deref().map(unquoted) != Some(etag) {
                return Err(ReadError::Replaced);
            }
            let mut pieces = answer.into_stream();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|error| self.unread(key, error))?;
                read.extend_from_slice(&piece[..piece.len().min(length - read.len())]);
            }
            empty_answers = if read.len() == before { empty_answers + 1 } else { 0 };
            if empty_answers == EMPTY_ANSWERS {
                let (path, fault) = (self.shown(key), BucketFault::Interrupted);
                return Err(StorageError::Bucket { action: "read", path, fault, source: None }.into());
            }
        }
        Ok(read.freeze())
    }

    fn unread(&self, key: &str, error: object_store::Error) -> ReadError {
        if is_precondition(&error) { ReadError::Replaced } else { self.failed("read", key, error).into() }
    }

    fn failed(&self, action: &'static str, key: &str, error: object_store::Error) -> StorageError {
        match error {
            error @ object_store::Error::InvalidPath { .. } => {
                let (path, fault, source) = (self.shown(key), BucketFault::OddName, Some(Arc::new(error) as _));
                StorageError::Bucket { action, path, fault, source }
            }
            error => failed(action, self.shown(key), error),
        }
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

/// Returns whether a server found another object than the one that was asked for, even after it had answered.
fn is_precondition(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(object_store::Error::Precondition { .. })) {
            return true;
        }
        next = error.source();
    }
    false
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
