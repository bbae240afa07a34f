//! Whether a server keeps the one promise that commits build on.

use crate::storage::bucket::BucketStorage;
use crate::storage::error::{BucketFault, StorageError};
use crate::values::random::random;
use crate::values::relpath::RelPath;

/// How the names begin that are created to learn what a server does.
const PREFIX: &str = ".tmp-probe-";

impl BucketStorage {
    /// Probes the server unless it has already proven to this process that it honors conditions.
    pub fn prove(&self) -> Result<(), StorageError> {
        if !self.client.is_proven() {
            self.probe()?;
            self.client.set_proven(true);
        }
        Ok(())
    }

    /// Makes the next [`BucketStorage::prove`] probe the server again: another one may answer.
    pub fn distrust(&self) {
        self.client.set_proven(false);
    }

    /// Creates a random name twice, and deletes it. Returns the time of the server in seconds since 1970.
    ///
    /// Fails with [`BucketFault::IgnoresConditions`] if the second create succeeds too: two writers of such a bucket
    /// could both commit.
    pub fn probe(&self) -> Result<i64, StorageError> {
        let name = format!("{PREFIX}{:016x}{:016x}", random(), random());
        let path = RelPath::new(name).expect("a name");
        self.create(&path, b"first")?;
        let second = self.create(&path, b"second");
        let meta = self.meta(&path);
        self.delete(&path)?;
        match second {
            Err(StorageError::Exists { .. }) => meta.map(|meta| meta.last_modified.timestamp()),
            Err(error) => Err(error),
            Ok(()) => {
                let (path, fault) = (self.place(), BucketFault::IgnoresConditions);
                Err(StorageError::Bucket { action: "write", path, fault, source: None })
            }
        }
    }
}
