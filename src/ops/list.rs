//! `ckpt list`: the checkpoints of a store.

use crate::format::manifest::Manifest;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;

/// One checkpoint of a listing.
#[derive(Debug)]
pub struct Listed {
    pub sequence: Sequence,
    /// The manifest, or why it cannot be read.
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

/// Reads the manifests of the newest `limit` checkpoints, or of all. One that cannot be read is an item of the
/// listing.
pub fn list(store: &Store, limit: Option<usize>) -> Result<Listing, StoreError> {
    let sequences = store.sequences()?;
    let older = sequences.len().saturating_sub(limit.unwrap_or(usize::MAX));
    let checkpoints = parallel::map(&sequences[older..], |&sequence| Listed {
        sequence,
        manifest: store.manifest(sequence).map(|committed| committed.manifest),
    });
    Ok(Listing { checkpoints, older })
}
