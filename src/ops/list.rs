//! `ckpt list`: the checkpoints of a store.

use jiff::Timestamp;

use crate::format::manifest::Manifest;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;

/// One checkpoint of a listing.
#[derive(Debug)]
pub struct Listed {
    pub sequence: Sequence,
    /// The manifest, or how it is damaged.
    pub manifest: Result<Manifest, StoreError>,
}

#[derive(Debug)]
pub struct Listing {
    /// The oldest first.
    pub checkpoints: Vec<Listed>,
    /// How many older ones the limit left out.
    pub older: usize,
    /// The newest checkpoint whose manifest could be read and whose objects exist with their sizes, and when it was
    /// made.
    pub last_good: Option<(Sequence, Timestamp)>,
    /// Newer ones that lack objects, the newest first.
    pub incomplete: Vec<(Sequence, StoreError)>,
    /// If there is no checkpoint, the newest that was lost, see [`Store::newest_lost`].
    pub lost: Option<Sequence>,
}

impl Listing {
    /// Returns what is wrong with a checkpoint of the listing, as far as it was examined.
    pub fn error<'a>(&'a self, listed: &'a Listed) -> Option<&'a StoreError> {
        let lacks = self.incomplete.iter().find(|(sequence, _)| *sequence == listed.sequence);
        listed.manifest.as_ref().err().or(lacks.map(|(_, error)| error))
    }

    /// Tells whether every manifest could be read, the newest checkpoint has its objects, and the checkpoints are not
    /// lost.
    pub fn is_clean(&self) -> bool {
        self.incomplete.is_empty()
            && self.lost.is_none()
            && self.checkpoints.iter().all(|listed| listed.manifest.is_ok())
    }
}

/// Reads the manifests of the newest `limit` checkpoints, or of all. A damaged one is an item of the listing; one that is
/// pruned meanwhile is not. From the newest back to the first good one, also looks for the objects.
///
/// Fails if the system refuses to read a checkpoint: it may be intact.
pub fn list(store: &Store, limit: Option<usize>) -> Result<Listing, StoreError> {
    let sequences = store.sequences()?;
    let older = sequences.len().saturating_sub(limit.unwrap_or(usize::MAX));
    let checkpoints =
        parallel::map_on(store.readers(), &sequences[older..], |&sequence| match store.manifest(sequence) {
            Err(error) if error.is_inconclusive() => Err(error),
            // Pruned since it was listed.
            Err(StoreError::NoCheckpoint { .. }) => Ok(None),
            read => Ok(Some((sequence, read))),
        });
    let checkpoints = checkpoints.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    let (mut last_good, mut incomplete, mut removed) = (None, Vec::new(), Vec::new());
    for committed in checkpoints.iter().rev().filter_map(|(_, read)| read.as_ref().ok()) {
        let sequence = committed.manifest.sequence;
        match store.check_present(committed) {
            Ok(()) => {
                last_good = Some((sequence, committed.manifest.created));
                break;
            }
            Err(error) if error.is_inconclusive() => return Err(error),
            Err(StoreError::NoCheckpoint { .. }) => removed.push(sequence),
            Err(error) => incomplete.push((sequence, error)),
        }
    }
    let listed = checkpoints
        .into_iter()
        .filter(|(sequence, _)| !removed.contains(sequence))
        .map(|(sequence, read)| Listed { sequence, manifest: read.map(|committed| committed.manifest) });
    let lost = if sequences.is_empty() { store.newest_lost()? } else { None };
    Ok(Listing { checkpoints: listed.collect(), older, last_good, incomplete, lost })
}
