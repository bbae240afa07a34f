//! Listing directories.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use crate::storage::error::StorageError;
use crate::storage::local::root::Root;
use crate::storage::{Entry, EntryKind};
use crate::values::file_name::readable;

/// Returns the entries of `dir` whose names come after `after`, sorted by name. A directory that does not exist is empty.
pub(super) fn entries(root: &Root, dir: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
    let opened = match root.open_dir("list", dir) {
        Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
        opened => opened?,
    };
    let found = match names(opened.as_fd()) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        found => found.map_err(|error| root.failed("list", dir, error))?,
    };
    let mut entries = Vec::with_capacity(found.len());
    // To look at an entry takes longer than to read its name.
    for name in found.into_iter().filter(|name| readable(OsStr::from_bytes(name.to_bytes())).as_str() > after) {
        match rustix::fs::statat(&opened, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => entries.push(entry(&name, &found)),
            // Deleted since it was listed.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(root.failed("list", dir, error)),
        }
    }
    entries.sort();
    Ok(entries)
}

/// Returns the names in `dir` as the system has them.
pub(super) fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let names = Dir::read_from(dir)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    names.filter(|name| name.as_ref().map_or(true, |name| !matches!(name.to_bytes(), b"." | b".."))).collect()
}

fn entry(name: &CString, found: &Stat) -> Entry {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        _ => EntryKind::Other,
    };
    Entry {
        name: readable(OsStr::from_bytes(name.to_bytes())),
        kind,
        bytes: if kind == EntryKind::File { found.st_size as u64 } else { 0 },
        modified_seconds: Some(found.st_mtime),
    }
}
