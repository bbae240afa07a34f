//! Why an object could not be read further.

use crate::storage::StorageError;

/// Why an object could not be read further. An [`io::Error`](std::io::Error) carries it through a decompressor.
#[cfg_attr(not(feature = "s3"), allow(dead_code))]
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectFault {
    #[error("the object was replaced")]
    Replaced,
    #[error(transparent)]
    Storage(StorageError),
}
