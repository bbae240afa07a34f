//! Why a place did not do what it was asked to.

use std::io;

use crate::runner::output::error::OutputError;
use crate::storage::StorageError;

/// Why a place did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum PlaceError {
    File(io::Error),
    Bucket(StorageError),
    /// The staged file is gone, and what it should become is not there.
    #[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "only a bucket finds out"))]
    Gone(String),
}

impl PlaceError {
    /// Returns the error of the output file that is shown as `path`.
    pub(crate) fn at(self, path: String) -> OutputError {
        match self {
            PlaceError::File(source) => OutputError::Write { path, source },
            PlaceError::Bucket(source) => OutputError::Bucket(source),
            PlaceError::Gone(staged) => OutputError::Gone { path, staged },
        }
    }
}

impl From<io::Error> for PlaceError {
    fn from(error: io::Error) -> PlaceError {
        PlaceError::File(error)
    }
}

impl From<StorageError> for PlaceError {
    fn from(error: StorageError) -> PlaceError {
        PlaceError::Bucket(error)
    }
}
