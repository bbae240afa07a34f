//! Why an output file or a dead-letter file cannot be used.

use std::io;

use crate::shape::HavingError;
use crate::storage::StorageError;

/// Why an output file or a dead-letter file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write output `{path}`")]
    Write { path: String, source: io::Error },
    #[error("cannot write `{path}`")]
    DeadLetter { path: String, source: io::Error },
    /// Lines of a dead-letter file are missing.
    #[error("`{path}` has {found} bytes, but the checkpoint counts {expected}")]
    DeadLetterShort {
        path: String,
        /// The size in bytes that the checkpoint names.
        expected: u64,
        /// The size of the file in bytes.
        found: u64,
    },
    /// The path of a dead-letter file is taken by something else.
    #[error("refusing to overwrite `{path}`: not a dead-letter file")]
    DeadLetterTaken { path: String },
    /// A bucket did not do what it was asked to.
    #[error(transparent)]
    Bucket(#[from] StorageError),
    /// Another object has the name of an output.
    #[error("refusing to overwrite `{path}`: not the output of this checkpoint")]
    Taken { path: String },
    /// A committed checkpoint publishes an object that is neither staged nor in place.
    #[error("cannot publish `{path}`: `{staged}` is gone")]
    Gone { path: String, staged: String },
    #[error(transparent)]
    Having(#[from] HavingError),
    /// The job file names a place that cannot be opened.
    #[error("{reason}")]
    Place { reason: String },
}
