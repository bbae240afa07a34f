//! Requests to a bucket, answered on the calling thread.

use std::error::Error;
use std::future::Future;
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use crate::storage::bucket::profile;
use crate::storage::bucket::settings::{Limits, Settings};
use crate::storage::bucket::url::BucketUrl;
use crate::storage::error::{BucketFault, StorageError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the metadata service of a machine may take to accept a connection, when nothing else names credentials.
const METADATA_PATIENCE: Duration = Duration::from_secs(1);
const METADATA_ADDRESS: &str = "169.254.169.254:80";

/// Two ways to one bucket.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Repeats requests that may be repeated: reads, listings, deletions, and writes that replace.
    pub repeating: Arc<AmazonS3>,
    /// Sends each request once: a repeated create could lose to itself.
    pub once: Arc<AmazonS3>,
    pub limits: Limits,
}

impl Client {
    /// Returns a client for the bucket of `url`, with the credentials of the environment. Sends no request to the
    /// bucket.
    pub fn new(url: &BucketUrl, settings: &Settings) -> Result<Client, StorageError> {
        // Only one process-wide provider is possible; that it is set already is no fault.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |source: object_store::Error| StorageError::Bucket {
            action: "reach",
            path: url.to_string(),
            fault: BucketFault::Configuration,
            source: Some(Arc::new(source)),
        };
        let limits = settings.limits().map_err(|name| StorageError::Bucket {
            action: "reach",
            path: url.to_string(),
            fault: BucketFault::Configuration,
            source: Some(Arc::from(
                Box::from(format!("`{name}` is neither a duration nor a size")) as Box<dyn Error + Send + Sync>
            )),
        })?;
        let mut builder = builder(settings)
            .with_bucket_name(&url.bucket)
            .with_client_options(options(settings, &limits))
            .with_allow_http(allows_http(settings));
        if !has_credentials(settings) {
            match profile::keys(settings) {
                Some(keys) => {
                    builder = builder.with_access_key_id(keys.id).with_secret_access_key(keys.secret);
                    if let Some(token) = keys.token {
                        builder = builder.with_token(token);
                    }
                }
                None if !metadata_answers(settings) => {
                    let (path, fault) = (url.to_string(), BucketFault::NoCredentials);
                    return Err(StorageError::Bucket { action: "reach", path, fault, source: None });
                }
                None => {}
            }
        }
        let repeating = builder.clone().with_retry(repeating(&limits)).build().map_err(failed)?;
        let once = RetryConfig { max_retries: 0, ..repeating_never() };
        let once = builder.with_retry(once).build().map_err(failed)?;
        Ok(Client { repeating: Arc::new(repeating), once: Arc::new(once), limits })
    }
}

/// Runs `future` to its end. The threads behind it serve all buckets of this process.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("bucket").enable_all();
        builder.build().expect("threads can be started")
    });
    runtime.block_on(future)
}

fn builder(settings: &Settings) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in settings.iter() {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

fn options(settings: &Settings, limits: &Limits) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(limits.timeout)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(allows_http(settings))
}

fn repeating(limits: &Limits) -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries: 10, retry_timeout: limits.patience }
}

fn repeating_never() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

/// Returns whether requests may travel unencrypted: to this machine, or where somebody asked for it.
fn allows_http(settings: &Settings) -> bool {
    let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let endpoint = names.into_iter().find_map(|name| settings.get(name)).unwrap_or_default();
    is_this_machine(endpoint) || settings.get("AWS_ALLOW_HTTP") == Some("true")
}

fn is_this_machine(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "[::1]") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Returns whether the environment leads to credentials other than those of the machine.
fn has_credentials(settings: &Settings) -> bool {
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    names.iter().any(|name| settings.get(name).is_some()) || settings.get("AWS_SKIP_SIGNATURE") == Some("true")
}

/// Returns whether this machine has a metadata service, which gives credentials to the roles of machines in the cloud.
fn metadata_answers(settings: &Settings) -> bool {
    if settings.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return false;
    }
    let address = METADATA_ADDRESS.to_socket_addrs().ok().and_then(|mut found| found.next());
    address.is_some_and(|address| TcpStream::connect_timeout(&address, METADATA_PATIENCE).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_encryption() {
        assert!(
            is_this_machine("http://127.0.0.1:5000")
                && is_this_machine("http://localhost")
                && is_this_machine("http://[::1]:9")
        );
        assert!(!is_this_machine("http://10.0.0.1:9000") && !is_this_machine("http://127.evil.example/"));
    }
}
