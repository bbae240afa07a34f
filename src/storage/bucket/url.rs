//! Addresses of buckets, such as `s3://bucket/jobs/clicks`.

use std::fmt;
use std::str::FromStr;

use crate::values::relpath::RelPath;
use crate::values::url::is_bucket_name;

const SCHEME: &str = "s3://";

/// A bucket, and the prefix of the names in it that belong to one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketUrl {
    pub bucket: String,
    /// What the names begin with, without a slash at either end. Nothing stands for the whole bucket.
    pub prefix: Option<RelPath>,
}

/// A text looks like the address of a bucket, and is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketUrlError {
    /// A scheme that no storage knows. Only those of buckets are reported: `a:b` may be a file.
    #[error("`{url}`: ckpt reads and writes s3://BUCKET/PREFIX, not {scheme}://")]
    Scheme { url: String, scheme: String },
    #[error("`{url}` has no name of a bucket; expected s3://BUCKET/PREFIX")]
    NoBucket { url: String },
    /// 3 to 63 lower-case letters, digits, dots and hyphens; older buckets also have capitals and underscores.
    #[error("`{url}`: `{bucket}` cannot be the name of a bucket")]
    Bucket { url: String, bucket: String },
    #[error("`{url}`: the prefix must be names joined by single slashes, without `.`, `..` and backslashes")]
    Prefix { url: String },
}

impl BucketUrl {
    /// Returns the name in the bucket of `path`, which is relative to the prefix.
    pub fn key(&self, path: &RelPath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_string(),
        }
    }
}

impl FromStr for BucketUrl {
    type Err = BucketUrlError;

    fn from_str(url: &str) -> Result<BucketUrl, BucketUrlError> {
        let Some(rest) = url.strip_prefix(SCHEME) else {
            let scheme = url.split("://").next().unwrap_or_default().to_owned();
            return Err(BucketUrlError::Scheme { url: url.to_owned(), scheme });
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(BucketUrlError::NoBucket { url: url.to_owned() });
        }
        if !is_bucket_name(bucket) {
            return Err(BucketUrlError::Bucket { url: url.to_owned(), bucket: bucket.to_owned() });
        }
        let prefix = match prefix.strip_suffix('/').unwrap_or(prefix) {
            "" => None,
            prefix => Some(RelPath::new(prefix).map_err(|_| BucketUrlError::Prefix { url: url.to_owned() })?),
        };
        Ok(BucketUrl { bucket: bucket.to_owned(), prefix })
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.bucket)?;
        match &self.prefix {
            Some(prefix) => write!(f, "/{prefix}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_prefix() {
        let url: BucketUrl = "s3://data/jobs/clicks/".parse().unwrap();
        assert_eq!((url.bucket.as_str(), url.to_string().as_str()), ("data", "s3://data/jobs/clicks"));
        assert_eq!(url.key(&RelPath::new("store.yaml").unwrap()), "jobs/clicks/store.yaml");
        let whole: BucketUrl = "s3://data".parse().unwrap();
        assert_eq!(whole.key(&RelPath::new("store.yaml").unwrap()), "store.yaml");
    }

    #[test]
    fn what_only_looks_like_one_is_refused() {
        let wrong = ["s3://", "s3:///x", "s3://a b/x", "s3://ab/x", "s3://data//x", "s3://data/../x", "gs://data/x"];
        for url in wrong {
            assert!(url.parse::<BucketUrl>().is_err(), "{url}");
        }
    }
}
