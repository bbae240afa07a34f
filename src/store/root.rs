//! The root of a checkpoint: its manifest and the checksum list beside it, as one replica has them, damaged or not.
//!
//! Reading stops at damage, verifying reports it. Both go through [`Replica::read_root`], so that they cannot disagree.

use bytes::Bytes;

use crate::format::error::ManifestError;
use crate::format::layout::{self, MANIFEST_FILE, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::Manifest;
use crate::format::store_file::StoreFile;
use crate::storage::StorageError;
use crate::store::error::StoreError;
use crate::store::replica::Replica;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::relpath::RelPath;

/// A manifest as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub manifest: Manifest,
    /// The SHA-256 of its bytes, which the next checkpoint names.
    pub sha256: Digest,
}

/// What a replica has as the manifest of a checkpoint, and what `SHA256SUMS` says of it.
#[derive(Debug)]
pub struct RootRead {
    pub sequence: Sequence,
    pub manifest: ManifestRead,
    /// The SHA-256 of the manifest's bytes, whatever they are; nothing if they could not be read.
    pub sha256: Option<Digest>,
    /// The SHA-256 that the manifest should have.
    pub listed_sha256: Result<Digest, StoreError>,
}

/// What is in the place of a manifest.
#[derive(Debug)]
pub enum ManifestRead {
    /// The manifest of this store and number. Whether it is the committed one is up to its SHA-256.
    Sound(Box<Manifest>),
    /// There is no such file.
    Gone(StorageError),
    /// The storage cannot read the file, or refuses to.
    Unreadable(StorageError),
    /// The bytes are not a manifest.
    Malformed(ManifestError),
    /// A manifest of another store, job or number; at least one field.
    Misplaced(Vec<Misplaced>),
}

/// A field in which a manifest is not that of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    pub field: &'static str,
    pub expected: String,
    pub found: String,
}

/// The two files of a checkpoint as a replica has them.
#[derive(Debug)]
pub struct CheckpointFiles {
    pub root: RootRead,
    pub manifest: Option<Bytes>,
    /// All of `SHA256SUMS`.
    pub sums: Option<Bytes>,
    directory: RelPath,
}

impl RootRead {
    /// Returns the manifest if it can be read and is of this store and number.
    pub fn usable(&self) -> Option<&Manifest> {
        match &self.manifest {
            ManifestRead::Sound(manifest) => Some(manifest),
            _ => None,
        }
    }

    /// Returns the SHA-256 that `SHA256SUMS` has for the manifest, if it can be read.
    pub fn listed(&self) -> Option<Digest> {
        self.listed_sha256.as_ref().ok().copied()
    }

    /// Tells whether the manifest is usable and what `SHA256SUMS` says.
    pub fn is_consistent(&self) -> bool {
        self.usable().is_some() && self.listed().is_some() && self.listed() == self.sha256
    }

    /// Returns the checkpoint, or the first thing that is wrong with its files in `directory` of `replica`.
    fn committed(self, replica: &Replica, directory: &RelPath) -> Result<Committed, StoreError> {
        let path = layout::file_in(directory, MANIFEST_FILE);
        let Some(found) = self.sha256 else {
            return Err(match self.manifest {
                ManifestRead::Gone(error) => error.into(),
                ManifestRead::Unreadable(StorageError::TooLarge { limit, found, .. }) => {
                    replica.unreadable(&path, ManifestError::TooLarge { limit, found })
                }
                ManifestRead::Unreadable(error) => error.into(),
                _ => unreachable!("whatever was read has a digest"),
            });
        };
        let expected = self.listed_sha256?;
        if found != expected {
            return Err(StoreError::ManifestDamaged { path: replica.shown(&path), expected, found });
        }
        match self.manifest {
            ManifestRead::Sound(manifest) => Ok(Committed { manifest: *manifest, sha256: found }),
            other => Err(other.refused(replica, &path)),
        }
    }
}

impl ManifestRead {
    /// Reads `bytes` as the manifest of checkpoint `sequence` of the store that `file` describes.
    fn parse(file: &StoreFile, sequence: Sequence, bytes: &[u8]) -> ManifestRead {
        let manifest = match Manifest::from_yaml(bytes) {
            Ok(manifest) => manifest,
            Err(error) => return ManifestRead::Malformed(error),
        };
        let fields = [
            ("store", file.store.to_string(), manifest.store.to_string()),
            ("job", file.job.clone(), manifest.job.clone()),
            ("sequence", sequence.0.to_string(), manifest.sequence.0.to_string()),
        ];
        let wrong = fields.into_iter().filter(|(_, expected, found)| expected != found);
        let wrong: Vec<Misplaced> =
            wrong.map(|(field, expected, found)| Misplaced { field, expected, found }).collect();
        if wrong.is_empty() { ManifestRead::Sound(Box::new(manifest)) } else { ManifestRead::Misplaced(wrong) }
    }

