//! `replicas.yaml`: where a store is kept.

use serde::{Deserialize, Serialize};

use crate::format::document;
use crate::format::error::ManifestError;
use crate::format::sealed::Sealed;

/// `replicas.yaml`: where the replicas of a store are. The run that writes to the store writes it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicasFile {
    pub format: u32,
    /// How many replicas must have a checkpoint before it counts.
    pub min_copies: usize,
    /// Absolute paths; the first is the store that the job file names.
    pub places: Vec<String>,
}

impl ReplicasFile {
    /// The most places that a file may have.
    pub const MAX_PLACES: usize = 100;

    /// Writes the file as YAML, with a seal.
    pub fn to_yaml(&self) -> String {
        Sealed::write(self)
    }

    /// Returns whether `bytes` are an unmodified file of this kind. Without a seal, as older versions wrote it, only
    /// some changes show.
    pub fn is_whole(bytes: &[u8]) -> bool {
        ReplicasFile::from_yaml(bytes).is_ok_and(|file| Sealed::of(file, bytes).is_whole)
    }

    /// Reads a file of this format.
    pub fn from_yaml(bytes: &[u8]) -> Result<ReplicasFile, ManifestError> {
        let file: ReplicasFile = document::read(bytes)?;
        document::check_format(file.format)?;
        let most = file.places.len().min(ReplicasFile::MAX_PLACES);
        if file.places.len() > most || !(1..=most).contains(&file.min_copies) {
            let reason = format!("expected at most {most} places and no more copies than places");
            return Err(ManifestError::Malformed { reason });
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_places_reads_as_it_was_written_and_can_be_no_nonsense() {
        let places = |count: usize| (0..count).map(|i| format!("/mnt/{i}: x")).collect::<Vec<_>>();
        let file = ReplicasFile { format: 1, min_copies: 2, places: places(3) };
        assert_eq!(ReplicasFile::from_yaml(file.to_yaml().as_bytes()).unwrap(), file);
        for (min_copies, count) in [(0, 1), (2, 1), (1, 0), (1, 101)] {
            let file = ReplicasFile { format: 1, min_copies, places: places(count) };
            assert!(ReplicasFile::from_yaml(file.to_yaml().as_bytes()).is_err(), "{min_copies} of {count}");
        }
        let newer = file.to_yaml().replace("format: 1", "format: 2");
        assert!(matches!(ReplicasFile::from_yaml(newer.as_bytes()), Err(ManifestError::Format { found: 2 })));
    }
}
