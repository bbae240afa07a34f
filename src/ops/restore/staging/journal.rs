//! The journal of a restore: what the staged files are for, and which of them are complete.
//!
//! Its first line names the purpose. Every further line is a complete file: SHA-256, rows, bytes and name. The process
//! that works on the directory holds a lock on the journal.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::ops::restore::error::{RestoreError, io_error};
use crate::ops::restore::exported_file::ExportedFile;
use crate::storage::durable::flush_name;
use crate::values::digest::Digest;

/// The most that is read of a journal, in bytes; a line has about a hundred.
const MAX_BYTES: u64 = 64 << 20;

/// The first word of every journal.
const HEAD: &str = "ckpt-restore-1";

pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What an earlier attempt has written.
    text: String,
}

/// A complete file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) sha256: Digest,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Record {
    /// Returns whether a regular file of this size is at `path`.
    pub(super) fn has_size_of(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == self.bytes)
    }

    /// Returns whether the file is at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let digest = || Digest::of_reader(File::open(path)?);
        self.has_size_of(path) && digest().is_ok_and(|found| found == self.sha256)
    }
}

impl Journal {
    /// Opens the journal at `path` of a restore to `directory`, or creates it, and locks it.
    ///
    /// Fails with [`RestoreError::InProgress`] if another process has locked it, and with
    /// [`RestoreError::TargetTaken`] if the file is not a journal.
    pub(super) fn open(path: PathBuf, directory: &Path) -> Result<Journal, RestoreError> {
        let in_progress = || RestoreError::InProgress { path: directory.to_owned() };
        let taken = || RestoreError::TargetTaken { path: path.clone() };
        // Opening a pipe would wait for its writer, and a link, or a second name, could lead anywhere.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file() || found.nlink() > 1) {
            return Err(taken());
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(io_error("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_progress()),
            // A file system without locks: two attempts at once would overwrite each other with the same bytes.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
        }
        let mut text = Vec::new();
        let read = (&mut file).take(MAX_BYTES).read_to_end(&mut text);
        read.map_err(io_error("read", &path))?;
        // Its owner has finished since it was opened.
        if file.metadata().is_ok_and(|found| found.nlink() == 0) {
            return Err(in_progress());
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        if is_journal(&text) { Ok(Journal { path, file, text }) } else { Err(taken()) }
    }

    /// Returns whether it is new, or its writer died before the first line was complete.
    pub(super) fn is_new(&self) -> bool {
        complete_lines(&self.text).next().is_none()
    }

    /// Returns whether an earlier attempt had the same purpose.
    pub(super) fn is_for(&self, purpose: &str) -> bool {
        complete_lines(&self.text).next().is_some_and(|line| line == format!("{HEAD} {purpose}"))
    }

    /// Returns the files that an earlier attempt has completed, by name.
    pub(super) fn records(&self) -> HashMap<String, Record> {
        records(&self.text)
    }

    /// Removes a line that a crash has torn, so that the next one has a line of its own.
    pub(super) fn resume(&mut self) -> Result<(), RestoreError> {
        let complete: usize = complete_lines(&self.text).map(|line| line.len() + 1).sum();
        let cut = self.file.set_len(complete as u64).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map(drop).map_err(io_error("write", &self.path))
    }

    /// Starts the journal over with the line of `purpose`, durably.
    pub(super) fn begin(&mut self, purpose: &str) -> Result<(), RestoreError> {
        let written = self.file.set_len(0).and_then(|()| self.file.rewind());
        let written = written.and_then(|()| self.file.write_all(format!("{HEAD} {purpose}\n").as_bytes()));
        let flushed = written.and_then(|()| self.file.sync_all()).and_then(|()| flush_name(&self.path));
        flushed.map_err(io_error("write", &self.path))
    }

    /// Records a complete file. That is durable after the next [`Journal::flush`].
    pub(super) fn add(&mut self, file: &ExportedFile, sha256: Digest) -> Result<(), RestoreError> {
        let line = format!("{sha256} {} {} {}\n", file.rows, file.bytes, file.name);
        // One write: a line that a crash tears has no end, and does not count.
        self.file.write_all(line.as_bytes()).map_err(io_error("write", &self.path))
    }

    pub(super) fn flush(&self) -> Result<(), RestoreError> {
        self.file.sync_all().map_err(io_error("flush", &self.path))
    }

    pub(super) fn remove(&self) -> Result<(), RestoreError> {
        fs::remove_file(&self.path).map_err(io_error("remove", &self.path))
    }
}

/// Returns the files that the journal at `path` names, by name. Whatever else is there names none.
pub(super) fn records_at(path: &Path) -> HashMap<String, Record> {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return HashMap::new();
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    if read.is_ok() && is_journal(&text) { records(&text) } else { HashMap::new() }
}

fn records(text: &str) -> HashMap<String, Record> {
    complete_lines(text).skip(1).filter_map(parse).collect()
}

fn parse(line: &str) -> Option<(String, Record)> {
    let mut words = line.splitn(4, ' ');
    let sha256 = words.next()?.parse().ok()?;
    let (rows, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = words.next().filter(|name| !name.starts_with('.') && !name.contains('/'))?;
    Some((name.to_owned(), Record { sha256, rows, bytes }))
}

/// Returns whether the text is from a journal, whose first line a crash may have torn.
fn is_journal(text: &str) -> bool {
    text.starts_with(HEAD) || HEAD.starts_with(text.trim_end_matches('\0'))
}

/// Returns the lines that have a line end.
fn complete_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}
