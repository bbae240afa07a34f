//! Requests to a bucket, answered on the calling thread.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::{Error, Result, RetryConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::storage::bucket::credentials::{self, Source};
use crate::storage::bucket::endpoint::Endpoint;
use crate::storage::bucket::fault::{Fault, fault, find, unusable};
use crate::storage::bucket::profile::{self, Profile};
use crate::storage::bucket::settings::{Limits, Settings};
use crate::storage::bucket::url::BucketUrl;
use crate::storage::bucket::waiting::Patience;
use crate::storage::bucket::wire::{Connector, Refusal};
use crate::storage::error::{BucketFault, StorageError};
use crate::values::lock::lock;

/// The slowest connection over which bytes are sent, in bytes per second.
const SLOWEST: u64 = 64 << 10;

/// Sends requests to one bucket.
#[derive(Debug)]
pub(super) struct Client {
    pool: Arc<Pool>,
    pub limits: Limits,
    place: String,
}

/// The connections to one bucket, and what is known about its server. All clients of a process that have the same
/// settings share them.
#[derive(Debug)]
struct Pool {
    /// Sends each request once: what is repeated, and when, is decided here.
    store: AmazonS3,
    limits: Limits,
    /// The address of the server, empty for the cloud's own.
    server: String,
    has_answered: AtomicBool,
    /// Whether the server has proven that it honors conditions.
    is_proven: AtomicBool,
}

impl Pool {
    /// Returns the pool for the bucket of `url`, which the first call makes.
    fn shared(url: &BucketUrl, settings: &Settings) -> std::result::Result<Arc<Pool>, StorageError> {
        static POOLS: Mutex<BTreeMap<(String, Settings), Arc<Pool>>> = Mutex::new(BTreeMap::new());
        let mut pools = lock(&POOLS);
        let key = (url.bucket.clone(), settings.clone());
        if let Some(pool) = pools.get(&key) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(Pool::new(url, settings)?);
        pools.insert(key, Arc::clone(&pool));
        Ok(pool)
    }

    fn new(url: &BucketUrl, settings: &Settings) -> std::result::Result<Pool, StorageError> {
        // Only one provider per process is possible, and it may be set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |fault, reason| unusable(url.to_string(), fault, reason);
        let misconfigured = |reason| wrong(BucketFault::Configuration, Some(reason));
        let limits = settings.limits().map_err(misconfigured)?;
        let endpoint = Endpoint::of(settings).map_err(misconfigured)?;
        let connector = Connector::new(settings, limits.timeout, &endpoint).map_err(misconfigured)?;
        let mut builder = AmazonS3Builder::new();
        for (name, value) in settings.iter() {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(region) = profile::region(settings) {
            builder = builder.with_region(region);
        }
        match credentials::find(settings) {
            Some(Source::Profile) => builder = builder.with_credentials(Profile::of(settings)),
            Some(Source::Environment | Source::Machine) => {}
            None => return Err(wrong(BucketFault::NoCredentials, None)),
        }
        let never = RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() };
        let builder = builder
            .with_bucket_name(&url.bucket)
            .with_http_connector(connector)
            .with_allow_http(endpoint.may_be_plain)
            .with_retry(never)
            // Not every server has requests that delete several objects.
            .with_disable_bulk_delete(true);
        let store = builder.build().map_err(|error| misconfigured(reason(&error)))?;
        let server = Endpoint::address(settings).unwrap_or_default().to_owned();
        Ok(Pool { store, limits, server, has_answered: AtomicBool::new(false), is_proven: AtomicBool::new(false) })
    }
}

impl Client {
    /// Returns a client for the bucket of `url`. Sends no request to the bucket.
    pub fn new(url: &BucketUrl, settings: &Settings) -> std::result::Result<Client, StorageError> {
        let pool = Pool::shared(url, settings)?;
        Ok(Client { limits: pool.limits, pool, place: url.to_string() })
    }

    /// Returns the address of the server, which is empty for the cloud's own.
    pub fn server(&self) -> &str {
        &self.pool.server
    }

    /// Returns whether the server has proven to this process that it honors conditions.
    pub fn is_proven(&self) -> bool {
        self.pool.is_proven.load(Ordering::Relaxed)
    }

    pub fn set_proven(&self, is_proven: bool) {
        self.pool.is_proven.store(is_proven, Ordering::Relaxed);
    }

    /// Sends a request with `bytes` of content, and repeats it as long as that may help.
    pub async fn repeat<T>(&self, bytes: usize, request: impl AsyncFn(&AmazonS3) -> Result<T>) -> Result<T> {
        let mut patience = self.patience();
        loop {
            match self.once(bytes, request(self.store())).await {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// Waits for the answer to a request with `bytes` of content, up to the time that they take to send and the server
    /// to begin its answer.
    pub async fn once<T>(&self, bytes: usize, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let time = self.limits.timeout + Duration::from_secs(bytes as u64 / SLOWEST);
        let answer = tokio::time::timeout(time, answer).await.unwrap_or_else(|_| Err(timed_out()));
        if answer.as_ref().err().is_none_or(has_answered) {
            self.pool.has_answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    pub fn store(&self) -> &AmazonS3 {
        &self.pool.store
    }

    pub fn patience(&self) -> Patience<'_> {
        Patience::new(&self.place, self.limits.patience, &self.pool.has_answered)
    }
}

/// Runs `future` to its end.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

/// Runs `future` in the background.
pub(super) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    runtime().spawn(future)
}

/// Returns the threads that serve all buckets of this process.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("bucket").enable_all();
        builder.build().expect("threads can be started")
    })
}

/// Returns an error for a connection that ended before the answer did.
pub(super) fn interrupted() -> Error {
    broken(HttpErrorKind::Interrupted, "the answer is incomplete")
}

fn timed_out() -> Error {
    broken(HttpErrorKind::Timeout, "no answer in time")
}

fn broken(kind: HttpErrorKind, reason: &str) -> Error {
    let error = HttpError::new(kind, std::io::Error::other(reason.to_owned()));
    Error::Generic { store: "S3", source: Box::new(error) }
}

fn has_answered(error: &Error) -> bool {
    find::<Refusal>(error).is_some() || !matches!(fault(error), Fault::Other(_))
}

/// Returns what the library says about settings, without the name that it gives itself.
fn reason(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
