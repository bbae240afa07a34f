//! Checkpoints over one storage or several replicas: what is committed, and how more is.
//!
//! Reading takes no lock and writes nothing. What is returned has been verified against its SHA-256, and comes from the
//! first replica that has it whole; where that is not the first of all, a [`StoreNote`] says so.

use std::iter;
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;

use crate::format::error::ManifestError;
use crate::format::error::TableError;
use crate::format::layout::ObjectName;
use crate::format::manifest::{Manifest, ObjectRef};
use crate::format::store_file::StoreFile;
use crate::storage::{Storage, StorageError};
use crate::store::health::Health;
use crate::store::replica::Replica;
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

mod catch_up;
mod fetch;
mod health;
mod lock;
mod open;
mod places;
pub mod prune;
mod publish;
pub mod records;
mod replica;

pub use catch_up::Lag;
pub use health::StoreNote;
pub use lock::StoreLock;
pub use open::Unavailable;
pub use publish::Created;

/// The checkpoints of one job.
#[derive(Debug, Clone)]
pub struct Store {
    /// What `store.yaml` says.
    pub file: StoreFile,
    /// Where the checkpoints are, the first preferred; at least one.
    pub replicas: Vec<Arc<dyn Storage>>,
    /// Where they should be as well, and can not be used.
    pub unavailable: Vec<Unavailable>,
    /// How many replicas a commit needs.
    min_copies: usize,
    /// The order in which replicas are committed to, the same for all who write: the first decides who gets a number.
    order: Vec<usize>,
    health: Arc<Health>,
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
    /// A place can not be used, for a reason that is told elsewhere as well.
    #[error("`{place}` can not be used")]
    Unusable {
        /// The place.
        place: String,
        /// What is wrong with it.
        source: Arc<StoreError>,
    },
    /// A place that was named as a replica is not one of this store.
    #[error("`{place}` is not a replica")]
    NotAReplica {
        /// The place.
        place: String,
        /// What is wrong with it.
        source: Arc<StoreError>,
    },
    /// There are checkpoints, but no `store.yaml`.
    #[error("`{place}` has checkpoints, but no `store.yaml`")]
    StoreFileGone {
        /// Where.
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
    /// Two replicas hold different checkpoints of one number.
    #[error("`{place}` and `{other}` have different checkpoints {}: they are not copies of each other", .sequence.0)]
    Diverged {
        /// The number.
        sequence: Sequence,
        /// One replica.
        place: String,
        /// The other.
        other: String,
    },
    /// Two of the places are one.
    #[error("`{place}` and `{other}` are the same directory")]
    SamePlace {
        /// The first of the two.
        other: String,
        /// The second.
        place: String,
    },
    /// Fewer replicas can be written to than the store asks for.
    #[error("only {copies} of {min_copies} copies can be made: replica `{place}`: {reason}")]
    TooFewCopies {
        /// A replica that can not be written to.
        place: String,
        /// Why.
        reason: String,
        /// How many can be.
        copies: usize,
        /// How many there must be.
        min_copies: usize,
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
    /// Makes a store of replicas that are known to be of it; all of them are needed for a commit.
    pub fn new(file: StoreFile, replicas: Vec<Arc<dyn Storage>>) -> Store {
        let (min_copies, order) = (replicas.len(), (0..replicas.len()).collect());
        Store { file, replicas, unavailable: Vec::new(), min_copies, order, health: Arc::default() }
    }

    /// Returns where the store is, for messages: the first replica's place.
    pub fn place(&self) -> String {
        self.replicas[0].place()
    }

    /// Returns what there was to tell since the last call: files that were read from another replica than the first,
    /// replicas that were lost or have caught up.
    pub fn take_notes(&self) -> Vec<StoreNote> {
        self.health.take_notes()
    }

    /// Returns the places that can not be written to, and why.
    pub fn lost(&self) -> Vec<(String, String)> {
        self.health.all_lost().into_iter().map(|(index, reason)| (self.replicas[index].place(), reason)).collect()
    }

    /// Returns the store in those of its replicas that are not lost now, for work that is done in all or not at all.
    pub fn without_lost(&self) -> Store {
        let replicas: Vec<Arc<dyn Storage>> =
            self.sound().into_iter().map(|index| self.replicas[index].clone()).collect();
        match replicas.is_empty() {
            true => self.clone(),
            false => {
                Store { min_copies: self.min_copies.min(replicas.len()), ..Store::new(self.file.clone(), replicas) }
            }
        }
    }

    fn replica(&self, index: usize) -> Replica<'_> {
        Replica::new(self.replicas[index].as_ref())
    }

    /// Returns the replicas that can be written to.
    fn sound(&self) -> Vec<usize> {
        let lost = self.health.all_lost();
        (0..self.replicas.len()).filter(|index| !lost.contains_key(index)).collect()
    }

    /// Returns all replicas in the order in which they are read: those that were lost come last.
    fn reading_order(&self) -> Vec<usize> {
        let lost = self.health.all_lost();
        let mut order: Vec<usize> = (0..self.replicas.len()).collect();
        order.sort_by_key(|index| lost.contains_key(index));
        order
    }

    /// Marks a replica as one that can not be written to until it has caught up.
    fn lose(&self, index: usize, error: &StoreError) {
        self.health.lose(index, self.replicas[index].place(), in_one_line(error));
    }

    /// Does the same with every replica that can be written to, and marks those as lost that fail.
    ///
    /// Fails when fewer are left than a commit needs; with the replica's own error when there is only one.
    fn on_sound<T: Send>(
        &self,
        act: impl Fn(Replica<'_>) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let sound = self.sound();
        let replicas: Vec<&Arc<dyn Storage>> = sound.iter().map(|&index| &self.replicas[index]).collect();
        let mut done = Vec::new();
        for (index, outcome) in sound.into_iter().zip(each(&replicas, act)) {
            match outcome {
                Ok(value) => done.push(value),
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        self.check_copies(done.len())?;
        Ok(done)
    }

    /// Fails when `copies` are too few, and names a replica that is not among them.
    fn check_copies(&self, copies: usize) -> Result<(), StoreError> {
        if copies >= self.min_copies {
            return Ok(());
        }
        let absent = self.unavailable.iter().map(|absent| (absent.storage.place(), in_one_line(&absent.error)));
        let lost = self.lost().into_iter().chain(absent).next();
        let (place, reason) = lost.unwrap_or_else(|| (self.place(), "there is no other".to_owned()));
        Err(StoreError::TooFewCopies { place, reason, copies, min_copies: self.min_copies })
    }
}

/// Does the same with every replica, at the same time when there are several, and returns the answers in their order.
fn each<T: Send>(
    replicas: &[&Arc<dyn Storage>],
    act: impl Fn(Replica<'_>) -> Result<T, StoreError> + Sync,
) -> Vec<Result<T, StoreError>> {
    let act = |storage: &Arc<dyn Storage>| act(Replica::new(storage.as_ref()));
    let [first, others @ ..] = replicas else { return Vec::new() };
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

/// Says what was found in the place of an object.
fn describe(found: &Option<Digest>, found_bytes: &u64) -> String {
    match found {
        Some(digest) => format!("{digest} and {found_bytes} bytes"),
        None => format!("{found_bytes} bytes"),
    }
}
