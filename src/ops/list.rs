//! `ckpt list`: the checkpoints of a store.

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
}

impl Listing {
    /// Tells whether every manifest could be read.
    pub fn is_clean(&self) -> bool {
        self.checkpoints.iter().all(|listed| listed.manifest.is_ok())
    }

    /// Returns the newest checkpoint whose manifest could be read. Its objects were not examined.
    pub fn last_good(&self) -> Option<(Sequence, &Manifest)> {
        let readable =
            self.checkpoints.iter().filter_map(|listed| Some((listed.sequence, listed.manifest.as_ref().ok()?)));
        readable.max_by_key(|(sequence, _)| *sequence)
    }
}

/// Reads the manifests of the newest `limit` checkpoints, or of all. A damaged one is an item of the listing; one that is
/// pruned meanwhile is not.
///
/// Fails if the system refuses to read a manifest: it may be intact.
pub fn list(store: &Store, limit: Option<usize>) -> Result<Listing, StoreError> {
    let sequences = store.sequences()?;
    let older = sequences.len().saturating_sub(limit.unwrap_or(usize::MAX));
    let checkpoints = parallel::map(&sequences[older..], |&sequence| match store.manifest(sequence) {
        Err(error) if error.is_inconclusive() => Err(error),
        // Pruned since it was listed.
        Err(StoreError::NoCheckpoint { .. }) => Ok(None),
        read => Ok(Some(Listed { sequence, manifest: read.map(|committed| committed.manifest) })),
    });
    let checkpoints = checkpoints.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Listing { checkpoints, older })
}
