//! The directory that exported files go to: a new one, or an existing one that is empty.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ops::restore::error::{RestoreError, io_error};
use crate::ops::restore::staging::journal;
use crate::storage::real_path::real_path;
use crate::store::LOST_AND_FOUND;
use crate::store::enclosing::enclosing_store;

/// The ending of the name of the staging directory; inside of an existing directory its whole name.
const STAGED: &str = ".ckpt-restore";
/// The same for the journal.
const JOURNAL: &str = ".ckpt-restore.journal";
/// A file that has the name of a Parquet file but is not one, so that readers of the directory fail.
const INCOMPLETE: &str = "state-incomplete.parquet";
pub(super) const INCOMPLETE_TEXT: &str = "This directory is incomplete: run `ckpt restore --to` again.\n";

/// A directory to fill.
pub(crate) struct Site {
    /// Its absolute path, without symbolic links.
    pub(crate) directory: PathBuf,
    /// Whether it exists. It is then filled and not replaced: it may belong to someone, or be a mount point.
    pub(super) exists: bool,
}

impl Site {
    /// Returns the directory `path`, which must not exist, or must be empty except for what an interrupted restore has
    /// left. It must not be in a store.
    pub(crate) fn find(path: &Path) -> Result<Site, RestoreError> {
        let failed = || io_error("read", path);
        if let Some(store) = enclosing_store(path) {
            return Err(RestoreError::InStore { path: path.to_owned(), store });
        }
        let taken = || RestoreError::TargetTaken { path: path.to_owned() };
        let directory = real_path(path).map_err(failed())?;
        let exists = match fs::read_dir(&directory) {
            Ok(_) => true,
            // A symbolic link to nowhere exists.
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&directory).is_err() => false,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(taken());
            }
            Err(error) => return Err(failed()(error)),
        };
        let site = Site { directory, exists };
        match site.foreign_name()? {
            Some(_) => Err(taken()),
            None => Ok(site),
        }
    }

    /// Returns a name in the directory that no restore has left there.
    pub(super) fn foreign_name(&self) -> Result<Option<OsString>, RestoreError> {
        if !self.exists {
            return Ok(None);
        }
        let failed = || io_error("read", &self.directory);
        let records = journal::records_at(&self.journal());
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let (name, path) = (entry.file_name(), entry.path());
            let is_ours = path == self.staged()
                || path == self.journal()
                || (path == self.incomplete() && fs::read(&path).is_ok_and(|text| text == INCOMPLETE_TEXT.as_bytes()))
                || name.to_str().and_then(|name| records.get(name)).is_some_and(|record| record.has_size_of(&path))
                || (name == LOST_AND_FOUND && path.is_dir());
            if !is_ours {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Returns the directory in which the staging directory and the journal are.
    pub(super) fn workplace(&self) -> &Path {
        if self.exists { &self.directory } else { self.directory.parent().unwrap_or(Path::new("/")) }
    }

    /// Returns the staging directory: inside of an existing directory, else beside the new one.
    pub(super) fn staged(&self) -> PathBuf {
        self.named(STAGED)
    }

    /// Returns the journal, which is next to the staging directory.
    pub(super) fn journal(&self) -> PathBuf {
        self.named(JOURNAL)
    }

    /// Returns the file that marks an existing directory as incomplete.
    pub(super) fn incomplete(&self) -> PathBuf {
        self.directory.join(INCOMPLETE)
    }

    fn named(&self, ending: &str) -> PathBuf {
        let mut name = OsString::new();
        if !self.exists {
            name.push(self.directory.file_name().unwrap_or_default());
        }
        name.push(ending);
        self.workplace().join(name)
    }
}
