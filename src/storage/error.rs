//! What can go wrong at a path of a storage.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

/// What a file system says that finds its own structures corrupted.
#[cfg(target_os = "linux")]
const CORRUPTED: Errno = Errno::UCLEAN;
#[cfg(not(target_os = "linux"))]
const CORRUPTED: Errno = Errno::IO;

/// Why something at a path could not be done. Paths include the place.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Nothing has that name.
    #[error("`{path}` does not exist")]
    NotFound { path: String },
    /// The name is taken.
    #[error("`{path}` already exists")]
    Exists { path: String },
    /// It is not a regular file.
    #[error("`{path}` is not a regular file")]
    NotAFile { path: String },
    /// It, or something on the way to it, is not a directory; `path` names which.
    #[error("`{path}` is not a directory")]
    NotADirectory { path: String },
    /// It, or something on the way to it, is a symbolic link where a directory should be; `path` names which.
    #[error("`{path}` is a symbolic link, which ckpt does not follow")]
    Link { path: String },
    /// It is larger than the caller allows, in bytes.
    #[error("`{path}` has {found} bytes, expected at most {limit}")]
    TooLarge { path: String, limit: u64, found: u64 },
    /// The place itself existed before and no longer does.
    #[error("`{path}` is gone, or another directory is in its place")]
    Gone { path: String },
    /// The lock is taken; `holder` is how the other process describes itself.
    #[error("`{path}` is locked by {holder}")]
    Held { path: String, holder: String },
    /// The system refused. `action` is `read`, `write`, `flush`, `list`, `delete`, `rename` or `lock`.
    #[error("cannot {action} `{path}`")]
    Io { action: &'static str, path: String, source: io::Error },
    /// A bucket refused or did not answer. `action` is `reach`, `use`, `read`, `write`, `list` or `delete`.
    #[error("cannot {action} `{path}`: {fault}")]
    Bucket { action: &'static str, path: String, fault: BucketFault, source: Option<Arc<dyn Error + Send + Sync>> },
    /// A place that ckpt cannot use, whatever it holds. The reason names it.
    #[error("{reason}")]
    Unusable { path: String, reason: String },
    /// Whether a name in a bucket was created is not known, and cannot be found out now. It may appear at any time.
    #[error("it is not known whether `{path}` was written")]
    Unsettled { path: String, source: Arc<dyn Error + Send + Sync> },
}

/// Why a bucket did not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketFault {
    #[error("no credentials were found")]
    NoCredentials,
    #[error("the server does not accept the credentials")]
    WrongCredentials,
    #[error("the credentials have expired")]
    ExpiredToken,
    #[error("access denied")]
    Denied,
    #[error("the bucket does not exist")]
    NoBucket,
    #[error("the bucket is in another region")]
    WrongRegion,
    #[error("the clock of this machine and that of the server differ too much")]
    ClockSkew,
    #[error("the server asks for fewer requests")]
    Throttled,
    #[error("the server cannot be reached")]
    Unreachable,
    #[error("no encrypted connection to the server is possible")]
    Encryption,
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("the connection ended before the answer did")]
    Interrupted,
    #[error("the server failed")]
    Server,
    #[error("the server refuses the request")]
    Refused,
    #[error("the server does not know the request")]
    NotSupported,
    #[error("the server that answers does not speak the S3 API")]
    NotS3,
    /// Creating a name that exists succeeded.
    #[error("the server ignores conditions, so two writers could both commit")]
    IgnoresConditions,
    #[error("the object changed while it was read")]
    Changed,
    #[error("the object is archived")]
    Archived,
    #[error("no room is left in the bucket")]
    Full,
    /// A name that is empty, `.` or `..` between two slashes, or has control characters.
    #[error("a name in the bucket is not a path")]
    OddName,
    #[error("the configuration is wrong")]
    Configuration,
}

impl BucketFault {
    /// Returns whether the server refused the request for good: it had no effect and will have none.
    pub fn is_refusal(self) -> bool {
        !matches!(
            self,
            BucketFault::Throttled
                | BucketFault::Unreachable
                | BucketFault::TimedOut
                | BucketFault::Interrupted
                | BucketFault::Server
        )
    }
}

/// An error of the system is made again from its number, or from its kind and words.
impl Clone for StorageError {
    fn clone(&self) -> StorageError {
        let path = self.path().to_owned();
        match self {
            StorageError::NotFound { .. } => StorageError::NotFound { path },
            StorageError::Exists { .. } => StorageError::Exists { path },
            StorageError::NotAFile { .. } => StorageError::NotAFile { path },
            StorageError::NotADirectory { .. } => StorageError::NotADirectory { path },
            StorageError::Link { .. } => StorageError::Link { path },
            StorageError::TooLarge { limit, found, .. } => {
                StorageError::TooLarge { path, limit: *limit, found: *found }
            }
            StorageError::Gone { .. } => StorageError::Gone { path },
            StorageError::Held { holder, .. } => StorageError::Held { path, holder: holder.clone() },
            StorageError::Io { action, source, .. } => {
                let source = match source.raw_os_error() {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                StorageError::Io { action, path, source }
            }
            StorageError::Bucket { action, fault, source, .. } => {
                StorageError::Bucket { action, path, fault: *fault, source: source.clone() }
            }
            StorageError::Unusable { reason, .. } => StorageError::Unusable { path, reason: reason.clone() },
            StorageError::Unsettled { source, .. } => StorageError::Unsettled { path, source: source.clone() },
        }
    }
}

impl StorageError {
    /// Tells whether the place did not do what it was asked to, because the system or the bucket refused, or
    /// the place is gone.
    pub fn is_refusal(&self) -> bool {
        use StorageError::{Bucket, Gone, Io, Unsettled, Unusable};
        matches!(self, Io { .. } | Gone { .. } | Bucket { .. } | Unsettled { .. } | Unusable { .. })
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, StorageError::NotFound { .. })
    }

    pub fn is_exists(&self) -> bool {
        matches!(self, StorageError::Exists { .. })
    }

    /// Returns whether there is no room left.
    pub fn is_full(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            StorageError::Io { source, .. } => full(source.kind()),
            StorageError::Bucket { fault, .. } => *fault == BucketFault::Full,
            _ => false,
        }
    }

    /// Returns whether the error says nothing about what is at the path: the system did not read it, and may do so for
    /// another user, with more memory or open files, or once a disk is mounted again. Nobody may take it for damage.
    ///
    /// A disk that fails to return the bytes is damage: nobody will read them there.
    pub fn is_inconclusive(&self) -> bool {
        match self {
            StorageError::Gone { .. }
            | StorageError::Link { .. }
            | StorageError::Bucket { .. }
            | StorageError::Unusable { .. }
            | StorageError::Unsettled { .. } => true,
            StorageError::Io { source, .. } => !matches!(
                Errno::from_io_error(source),
                Some(Errno::IO | Errno::NODATA | Errno::BADMSG | Errno::ILSEQ | CORRUPTED)
            ),
            _ => false,
        }
    }

    /// Returns the path that the error is about.
    pub fn path(&self) -> &str {
        match self {
            StorageError::NotFound { path }
            | StorageError::Gone { path }
            | StorageError::Exists { path }
            | StorageError::NotAFile { path }
            | StorageError::NotADirectory { path }
            | StorageError::Link { path }
            | StorageError::TooLarge { path, .. }
            | StorageError::Held { path, .. }
            | StorageError::Bucket { path, .. }
            | StorageError::Unusable { path, .. }
            | StorageError::Unsettled { path, .. }
            | StorageError::Io { path, .. } => path,
        }
    }
}
