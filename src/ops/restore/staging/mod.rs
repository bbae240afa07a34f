//! Exported files that are staged until all of them are complete, over several attempts if need be.
//!
//! A directory that does not exist yet is staged beside its place, as `NAME.ckpt-restore`, and renamed. A directory that
//! exists stays, with its owner and mode: the files are staged in `.ckpt-restore` inside of it, then moved. As
//! several files cannot be moved in one step, `state-incomplete.parquet` marks the directory meanwhile; it is not a
//! Parquet file, so no reader takes some of the files for all of them.
//!
//! The journal, next to the staging directory, exists before anything else and until everything else is done.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::ops::restore::error::{RestoreError, io_error};
use crate::ops::restore::exported_file::ExportedFile;
use crate::ops::restore::staging::journal::{Journal, Record};
use crate::ops::restore::staging::site::INCOMPLETE_TEXT;
use crate::storage::durable::{create_replacing, flush_directory, make_directory};
use crate::storage::rename::rename_without_replacing;
use crate::values::digest::Digest;
use crate::values::lock::lock;

mod journal;
mod site;

pub(super) use site::Site;

pub(super) struct Staging {
    site: Site,
    pub(super) path: PathBuf,
    journal: Mutex<Journal>,
    /// The complete files.
    records: Mutex<HashMap<String, Record>>,
    /// Whether everything is left as it is, for the next attempt or because it is done.
    is_left: bool,
}

impl Staging {
    /// Continues an earlier attempt at the same `purpose`, a single line, or starts over. Creates the parent
    /// directories.
    ///
    /// Fails with [`RestoreError::InProgress`] if another process is filling the directory, and with
    /// [`RestoreError::TargetTaken`] if something else is in its place.
    pub(super) fn open(directory: &Path, purpose: &str) -> Result<Staging, RestoreError> {
        let site = Site::find(directory)?;
        make_directory(site.workplace()).map_err(io_error("create", directory))?;
        let (path, journal) = (site.staged(), Journal::open(site.journal(), &site.directory)?);
        let records = Mutex::new(journal.records());
        let mut staging = Staging { site, path, journal: Mutex::new(journal), records, is_left: true };
        staging.prepare(purpose)?;
        staging.is_left = false;
        Ok(staging)
    }

