//! `store.yaml`: the file that turns a directory into a store.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::document;
use crate::format::error::ManifestError;
use crate::format::sealed::Sealed;
use crate::values::id::StoreId;

/// `store.yaml`: the identity of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreFile {
    pub format: u32,
    /// The same for all replicas.
    pub store: StoreId,
    pub job: String,
    pub created: Timestamp,
}

impl StoreFile {
    /// Writes the file as YAML, with a seal.
    pub fn to_yaml(&self) -> String {
        Sealed::write(self)
    }

    /// Returns whether `bytes` are an unmodified store file. Without a seal, as older versions wrote it, only some
    /// changes show.
    pub fn is_whole(bytes: &[u8]) -> bool {
        StoreFile::from_yaml(bytes).is_ok_and(|file| Sealed::of(file, bytes).is_whole)
    }

    /// Reads a store file of this format.
    pub fn from_yaml(bytes: &[u8]) -> Result<StoreFile, ManifestError> {
        let file: StoreFile = document::read(bytes)?;
        document::check_format(file.format)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_file_reads_as_it_was_written() {
        let file = StoreFile {
            format: 1,
            store: StoreId::new([0x12; 16]),
            job: "yes".to_owned(),
            created: "2026-11-22T14:00:00Z".parse().unwrap(),
        };
        assert_eq!(StoreFile::from_yaml(file.to_yaml().as_bytes()).unwrap(), file);
        let newer = file.to_yaml().replace("format: 1", "format: 2") + "more: {}\n";
        assert!(matches!(StoreFile::from_yaml(newer.as_bytes()), Err(ManifestError::Format { found: 2 })));
        assert!(matches!(StoreFile::from_yaml(b"format: 1"), Err(ManifestError::Malformed { .. })));
    }
}
