//! Checkpoints over one storage or several replicas: what is committed, and how more is.
//!
//! Reading takes no lock and writes nothing. What is returned has been verified against its SHA-256.

use std::sync::Arc;

use bytes::Bytes;

use crate::digest::Digest;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{Manifest, ManifestError, ObjectRef, StoreFile};
use crate::id::Sequence;
use crate::storage::{LockGuard, Storage, StorageError};

/// The checkpoints of one job.
#[derive(Debug, Clone)]
pub struct Store {
    /// What `store.yaml` says.
    pub file: StoreFile,
    /// Where the checkpoints are, the first preferred; at least one.
    pub replicas: Vec<Arc<dyn Storage>>,
}

/// A manifest as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// What it says.
    pub manifest: Manifest,
    /// The SHA-256 of its bytes, which the next checkpoint names.
    pub sha256: Digest,
}

/// What became of the bytes that were put into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The object.
    pub object: ObjectRef,
    /// Whether it was not there before.
    pub new: bool,
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no `store.yaml`.
    #[error("`{place}` is no store: it has no `store.yaml`")]
    NoStore {
        /// Where it was looked for.
        place: String,
    },
    /// There is one already.
    #[error("`{place}` holds a store already")]
    StoreExists {
        /// Where.
        place: String,
    },
    /// A manifest or store file can not be used.
    #[error("cannot read `{path}`")]
    Manifest {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A file is there, and names itself as something else.
    #[error("`{path}` says {field} {found}, expected {expected}")]
    Mismatch {
        /// The file.
        path: String,
        /// Which field.
        field: &'static str,
        /// What it should say.
        expected: String,
        /// What it says.
        found: String,
    },
    /// There is no such checkpoint.
    #[error("`{place}` has no checkpoint {sequence}")]
    NoCheckpoint {
        /// The store.
        place: String,
        /// The number.
        sequence: Sequence,
    },
    /// The bytes of an object are not those that its name promises, in any replica.
    #[error(
        "object `{path}` is damaged: expected SHA-256 {expected} and {expected_bytes} bytes, found {found} and {found_bytes} bytes"
    )]
    Damaged {
        /// The object.
        path: String,
        /// The SHA-256 that it should have.
        expected: Digest,
        /// The size that it should have.
        expected_bytes: u64,
        /// The SHA-256 that it has.
        found: Digest,
        /// The size that it has.
        found_bytes: u64,
    },
    /// Another run committed this number first.
    #[error("checkpoint {sequence} was committed by somebody else")]
    NumberTaken {
        /// The number.
        sequence: Sequence,
    },
    /// Another run is writing to the store.
    #[error("`{place}` is in use by {holder}")]
    Busy {
        /// The store.
        place: String,
        /// Who, in its own words.
        holder: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Keeps other runs from writing to the store until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    /// The locks, one a replica that has locks.
    pub guards: Vec<Box<dyn LockGuard>>,
}

impl Store {
    /// Opens the store that is at `replicas`, which must be one and the same.
    pub fn open(replicas: Vec<Arc<dyn Storage>>) -> Result<Store, StoreError> {
        let _ = replicas;
        todo!()
    }

    /// Creates a store at `replicas`.
    ///
    /// Fails with [`StoreError::StoreExists`] where there is one, also when several create it at once.
    pub fn create(replicas: Vec<Arc<dyn Storage>>, file: StoreFile) -> Result<Store, StoreError> {
        let _ = (replicas, file);
        todo!()
    }

    /// Returns where the store is, for messages: the first replica's place.
    pub fn place(&self) -> String {
        self.replicas[0].place()
    }

    /// Returns the numbers of the committed checkpoints, ascending. What is no checkpoint directory is passed over.
    pub fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        todo!()
    }

    /// Reads the manifest of checkpoint `sequence` and checks that it is of this store and number.
    pub fn manifest(&self, sequence: Sequence) -> Result<Committed, StoreError> {
        let _ = sequence;
        todo!()
    }

    /// Returns the newest committed checkpoint, or nothing when there is none. One that can not be read is an error, never passed over.
    pub fn latest(&self) -> Result<Option<Committed>, StoreError> {
        todo!()
    }

    /// Returns the bytes of `object`, verified.
    pub fn object(&self, object: ObjectRef) -> Result<Bytes, StoreError> {
        let _ = object;
        todo!()
    }

    /// Puts `bytes` into every replica under their name. Bytes that are there already, and intact, are not written again.
    ///
    /// They are there for good only once [`Store::commit`] has returned.
    pub fn put(&self, bytes: &[u8], kind: ObjectKind) -> Result<Put, StoreError> {
        let _ = (bytes, kind);
        todo!()
    }

    /// Makes every object that was put last, so that [`Store::commit`] has only its own files left to flush.
    pub fn sync(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Commits a checkpoint: flushes what was put, then puts its directory in place in every replica.
    ///
    /// `objects` are all that the checkpoint needs: `SHA256SUMS` lists them, sorted by name, then the manifest. After a crash at any time the checkpoint is
    /// there whole or not at all. Fails with [`StoreError::NumberTaken`] when the number is not free.
    pub fn commit(&self, manifest: &Manifest, objects: &[ObjectName]) -> Result<Committed, StoreError> {
        let _ = (manifest, objects);
        todo!()
    }

    /// Takes the store for writing. `holder` says who and since when, for whoever comes next.
    pub fn lock(&self, holder: &str) -> Result<StoreLock, StoreError> {
        let _ = holder;
        todo!()
    }
}
