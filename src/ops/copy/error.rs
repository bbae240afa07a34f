//! Why nothing, or nothing more, could be copied.

use std::path::PathBuf;

use crate::ops::read::ReadError;
use crate::store::StoreError;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Why nothing, or nothing more, could be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target store could not be read or written.
    #[error("cannot copy to `{place}`")]
    Target { place: String, source: Box<StoreError> },
    /// The system refuses to read the source, which may be intact.
    #[error(transparent)]
    Source(ReadError),
    /// The source's replicas diverged, or it is unknown whether they or the target did.
    #[error(transparent)]
    SourceDiverged(Box<StoreError>),
    /// The target is another store.
    #[error("`{place}` is not a copy of this store: its {field} is {found}, expected {expected}")]
    OtherStore {
        place: String,
        /// `store` or `job`.
        field: &'static str,
        expected: String,
        found: String,
    },
    /// The target is inside of a store.
    #[error("`{}` is in the store `{}`", .path.display(), .store.display())]
    InStore { path: PathBuf, store: PathBuf },
    #[error("`{}` is not a directory", .path.display())]
    NotADirectory { path: PathBuf },
    /// The target holds something else.
    #[error("`{place}` is neither a store nor empty: it holds `{name}`")]
    Taken {
        place: String,
        /// Something in the directory.
        name: String,
    },
    /// The source and the target diverged, or have different checkpoints with the same number.
    #[error("checkpoint {} differs in `{place}`: its manifest has SHA-256 {found}, expected {expected}", .sequence.0)]
    Diverged {
        sequence: Sequence,
        place: String,
        /// The SHA-256 of the manifest in the source.
        expected: Digest,
        /// The SHA-256 of the manifest in the target.
        found: Digest,
    },
}
