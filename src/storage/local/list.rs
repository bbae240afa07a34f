//! Listing directories.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::time::UNIX_EPOCH;

use walkdir::{DirEntry, WalkDir};

use crate::storage::error::StorageError;
use crate::storage::local::root::Root;
use crate::storage::{Entry, EntryKind};

/// Returns the entries of `dir`, sorted by name. A directory that does not exist is empty.
pub(super) fn entries(root: &Root, dir: &str) -> Result<Vec<Entry>, StorageError> {
    // Refuses symbolic links on the way, which walkdir would follow.
    match root.open_dir("list", dir) {
        Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
        opened => opened?,
    };
    let gone = |error: &walkdir::Error| error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound);
    let found = match names(root, dir) {
        Err(error) if gone(&error) => return Ok(Vec::new()),
        found => found.map_err(|error| root.failed("list", dir, io::Error::from(error)))?,
    };
    let mut entries = Vec::with_capacity(found.len());
    for entry in found {
        match entry.metadata() {
            Ok(metadata) => entries.push(Entry {
                name: readable(entry.file_name()),
                kind: kind(&metadata),
                bytes: if metadata.is_file() { metadata.len() } else { 0 },
                modified_seconds: modified_seconds(&metadata),
            }),
            // Deleted since it was listed.
            Err(error) if gone(&error) => {}
            Err(error) => return Err(root.failed("list", dir, io::Error::from(error))),
        }
    }
    entries.sort();
    Ok(entries)
}

/// Returns the entries of `dir` as the system has them.
pub(super) fn names(root: &Root, dir: &str) -> Result<Vec<DirEntry>, walkdir::Error> {
    WalkDir::new(root.on_disk(dir))
        .min_depth(1)
        .max_depth(1)
        .follow_links(false)
        .follow_root_links(dir.is_empty())
        .into_iter()
        .collect()
}

/// Returns a name with `\xNN` in place of each byte that is not UTF-8, so that different names stay different.
fn readable(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

fn kind(metadata: &Metadata) -> EntryKind {
    match metadata.file_type() {
        file_type if file_type.is_file() => EntryKind::File,
        file_type if file_type.is_dir() => EntryKind::Directory,
        _ => EntryKind::Other,
    }
}

fn modified_seconds(metadata: &Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|seconds| -seconds),
    }
}
