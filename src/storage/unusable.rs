//! A place that cannot be used at all.

use std::ops::Range;

use bytes::Bytes;

use crate::storage::{Entry, Storage, StorageError};
use crate::values::relpath::RelPath;

/// Fails each use with the same reason.
#[derive(Debug)]
pub struct Unusable {
    place: String,
    reason: String,
}

impl Unusable {
    /// Returns the place `place`. The reason is the whole message, and names the place.
    pub fn new(place: &str, reason: String) -> Unusable {
        Unusable { place: place.to_owned(), reason }
    }

    fn refuse<T>(&self) -> Result<T, StorageError> {
        Err(StorageError::Unusable { path: self.place.clone(), reason: self.reason.clone() })
    }
}

impl Storage for Unusable {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn get(&self, _: &RelPath, _: u64) -> Result<Bytes, StorageError> {
        self.refuse()
    }

    fn get_range(&self, _: &RelPath, _: Range<u64>) -> Result<Bytes, StorageError> {
        self.refuse()
    }

    fn size(&self, _: &RelPath) -> Result<u64, StorageError> {
        self.refuse()
    }

    fn create(&self, _: &RelPath, _: &[u8]) -> Result<(), StorageError> {
        self.refuse()
    }

    fn replace(&self, _: &RelPath, _: &[u8]) -> Result<(), StorageError> {
        self.refuse()
    }

    fn list(&self, _: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.refuse()
    }

    fn delete(&self, _: &RelPath) -> Result<(), StorageError> {
        self.refuse()
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.refuse()
    }
}
