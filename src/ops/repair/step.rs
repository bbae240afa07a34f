//! One step of a repair.

use std::cmp::Reverse;

use bytes::Bytes;

use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::manifest::Manifest;
use crate::storage::{Storage, StorageError};
use crate::store::{Replica, StoreError};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// One file or checkpoint that is written.
#[derive(Debug, Clone)]
pub struct Step {
    /// The replica that is written to.
    pub place: String,
    /// The file, or the directory of a checkpoint, in it.
    pub path: RelPath,
    pub origin: Origin,
    /// The most bytes that are written.
    pub bytes: u64,
    pub(super) cure: Cure,
    pub(super) target: Replica,
}

/// Where a good file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This replica has it.
    Copy(String),
    /// It follows from the manifest and the index.
    Made,
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Cure {
    Object(ObjectName),
    /// A checkpoint with all its objects.
    Checkpoint {
        objects: Vec<ObjectName>,
        sums: Bytes,
        manifest: Bytes,
    },
    File(Bytes),
    /// An event of the history.
    Event {
        number: u64,
        bytes: Bytes,
        /// Checkpoints that the replica must have before the event: it says that they were brought back.
        back: Vec<Sequence>,
    },
}

impl Step {
    /// Returns its place in the order: a checkpoint becomes intact after its objects, a store after its checkpoints.
    /// Of the events, the newest comes first: a later prune may explain why a checkpoint is missing that was brought
    /// back before.
    pub(super) fn rank(&self) -> (u8, Reverse<u64>) {
        match self.cure {
            Cure::Object(_) => (0, Reverse(0)),
            Cure::Checkpoint { .. } => (1, Reverse(0)),
            Cure::Event { number, .. } => (2, Reverse(number)),
            Cure::File(_) if self.path.as_str() != layout::STORE_FILE => (2, Reverse(0)),
            Cure::File(_) => (3, Reverse(0)),
        }
    }

    /// Writes it, durably. Objects come from the first of `sources` that has a good copy.
    pub(super) fn apply(&self, sources: &[Replica]) -> Result<(), StoreError> {
        let target = self.target.storage().as_ref();
        match &self.cure {
            Cure::Object(object) => write_object(&self.target, *object, sources)?,
            Cure::File(bytes) => replace(&self.target, &self.path, bytes)?,
            Cure::Event { bytes, back, .. } => {
                // An earlier step may have failed to bring it back.
                let present = self.target.sequences()?;
                if let Some(&sequence) = back.iter().find(|sequence| present.binary_search(sequence).is_err()) {
                    return Err(StoreError::NoCheckpoint { place: self.place.clone(), sequence });
                }
                replace(&self.target, &self.path, bytes)?;
            }
            Cure::Checkpoint { objects, sums, manifest } => {
                for object in objects {
                    if self.target.intact_object(*object)?.is_none() {
                        write_object(&self.target, *object, sources)?;
                    }
                }
                target.sync()?;
                match target.create_dir(&self.path, &[(MANIFEST_FILE, manifest), (SUMS_FILE, sums)]) {
                    // A run was faster.
                    Err(StorageError::Exists { .. }) if has_manifest(target, &self.path, manifest) => {}
                    created => created?,
                }
            }
        }
        Ok(target.sync()?)
    }

    /// Tells whether the target has the right bytes already. Fails if it was not read.
    pub(super) fn is_done(&self) -> Result<bool, StorageError> {
        match &self.cure {
            Cure::File(bytes) | Cure::Event { bytes, .. } => {
                has_bytes(self.target.storage().as_ref(), &self.path, bytes)
            }
            Cure::Object(_) | Cure::Checkpoint { .. } => Ok(false),
        }
    }
}

/// Tells whether `manifest` is the manifest in the checkpoint directory at `path`.
fn has_manifest(storage: &dyn Storage, path: &RelPath, manifest: &Bytes) -> bool {
    let path = layout::file_in(path, MANIFEST_FILE);
    storage.get(&path, Manifest::MAX_BYTES).is_ok_and(|found| found == manifest)
}

/// Writes a good copy of `object` from the first of `sources` that has one.
fn write_object(target: &Replica, object: ObjectName, sources: &[Replica]) -> Result<(), StoreError> {
    let mut unread = None;
    for source in sources {
        match source.intact_object(object) {
            Ok(Some(bytes)) => return target.replace_damaged(object, &bytes).map(drop),
            Ok(None) => {}
            Err(error) => unread = Some(error),
        }
    }
    Err(unread.unwrap_or_else(|| StorageError::NotFound { path: object.path().to_string() }.into()))
}

/// Moves the file at `path` into `damaged/`, unless it is right, and writes `bytes` in its place.
fn replace(target: &Replica, path: &RelPath, bytes: &[u8]) -> Result<(), StoreError> {
    let storage = target.storage().as_ref();
    if has_bytes(storage, path, bytes)? {
        return Ok(());
    }
    let Some(file_system) = storage.file_system() else {
        target.keep_copy(path, |number| layout::damaged_file(path, number))?;
        return Ok(storage.replace(path, bytes)?);
    };
    Replica::set_aside(file_system, path, |number| layout::damaged_file(path, number))?;
    match storage.create(path, bytes) {
        // Another process was faster, with the same bytes.
        Err(StorageError::Exists { .. }) if has_bytes(storage, path, bytes)? => Ok(()),
        created => Ok(created?),
    }
}

fn has_bytes(storage: &dyn Storage, path: &RelPath, bytes: &[u8]) -> Result<bool, StorageError> {
    match storage.get(path, bytes.len() as u64) {
        Err(error) if error.is_inconclusive() => Err(error),
        found => Ok(found.is_ok_and(|found| found == bytes)),
    }
}
