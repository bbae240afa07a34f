//! Output files in a bucket.
//!
//! Every staged object has a name of its own, so a request that arrives late cannot change what a checkpoint relies on.
//! Another run of the job may stage objects at the same time. Which of them a checkpoint publishes is decided by its
//! commit, so a staged object is a stray only once its number is committed.

use std::path::Path;

use crate::format::layout::STORE_FILE;
use crate::format::manifest::Output;
use crate::runner::output::place::error::PlaceError;
use crate::runner::output::place::interface::{Found, OutputPlace};
use crate::runner::output::place::strays::Strays;
use crate::runner::output::place::writer::PlaceWriter;
use crate::storage::StorageError;
use crate::storage::bucket::{BucketStorage, BucketUrl};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// A prefix of the names in a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    url: BucketUrl,
    storage: BucketStorage,
    /// The staged objects that have not been published and may have to be removed.
    staged: Strays,
}

impl Bucket {
    pub(super) fn new(url: BucketUrl) -> Result<Bucket, StorageError> {
        Ok(Bucket { storage: BucketStorage::new(url.clone())?, url, staged: Strays::default() })
    }

    /// Removes the staged objects whose numbers are committed.
    fn remove_up_to(&self, sequence: Sequence) -> Result<(), PlaceError> {
        self.staged.remove_up_to(sequence, |name| Ok(self.storage.delete(&path(name))?))
    }
}

impl OutputPlace for Bucket {
    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn enclosing_store(&self) -> Result<Option<String>, PlaceError> {
        let mut prefix = self.url.prefix.clone();
        loop {
            let above = self.storage.at(prefix.clone());
            if above.exists(&path(STORE_FILE))? {
                return Ok(Some(above.place()));
            }
            match prefix {
                Some(name) => prefix = name.parent(),
                None => return Ok(None),
            }
        }
    }

    fn names(&self, beginning: &str) -> Result<Vec<String>, PlaceError> {
        Ok(self.storage.names(beginning)?)
    }

    fn look(&self, name: &str) -> Result<Found, PlaceError> {
        Ok(if self.storage.exists(&path(name))? { Found::File } else { Found::Nothing })
    }

    fn holds(&self, name: &str, output: &Output) -> Result<bool, PlaceError> {
        Ok(self.storage.digest(&path(name), output.bytes)? == Some(output.sha256))
    }

    fn is_copy(&self, name: &str, copy: &str) -> Result<bool, PlaceError> {
        let bytes = match self.storage.size(&path(name)) {
            // Another worker has renamed it.
            Err(StorageError::NotFound { .. }) => return Ok(false),
            size => size?,
        };
        let digest = self.storage.digest(&path(copy), bytes)?;
        Ok(digest.is_some() && digest == self.storage.digest(&path(name), bytes)?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn create(&self, staged: &str, sequence: Sequence) -> Result<PlaceWriter<'_>, PlaceError> {
        self.staged.add(staged, sequence);
        Ok(PlaceWriter::Object(self.storage.upload(&path(staged))))
    }

    fn mark(&self, name: &str) -> Result<(), PlaceError> {
        Ok(self.storage.upload(&path(name)).finish()?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, PlaceError> {
        let (from, to) = (path(from), path(to));
        match self.storage.size(&from).and_then(|bytes| self.storage.copy(&from, &to, bytes)) {
            Ok(()) => {}
            Err(StorageError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.storage.delete(&from)?;
        Ok(true)
    }

    fn publish(&self, staged: &str, name: &str, sequence: Sequence, output: &Output) -> Result<(), PlaceError> {
        match self.storage.copy(&path(staged), &path(name), output.bytes) {
            Ok(()) => {}
            // Another run, or an earlier request without an answer, may have done it.
            Err(_) if self.holds(name, output)? => {}
            // Another worker has published it, and a reader may have moved it.
            Err(StorageError::NotFound { .. }) if output.staged.is_some() => {}
            Err(StorageError::NotFound { .. }) => return Err(PlaceError::Gone(self.shown(staged))),
            Err(error) => return Err(error.into()),
        }
        self.staged.add(staged, sequence);
        // A staged object that cannot be removed now is left to the next publication or the next run.
        let _ = self.remove_up_to(sequence);
        Ok(())
    }

    fn remove_strays(&self, staged: &[(String, Sequence)], newest: Option<Sequence>) -> Result<(), PlaceError> {
        staged.iter().for_each(|(name, sequence)| self.staged.add(name, *sequence));
        newest.map_or(Ok(()), |newest| self.remove_up_to(newest))
    }
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).expect("the names of outputs are names of files")
}
