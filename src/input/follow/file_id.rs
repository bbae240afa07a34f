//! The identity of a file while it exists.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::input::error::InputError;
use crate::input::partition::Partition;

/// The identity of a file while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Opens the file at `path`, or returns `None` if it is not the file `id`.
pub(super) fn open_if(partition: &Partition, path: &Path, id: FileId) -> Result<Option<File>, InputError> {
    let read = |source| InputError::read(&partition.name, 0, source);
    // Opening a pipe would wait for a writer, so the file is checked first.
    match std::fs::metadata(path) {
        Ok(metadata) if FileId::of(&metadata) != id || !metadata.is_file() => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(read)?,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(read)?,
    };
    let metadata = file.metadata().map_err(read)?;
    Ok((FileId::of(&metadata) == id).then_some(file))
}