    fn prepare(&mut self, purpose: &str) -> Result<(), RestoreError> {
        let is_staged = match fs::symlink_metadata(&self.path) {
            Ok(found) => Some(found.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_error("read", &self.path)(error)),
        };
        let is_new = self.journal().is_new();
        let is_same = self.journal().is_for(purpose);
        // Now that the journal is locked, no other restore changes anything.
        let is_foreign = self.site.foreign_name()?.is_some();
        if is_foreign || is_staged == Some(false) || (is_new && is_staged.is_some()) {
            if is_new {
                let _ = self.journal().remove();
            }
            let path = if is_foreign { self.site.directory.clone() } else { self.path.clone() };
            return Err(RestoreError::TargetTaken { path });
        }
        // From here on everything is ours; what is of another purpose goes if this attempt fails.
        self.is_left = is_same;
        if is_same {
            self.journal().resume()?;
        } else {
            self.remove_files()?;
            self.journal().begin(purpose)?;
        }
        if is_staged.is_none() || !is_same {
            fs::create_dir(&self.path).map_err(io_error("create", &self.path))?;
        }
        Ok(())
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// Returns the file `name` if an earlier attempt has completed it and its bytes are still the same.
    pub(super) fn completed(&self, name: &str) -> Option<ExportedFile> {
        let record = lock(&self.records).get(name).copied()?;
        let is_whole = record.is_at(&self.path.join(name)) || self.is_in_place(name, &record);
        is_whole.then(|| ExportedFile { name: name.to_owned(), rows: record.rows, bytes: record.bytes, kept: true })
    }

    /// Returns whether an earlier attempt has moved the file `name` into a directory that existed.
    fn is_in_place(&self, name: &str, record: &Record) -> bool {
        self.site.exists && record.is_at(&self.site.directory.join(name))
    }

    /// Creates the file `name`, and replaces what an earlier attempt left of it.
    pub(super) fn create(&self, name: &str) -> Result<File, RestoreError> {
        let path = self.path.join(name);
        create_replacing(&path).map_err(io_error("create", &path))
    }

    /// Records that `file`, with this SHA-256, is complete and flushed.
    pub(super) fn record(&self, file: &ExportedFile, sha256: Digest) -> Result<(), RestoreError> {
        self.journal().add(file, sha256)?;
        let record = Record { sha256, rows: file.rows, bytes: file.bytes };
        lock(&self.records).insert(file.name.clone(), record);
        Ok(())
    }

    /// Keeps the complete files, if there are any, for the next attempt.
    pub(super) fn keep(&mut self) {
        self.is_left = !lock(&self.records).is_empty();
    }

    /// Flushes the files `names`, which are complete, and puts them in place.
    pub(super) fn put_in_place(&mut self, names: &[String]) -> Result<(), RestoreError> {
        if self.site.exists {
            self.move_files(names)?;
        } else {
            self.rename_directory()?;
        }
        self.is_left = true;
        self.journal().remove()?;
        self.flush_workplace()
    }

    fn rename_directory(&self) -> Result<(), RestoreError> {
        let directory = &self.site.directory;
        flush_directory(&self.path).map_err(io_error("flush", &self.path))?;
        rename_without_replacing(&self.path, directory).map_err(|error| taken_or(error, directory, &self.path))?;
        self.flush_workplace()
    }

    /// Moves the files into the directory, which exists.
    fn move_files(&self, names: &[String]) -> Result<(), RestoreError> {
        // From here on the directory is not empty: the journal must say what the files are.
        self.journal().flush()?;
        if names.len() > 1 {
            self.mark_incomplete()?;
        }
        for name in names {
            let (from, to) = (self.path.join(name), self.site.directory.join(name));
            let record = lock(&self.records).get(name).copied();
            if !record.is_some_and(|record| self.is_in_place(name, &record)) {
                rename_without_replacing(&from, &to).map_err(|error| taken_or(error, &to, &from))?;
            }
        }
        self.flush_workplace()?;
        remove_if_exists(&self.site.incomplete())?;
        fs::remove_dir_all(&self.path).map_err(io_error("remove", &self.path))?;
        self.flush_workplace()
    }

    fn mark_incomplete(&self) -> Result<(), RestoreError> {
        let (path, to) = (self.path.join("incomplete"), self.site.incomplete());
        let written = create_replacing(&path).and_then(|mut file| {
            file.write_all(INCOMPLETE_TEXT.as_bytes())?;
            file.sync_all()
        });
        written.map_err(io_error("write", &path))?;
        fs::rename(&path, &to).map_err(io_error("rename", &path))?;
        self.flush_workplace()
    }

    /// Removes everything that restores have left, except for the journal.
    fn remove_files(&self) -> Result<(), RestoreError> {
        if self.site.exists {
            for (name, record) in lock(&self.records).drain() {
                if self.is_in_place(&name, &record) {
                    remove_if_exists(&self.site.directory.join(name))?;
                }
            }
            remove_if_exists(&self.site.incomplete())?;
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &self.path)(error)),
            _ => {}
        }
        // The journal, which says that they are from a restore, must be the last to go.
        self.flush_workplace()
    }

    fn flush_workplace(&self) -> Result<(), RestoreError> {
        let path = self.site.workplace();
        flush_directory(path).map_err(io_error("flush", path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_left {
            // The first error is the one to report.
            let _ = self.remove_files().and_then(|()| self.journal().remove());
        }
    }
}

fn remove_if_exists(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Returns the error of a rename from `from` to `to`.
fn taken_or(error: io::Error, to: &Path, from: &Path) -> RestoreError {
    match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            RestoreError::TargetTaken { path: to.to_owned() }
        }
        _ => io_error("rename", from)(error),
    }
}

#[cfg(test)]
mod tests;
