//! Requests to a bucket, answered on the calling thread.

use std::env;
use std::future::Future;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use crate::storage::bucket::profile;
use crate::storage::bucket::url::BucketUrl;
use crate::storage::error::{BucketFault, StorageError};

/// How long one request may take, its answer included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request is repeated that failed in a way that may pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

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
}

impl Client {
    /// Returns a client for the bucket of `url`, with the credentials of the environment. Sends no request to the
    /// bucket.
    pub fn new(url: &BucketUrl) -> Result<Client, StorageError> {
        // Only one process-wide provider is possible; that it is set already is no fault.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |source| StorageError::Bucket {
            action: "reach",
            path: url.to_string(),
            fault: BucketFault::Configuration,
            source: Some(Arc::new(source)),
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&url.bucket)
            .with_client_options(options())
            .with_allow_http(allows_http(&endpoint().unwrap_or_default()));
        if !has_credentials(&builder) {
            match profile::keys() {
                Some(keys) => {
                    builder = builder.with_access_key_id(keys.id).with_secret_access_key(keys.secret);
                    if let Some(token) = keys.token {
                        builder = builder.with_token(token);
                    }
                }
                None if !metadata_answers() => {
                    let (path, fault) = (url.to_string(), BucketFault::NoCredentials);
                    return Err(StorageError::Bucket { action: "reach", path, fault, source: None });
                }
                None => {}
            }
        }
        let repeating = builder.clone().with_retry(repeating()).build().map_err(failed)?;
        let once = RetryConfig { max_retries: 0, ..repeating_never() };
        let once = builder.with_retry(once).build().map_err(failed)?;
        Ok(Client { repeating: Arc::new(repeating), once: Arc::new(once) })
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

fn options() -> ClientOptions {
    ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(allows_http(&endpoint().unwrap_or_default()))
}

fn repeating() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries: 10, retry_timeout: PATIENCE }
}

fn repeating_never() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

/// Returns the server that the environment names in place of the cloud's own.
fn endpoint() -> Option<String> {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].into_iter().find_map(|name| env::var(name).ok())
}

/// Returns whether requests to `endpoint` may travel unencrypted: to this machine, or where somebody asked for it.
fn allows_http(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "[::1]")
        || name.starts_with("127.")
        || env::var("AWS_ALLOW_HTTP").as_deref() == Ok("true")
}

/// Returns whether the environment leads to credentials other than those of the machine.
fn has_credentials(builder: &AmazonS3Builder) -> bool {
    let keys = [AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::SkipSignature];
    let names =
        ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    keys.iter().any(|key| builder.get_config_value(key).is_some_and(|value| !matches!(value.as_str(), "" | "false")))
        || names.iter().any(|name| env::var_os(name).is_some())
}

/// Returns whether this machine has a metadata service, which gives credentials to the roles of machines in the cloud.
fn metadata_answers() -> bool {
    if env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
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
            allows_http("http://127.0.0.1:5000") && allows_http("http://localhost") && allows_http("http://[::1]:9")
        );
        assert!(!allows_http("http://10.0.0.1:9000") && !allows_http("http://127.evil.example/"));
    }
}