    /// Returns the error of a manifest that was read, and that is not the right one.
    fn refused(self, replica: &Replica, path: &RelPath) -> StoreError {
        match self {
            ManifestRead::Gone(error) | ManifestRead::Unreadable(error) => error.into(),
            ManifestRead::Malformed(source) => replica.unreadable(path, source),
            ManifestRead::Misplaced(mut wrong) => {
                let Misplaced { field, expected, found } = wrong.swap_remove(0);
                StoreError::Mismatch { path: replica.shown(path), field, expected, found }
            }
            ManifestRead::Sound(_) => unreachable!("a sound manifest is not refused"),
        }
    }
}

impl CheckpointFiles {
    /// Returns the checkpoint and the bytes of its `SHA256SUMS`, none if it is not written yet, or the first thing that is wrong with its files.
    pub(super) fn whole(self, replica: &Replica) -> Result<(Committed, Bytes), StoreError> {
        let committed = self.root.committed(replica, &self.directory)?;
        Ok((committed, self.sums.unwrap_or_default()))
    }
}

impl Replica {
    /// Reads the manifest of checkpoint `sequence` of the store that `file` describes, and what `SHA256SUMS` says of
    /// it: only the end of that list, which may be long, is read.
    pub fn read_root(&self, file: &StoreFile, sequence: Sequence) -> RootRead {
        self.read_root_and_bytes(file, sequence).0
    }

    fn read_root_and_bytes(&self, file: &StoreFile, sequence: Sequence) -> (RootRead, Option<Bytes>) {
        let (bytes, listed) = self.with_manifest(&layout::manifest(sequence), || self.manifest_sum(sequence));
        self.root_of(file, sequence, bytes, listed)
    }

    /// Reads both files in `directory`, where checkpoint `sequence` of the store that `file` describes should be.
    pub fn read_files(&self, file: &StoreFile, directory: &RelPath, sequence: Sequence) -> CheckpointFiles {
        let manifest_path = layout::file_in(directory, MANIFEST_FILE);
        let sums_path = layout::file_in(directory, SUMS_FILE);
        let (bytes, sums) = self.with_manifest(&manifest_path, || self.get(&sums_path, MAX_SUMS_BYTES));
        let (listed, sums) = match sums {
            Ok(sums) => {
                let listed = layout::parse_manifest_sum(&sums);
                (listed.ok_or_else(|| StoreError::SumsDamaged { path: self.shown(&sums_path) }), Some(sums))
            }
            Err(error) => (Err(error.into()), None),
        };
        let (root, manifest) = self.root_of(file, sequence, bytes, listed);
        CheckpointFiles { root, manifest, sums, directory: directory.clone() }
    }

    /// Reads the manifest at `path`, and what `other` reads: at once if each is waited for.
    fn with_manifest<B>(&self, path: &RelPath, other: impl FnOnce() -> B) -> (Result<Bytes, StorageError>, B) {
        let manifest = || self.get(path, Manifest::MAX_BYTES);
        if self.storage().is_at_hand(path) { (manifest(), other()) } else { parallel::both(manifest, other) }
    }

    fn root_of(
        &self,
        file: &StoreFile,
        sequence: Sequence,
        bytes: Result<Bytes, StorageError>,
        listed_sha256: Result<Digest, StoreError>,
    ) -> (RootRead, Option<Bytes>) {
        let sha256 = bytes.as_ref().ok().map(|bytes| Digest::of(bytes));
        let listed_sha256 = match (listed_sha256, sha256) {
            // In object storage the checksum list follows the manifest, and its writer may have died in between.
            (Err(error), Some(sha256)) if error.is_not_found() && self.is_remote() => Ok(sha256),
            (listed, _) => listed,
        };
        let (manifest, bytes) = match bytes {
            Ok(bytes) => (ManifestRead::parse(file, sequence, &bytes), Some(bytes)),
            Err(error) if error.is_not_found() => (ManifestRead::Gone(error), None),
            Err(error) => (ManifestRead::Unreadable(error), None),
        };
        (RootRead { sequence, manifest, sha256, listed_sha256 }, bytes)
    }

