//! The reader of a build without the feature `rocksdb`, which reads nothing.

use std::path::Path;

use super::contents::DirectoryContents;
use super::error::DirectoryError;

/// Fails.
pub fn read(_: &Path) -> Result<DirectoryContents, DirectoryError> {
    Err(DirectoryError::Unavailable)
}
