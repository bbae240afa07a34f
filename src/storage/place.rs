//! Where bytes are kept, by the name that a person gives: a directory, or a URL such as `s3://bucket/jobs/clicks`.

use std::path::Path;
use std::sync::Arc;

use crate::storage::Storage;
use crate::storage::cache::Cache;
use crate::storage::local::LocalStorage;
use crate::values::url::is_url;

/// Returns the storage at `path`, which need not exist. A URL that names no bucket, or that this build of ckpt cannot
/// reach, is an error of each use.
pub fn open(path: &Path) -> Arc<dyn Storage> {
    match path.to_str().filter(|_| is_url(path)) {
        None => Arc::new(LocalStorage::new(path)),
        Some(url) => open_url(url, None),
    }
}

/// Does the same for a reader who need not know whether a bucket still has what `cache` has of it. Sizes and listings
/// are those of the bucket.
pub fn open_cached(path: &Path, cache: &Arc<Cache>) -> Arc<dyn Storage> {
    match path.to_str().filter(|_| is_url(path)) {
        None => open(path),
        Some(url) => open_url(url, Some(cache)),
    }
}

#[cfg(feature = "s3")]
fn open_url(url: &str, cache: Option<&Arc<Cache>>) -> Arc<dyn Storage> {
    use crate::storage::bucket::BucketUrl;
    use crate::storage::remote::Bucket;
    use crate::storage::unusable::Unusable;

    match url.parse::<BucketUrl>() {
        Ok(url) => {
            let bucket = Bucket::new(url.clone());
            Arc::new(match cache {
                Some(cache) => bucket.with_cache(cache),
                None => bucket,
            })
        }
        Err(error) => Arc::new(Unusable::new(url, format!("{error}"))),
    }
}

#[cfg(not(feature = "s3"))]
fn open_url(url: &str, _cache: Option<&Arc<Cache>>) -> Arc<dyn Storage> {
    use crate::storage::unusable::Unusable;
    use crate::values::url::WITHOUT_S3;

    Arc::new(Unusable::new(url, format!("`{url}`: {WITHOUT_S3}")))
}