    /// Returns the SHA-256 that `SHA256SUMS` has for the manifest.
    fn manifest_sum(&self, sequence: Sequence) -> Result<Digest, StoreError> {
        let path = layout::sums(sequence);
        let end = self.storage().get_end(&path, layout::MANIFEST_SUM_BYTES + 1)?;
        layout::parse_manifest_sum(&end).ok_or_else(|| StoreError::SumsDamaged { path: self.shown(&path) })
    }

    /// Reads a manifest and checks it against the last line of its `SHA256SUMS`, which reveals a change of a manifest
    /// that has no child.
    pub(super) fn manifest(&self, file: &StoreFile, sequence: Sequence) -> Result<Committed, StoreError> {
        self.read_root(file, sequence).committed(self, &layout::checkpoint_dir(sequence))
    }

    /// Does the same, and returns the bytes of the file as well.
    pub(super) fn manifest_and_bytes(
        &self,
        file: &StoreFile,
        sequence: Sequence,
    ) -> Result<(Committed, Bytes), StoreError> {
        let (root, bytes) = self.read_root_and_bytes(file, sequence);
        let committed = root.committed(self, &layout::checkpoint_dir(sequence))?;
        Ok((committed, bytes.expect("a manifest was read from it")))
    }

    /// Reads the bytes of a manifest that was read before.
    pub(super) fn manifest_bytes(&self, committed: &Committed) -> Result<Bytes, StoreError> {
        let path = layout::manifest(committed.manifest.sequence);
        let bytes = self.bounded(&path, self.get(&path, Manifest::MAX_BYTES))?;
        match Digest::of(&bytes) {
            found if found == committed.sha256 => Ok(bytes),
            found => Err(StoreError::ManifestDamaged { path: self.shown(&path), expected: committed.sha256, found }),
        }
    }

    /// Reads `bytes` as the manifest of checkpoint `sequence` of the store that `file` describes.
    pub(super) fn check_manifest(
        &self,
        file: &StoreFile,
        sequence: Sequence,
        bytes: &[u8],
    ) -> Result<Manifest, StoreError> {
        match ManifestRead::parse(file, sequence, bytes) {
            ManifestRead::Sound(manifest) => Ok(*manifest),
            other => Err(other.refused(self, &layout::manifest(sequence))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::FORMAT;
    use crate::storage::Storage;
    use crate::storage::memory::MemoryStorage;
    use crate::values::id::StoreId;

    fn replica(files: &[(&str, &[u8])]) -> Replica {
        let storage = MemoryStorage::new();
        storage.create_dir(&layout::checkpoint_dir(Sequence(7)), files).unwrap();
        Replica::new(Arc::new(storage))
    }

    fn store_file() -> StoreFile {
        let created = jiff::Timestamp::UNIX_EPOCH;
        StoreFile { format: FORMAT, store: StoreId::new([1; 16]), job: "a".to_owned(), created }
    }

    #[test]
    fn damage_is_an_error_for_a_reader_and_a_fact_for_who_verifies() {
        let sums = layout::sums_text([], Digest::of(b"other"));
        let damaged = replica(&[(SUMS_FILE, sums.as_bytes()), (MANIFEST_FILE, b"format: 1\n")]);
        let root = damaged.read_root(&store_file(), Sequence(7));
        assert!(matches!(root.manifest, ManifestRead::Malformed(_)) && !root.is_consistent());
        assert_eq!((root.sha256, root.listed()), (Some(Digest::of(b"format: 1\n")), Some(Digest::of(b"other"))));
        let error = damaged.manifest(&store_file(), Sequence(7)).unwrap_err();
        assert!(matches!(error, StoreError::ManifestDamaged { expected, .. } if expected == Digest::of(b"other")));

        let unlisted = replica(&[(SUMS_FILE, b"x"), (MANIFEST_FILE, b"format: 1\n")]);
        let files = unlisted.read_files(&store_file(), &layout::checkpoint_dir(Sequence(7)), Sequence(7));
        assert_eq!((files.sums.as_deref(), files.root.listed()), (Some(&b"x"[..]), None));
        assert!(matches!(files.whole(&unlisted), Err(StoreError::SumsDamaged { .. })));

        let gone = replica(&[]);
        assert!(matches!(gone.read_root(&store_file(), Sequence(7)).manifest, ManifestRead::Gone(_)));
        assert!(gone.manifest(&store_file(), Sequence(7)).unwrap_err().is_not_found());
    }
}
