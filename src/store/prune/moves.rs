//! How a checkpoint leaves a replica, and comes back.
//!
//! On a file system its directory is renamed, in one step. In object storage nothing is renamed: a pruned checkpoint has
//! a copy of its manifest in `pruned/`, which hides the one in `checkpoints/` until both are deleted. No name that may
//! be deleted is ever created again, so a process that was asleep can delete nothing that others rely on.

use crate::format::layout::{self, MANIFEST_FILE, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::Manifest;
use crate::storage::{FileSystem, Storage, StorageError, TEMPORARY_PREFIX};
use crate::store::replica::Replica;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// Moves a checkpoint to `pruned/`, or hides it there. One that does not exist was moved by a prune that was stopped.
pub(super) fn hide(replica: &Replica, sequence: Sequence) -> Result<(), StorageError> {
    let (from, to) = (layout::checkpoint_dir(sequence), layout::pruned_dir(sequence));
    match replica.storage().file_system() {
        Some(file_system) => rename_over(file_system, &from, &to),
        None => copy(replica, &from, &to),
    }
}

/// Makes a pruned checkpoint a checkpoint again.
pub(super) fn bring_back(replica: &Replica, sequence: Sequence) -> Result<(), StorageError> {
    let (from, to) = (layout::pruned_dir(sequence), layout::checkpoint_dir(sequence));
    let storage = replica.storage();
    let Some(file_system) = storage.file_system() else {
        copy(replica, &from, &to)?;
        return delete_root(storage.as_ref(), &from);
    };
    match file_system.rename(&from, &to) {
        Err(error) if error.is_not_found() => Ok(()),
        // A power failure left both names of the same checkpoint.
        Err(error) if error.is_exists() => storage.delete_dir(&from).and_then(|()| storage.sync()),
        renamed => renamed,
    }
}

/// Takes the directory of a checkpoint in `directory` out of use, for good.
pub(super) fn doom(replica: &Replica, directory: &str, sequence: Sequence) -> Result<(), StorageError> {
    let storage = replica.storage();
    let from = RelPath::new(format!("{directory}/{sequence}")).expect("the name is plain");
    let Some(file_system) = storage.file_system() else {
        // The one that readers look for first.
        delete_root(storage.as_ref(), &layout::checkpoint_dir(sequence))?;
        return delete_root(storage.as_ref(), &layout::pruned_dir(sequence));
    };
    doomed(replica, directory, sequence).map_or(Ok(()), |to| rename_over(file_system, &from, &to))
}

/// Returns where the rest of a checkpoint is that was taken out of use, which may be deleted at any time. In object
/// storage nothing is left.
pub(super) fn doomed(replica: &Replica, directory: &str, sequence: Sequence) -> Option<RelPath> {
    let name = format!("{directory}/{TEMPORARY_PREFIX}pruned-{sequence}");
    (!replica.is_remote()).then(|| RelPath::new(name).expect("the name is plain"))
}

pub(super) fn delete_directory(storage: &dyn Storage, directory: &RelPath) -> Result<(), StorageError> {
    match storage.delete_dir(directory) {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => deleted,
    }
}

/// Renames a directory, and replaces an older one of that name, which is of the same checkpoint. A missing directory
/// was renamed by a prune that was stopped.
fn rename_over(file_system: &dyn FileSystem, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
    match file_system.rename(from, to) {
        Err(StorageError::Exists { .. }) => {
            delete_directory(file_system, to)?;
            file_system.rename(from, to)
        }
        Err(error) if error.is_not_found() => Ok(()),
        renamed => renamed,
    }
}

/// Copies the files of a checkpoint from one directory to another that does not have them.
fn copy(replica: &Replica, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
    let manifest = match replica.get(&layout::file_in(from, MANIFEST_FILE), Manifest::MAX_BYTES) {
        Err(error) if error.is_not_found() => return Ok(()),
        read => read?,
    };
    let sums = match replica.get(&layout::file_in(from, SUMS_FILE), MAX_SUMS_BYTES) {
        Err(error) if error.is_not_found() => None,
        read => Some(read?),
    };
    let files: Vec<(&str, &[u8])> =
        [(MANIFEST_FILE, &manifest[..])].into_iter().chain(sums.iter().map(|sums| (SUMS_FILE, &sums[..]))).collect();
    match replica.storage().create_dir(to, &files) {
        Err(error) if error.is_exists() => Ok(()),
        created => created,
    }
}

/// Deletes the files of a checkpoint in object storage, the manifest first.
fn delete_root(storage: &dyn Storage, directory: &RelPath) -> Result<(), StorageError> {
    for name in [MANIFEST_FILE, SUMS_FILE] {
        match storage.delete(&layout::file_in(directory, name)) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
