//! Checkpoints over one storage or several replicas: what is committed, and how more is.
//!
//! Reading takes no lock and writes nothing. What is returned has been verified against its SHA-256.

use std::iter;
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::format::layout::{ObjectName, STORE_FILE};
use crate::format::manifest::{Manifest, ManifestError, ObjectRef, StoreFile};
use crate::format::segment::TableError;
use crate::id::Sequence;
use crate::relpath::RelPath;
use crate::storage::{Storage, StorageError};
use crate::store::replica::Replica;

mod fetch;
pub mod history;
mod lock;
pub mod pins;
pub mod prune;
mod publish;
mod replica;
pub mod retention;

pub use lock::StoreLock;

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

/// What could not be done with a store.
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
        "object `{path}` is damaged: expected SHA-256 {expected} and {expected_bytes} bytes, found {}",
        describe(.found, .found_bytes)
    )]
    Damaged {
        /// The object.
        path: String,
        /// The SHA-256 that it should have.
        expected: Digest,
        /// The size that it should have.
        expected_bytes: u64,
        /// The SHA-256 that it has; nothing when it is too large, and was not read.
        found: Option<Digest>,
        /// The size that it has.
        found_bytes: u64,
    },
    /// The bytes of a manifest are not those that were committed.
    #[error("manifest `{path}` is damaged: expected SHA-256 {expected}, as `SHA256SUMS` says, found {found}")]
    ManifestDamaged {
        /// The manifest.
        path: String,
        /// The SHA-256 that it should have.
        expected: Digest,
        /// The SHA-256 that it has.
        found: Digest,
    },
    /// A checkpoint's `SHA256SUMS` does not end as it was written.
    #[error("`{path}` is damaged: expected `SHA-256  manifest.yaml` in its last line")]
    SumsDamaged {
        /// The list.
        path: String,
    },
    /// The index of a checkpoint has the bytes that its name promises, and these are no index.
    #[error("cannot read index `{object}`")]
    Index {
        /// The object.
        object: ObjectName,
        /// What is wrong with it.
        source: TableError,
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

impl StoreError {
    /// Tells whether the error is that a file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, StoreError::Storage(error) if error.is_not_found())
    }
}

impl Store {
    /// Opens the store that is at `replicas`, which must be one and the same.
    ///
    /// Fails with [`StoreError::NoStore`] for the first replica that has no `store.yaml`, with
    /// [`StoreError::Mismatch`] for one that is of another store.
    ///
    /// # Panics
    ///
    /// When `replicas` is empty.
    pub fn open(replicas: Vec<Arc<dyn Storage>>) -> Result<Store, StoreError> {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let files = each(&replicas, |replica| replica.store_file())?;
        let file = files[0].clone();
        for (other, storage) in files.iter().zip(&replicas).skip(1) {
            let replica = Replica::new(storage.as_ref());
            replica.check(&store_file(), "store", &file.store, &other.store)?;
            replica.check(&store_file(), "job", &file.job, &other.job)?;
        }
        Ok(Store { file, replicas })
    }

    /// Creates a store at `replicas`.
    ///
    /// Fails with [`StoreError::StoreExists`] where there is one, also when several create it at once: the first
    /// replica decides. A crash may leave the store in the first replicas only.
    ///
    /// # Panics
    ///
    /// When `replicas` is empty.
    pub fn create(replicas: Vec<Arc<dyn Storage>>, file: StoreFile) -> Result<Store, StoreError> {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let store = Store { file, replicas };
        for replica in store.replicas() {
            replica.check_no_store()?;
        }
        for replica in store.replicas() {
            replica.create_store(&store.file)?;
        }
        Ok(store)
    }

    /// Returns where the store is, for messages: the first replica's place.
    pub fn place(&self) -> String {
        self.replicas[0].place()
    }

    /// Returns the replica that decides who commits a number.
    fn first(&self) -> Replica<'_> {
        Replica::new(self.replicas[0].as_ref())
    }

    fn replicas(&self) -> impl Iterator<Item = Replica<'_>> {
        self.replicas.iter().map(|storage| Replica::new(storage.as_ref()))
    }
}

/// Does the same with every replica, at the same time when there are several, and returns the answers in their order
/// or the first error in it.
fn each<T: Send>(
    replicas: &[Arc<dyn Storage>],
    act: impl Fn(Replica<'_>) -> Result<T, StoreError> + Sync,
) -> Result<Vec<T>, StoreError> {
    let act = |storage: &Arc<dyn Storage>| act(Replica::new(storage.as_ref()));
    let [first, others @ ..] = replicas else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|storage| scope.spawn(|| act(storage))).collect();
        let first = act(first);
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        iter::once(first).chain(others).collect()
    })
}

/// Returns a time as it is written into a store.
fn in_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

fn store_file() -> RelPath {
    RelPath::new(STORE_FILE).expect("the name is plain")
}

/// Says what was found in the place of an object.
fn describe(found: &Option<Digest>, found_bytes: &u64) -> String {
    match found {
        Some(digest) => format!("{digest} and {found_bytes} bytes"),
        None => format!("{found_bytes} bytes"),
    }
}
