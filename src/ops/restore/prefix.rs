//! Exported files below a prefix of a bucket.
//!
//! Objects cannot be moved, so each gets its own name as soon as it is complete. What tells readers that nothing is
//! missing is `_SUCCESS`, an empty object that is written last, as other tools do. Meanwhile `_ckpt-restore` says what
//! the objects are for: the next attempt at the same continues, and any other is refused. Readers of tables skip names
//! that begin with an underscore.

use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use crate::format::layout::STORE_FILE;
use crate::ops::restore::error::RestoreError;
use crate::ops::restore::exported_file::ExportedFile;
use crate::storage::StorageError;
use crate::storage::bucket::objects::Upload;
use crate::storage::bucket::{BucketStorage, BucketUrl, BucketUrlError};
use crate::values::digest::Digest;
use crate::values::lock::lock;
use crate::values::relpath::RelPath;

const UNFINISHED: &str = "_ckpt-restore";
const FINISHED: &str = "_SUCCESS";

/// The most that is read of an object that says what others are for, in bytes.
const MAX_PURPOSE_BYTES: u64 = 4096;

pub(super) struct Prefix {
    storage: BucketStorage,
    /// The objects that this attempt has completed.
    written: Mutex<Vec<String>>,
    /// Whether everything is left as it is, for the next attempt or because it is done.
    is_left: bool,
}

impl Prefix {
    /// Returns the prefix that `url` names. It must be empty, except for what an interrupted restore of `files` has
    /// left, and not be in a store.
    pub(super) fn find(url: &Path, files: &[String]) -> Result<Prefix, RestoreError> {
        let url: BucketUrl = url.to_string_lossy().parse()?;
        let storage = BucketStorage::new(url.clone())?;
        let mut above = Some(url.prefix.clone());
        while let Some(prefix) = above {
            let store = storage.at(prefix.clone());
            if store.exists(&path(STORE_FILE))? {
                return Err(RestoreError::InStore { path: url.to_string().into(), store: store.place().into() });
            }
            above = prefix.map(|prefix| prefix.parent());
        }
        let is_unfinished = storage.exists(&path(UNFINISHED))?;
        let is_ours = |name: &str| {
            is_unfinished && (matches!(name, UNFINISHED | FINISHED) || files.iter().any(|file| file == name))
        };
        match storage.first_name(|name| !is_ours(name))? {
            Some(name) => Err(RestoreError::PrefixTaken { url: storage.place(), name }),
            None => Ok(Prefix { storage, written: Mutex::default(), is_left: true }),
        }
    }

    /// Begins to fill the prefix, or continues an earlier attempt at the same `purpose`.
    pub(super) fn open(url: &Path, files: &[String], purpose: &str) -> Result<Prefix, RestoreError> {
        let mut prefix = Prefix::find(url, files)?;
        let unfinished = path(UNFINISHED);
        match prefix.storage.create(&unfinished, purpose.as_bytes()) {
            Ok(()) => prefix.is_left = false,
            Err(StorageError::Exists { .. })
                if prefix.storage.get(&unfinished, MAX_PURPOSE_BYTES)? == purpose.as_bytes() => {}
            Err(StorageError::Exists { .. }) => {
                return Err(RestoreError::PrefixTaken { url: prefix.to_string(), name: UNFINISHED.to_owned() });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(prefix)
    }

    pub(super) fn create(&self, name: &str) -> Upload<'_> {
        self.storage.upload(&path(name))
    }

    pub(super) fn complete(&self, object: Upload<'_>, file: &ExportedFile, sha256: Digest) -> Result<(), RestoreError> {
        lock(&self.written).push(file.name.clone());
        match object.finish() {
            // The answer may have been lost.
            Err(error) if self.storage.digest(&path(&file.name), file.bytes)? != Some(sha256) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says that nothing is missing.
    pub(super) fn finish(&mut self) -> Result<(), RestoreError> {
        self.storage.replace(&path(FINISHED), b"")?;
        self.is_left = true;
        Ok(self.storage.delete(&path(UNFINISHED))?)
    }

    pub(super) fn keep(&mut self) {
        self.is_left = true;
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.storage.place())
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        if !self.is_left {
            // The first error is the one to report. The object that says what the others are for goes last.
            let names = lock(&self.written).drain(..).chain([UNFINISHED.to_owned()]).collect::<Vec<_>>();
            let _ = names.iter().try_for_each(|name| self.storage.delete(&path(name)));
        }
    }
}

impl From<BucketUrlError> for RestoreError {
    fn from(error: BucketUrlError) -> RestoreError {
        RestoreError::Url { reason: error.to_string() }
    }
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).expect("the names of exported files are names of files")
}
