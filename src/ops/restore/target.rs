//! Where exported files go: into a directory, or below a prefix of a bucket.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::ops::restore::error::{RestoreError, io_error};
use crate::ops::restore::exported_file::ExportedFile;
use crate::ops::restore::staging::{Site, Staging};
use crate::values::digest::Digest;
use crate::values::url::is_url;

#[cfg(feature = "s3")]
use crate::ops::restore::prefix::Prefix;
#[cfg(feature = "s3")]
use crate::storage::bucket::objects::Upload;

/// The number of bytes that are written to a file at once. The pieces of an object that is copied have as many, and so
/// go to the file without a copy in the buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// A place that is being filled.
pub(super) enum Target {
    Directory(Staging),
    #[cfg(feature = "s3")]
    Prefix(Prefix),
}

/// Writes one file.
pub(super) enum TargetWriter<'a> {
    File {
        file: BufWriter<File>,
        path: PathBuf,
        staging: &'a Staging,
    },
    #[cfg(feature = "s3")]
    Object {
        object: Upload<'a>,
        prefix: &'a Prefix,
    },
}

impl Target {
    /// Returns the absolute path of `place`, or its URL. It must be empty, except for what an interrupted restore of
    /// `files` has left, and not be in a store.
    pub(super) fn find(place: &Path, files: &[String]) -> Result<PathBuf, RestoreError> {
        if !is_url(place) {
            return Ok(Site::find(place)?.directory);
        }
        #[cfg(feature = "s3")]
        return Prefix::find(place, files).map(|prefix| PathBuf::from(prefix.to_string()));
        #[cfg(not(feature = "s3"))]
        return Err(no_buckets(place, files));
    }

    /// Begins to fill `place` with `files`, or continues an earlier attempt at the same `purpose`, a single line.
    pub(super) fn open(place: &Path, files: &[String], purpose: &str) -> Result<Target, RestoreError> {
        if !is_url(place) {
            return Ok(Target::Directory(Staging::open(place, purpose)?));
        }
        #[cfg(feature = "s3")]
        return Ok(Target::Prefix(Prefix::open(place, files, purpose)?));
        #[cfg(not(feature = "s3"))]
        return Err(no_buckets(place, files));
    }

    /// Returns the file `name` if an earlier attempt has completed it and its bytes are still the same.
    pub(super) fn completed(&self, name: &str) -> Option<ExportedFile> {
        match self {
            Target::Directory(staging) => staging.completed(name),
            #[cfg(feature = "s3")]
            Target::Prefix(_) => None,
        }
    }

    /// Begins to write the file `name`, and replaces what an earlier attempt left of it.
    pub(super) fn create(&self, name: &str) -> Result<TargetWriter<'_>, RestoreError> {
        match self {
            Target::Directory(staging) => {
                let file = BufWriter::with_capacity(BUFFER_BYTES, staging.create(name)?);
                Ok(TargetWriter::File { file, path: staging.path.join(name), staging })
            }
            #[cfg(feature = "s3")]
            Target::Prefix(prefix) => Ok(TargetWriter::Object { object: prefix.create(name), prefix }),
        }
    }

    /// Puts the files `names`, which are complete, in place.
    pub(super) fn put_in_place(&mut self, names: &[String]) -> Result<(), RestoreError> {
        match self {
            Target::Directory(staging) => staging.put_in_place(names),
            #[cfg(feature = "s3")]
            Target::Prefix(prefix) => prefix.finish(),
        }
    }

    /// Keeps the complete files, if there are any, for the next attempt. Without this, a target that is not in place
    /// leaves nothing.
    pub(super) fn keep(&mut self) {
        match self {
            Target::Directory(staging) => staging.keep(),
            #[cfg(feature = "s3")]
            Target::Prefix(prefix) => prefix.keep(),
        }
    }
}

impl TargetWriter<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        match self {
            TargetWriter::File { file, path, .. } => file.write_all(bytes).map_err(io_error("write", path)),
            #[cfg(feature = "s3")]
            TargetWriter::Object { object, .. } => Ok(object.write(bytes)?),
        }
    }

    /// Flushes `written`, which has this SHA-256.
    pub(super) fn complete(self, written: &ExportedFile, sha256: Digest) -> Result<(), RestoreError> {
        match self {
            TargetWriter::File { file, path, staging } => {
                let flushed = file.into_inner().map_err(io::IntoInnerError::into_error);
                let opened = flushed.map_err(io_error("write", &path))?;
                opened.sync_all().map_err(io_error("flush", &path))?;
                staging.record(written, sha256)
            }
            #[cfg(feature = "s3")]
            TargetWriter::Object { object, prefix } => prefix.complete(object, written, sha256),
        }
    }
}

#[cfg(not(feature = "s3"))]
fn no_buckets(url: &Path, _: &[String]) -> RestoreError {
    use crate::values::url::WITHOUT_S3;
    RestoreError::Url { reason: format!("`{}`: {WITHOUT_S3}", url.display()) }
}
