//! `ckpt list`: the checkpoints of a store.

use crate::format::manifest::Manifest;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;

/// One checkpoint of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its number, which its directory's name says.
    pub sequence: Sequence,
    /// What its manifest says, or why that can not be read.
    pub manifest: Result<Manifest, StoreError>,
}

/// The checkpoints of a store, the oldest first.
#[derive(Debug)]
pub struct Listing {
    /// The checkpoints.
    pub checkpoints: Vec<Listed>,
    /// How many older ones the limit left out.
    pub older: usize,
}

impl Listing {
    /// Tells whether every manifest could be read.
    pub fn is_clean(&self) -> bool {
        self.checkpoints.iter().all(|listed| listed.manifest.is_ok())
    }

    /// Returns the newest checkpoint whose manifest could be read; its objects were not looked at.
    pub fn last_good(&self) -> Option<(Sequence, &Manifest)> {
        let readable =
            self.checkpoints.iter().filter_map(|listed| Some((listed.sequence, listed.manifest.as_ref().ok()?)));
        readable.max_by_key(|(sequence, _)| *sequence)
    }
}

/// Reads the manifests of the newest `limit` checkpoints, or of all. One that can not be read is a row of the listing.
pub fn list(store: &Store, limit: Option<usize>) -> Result<Listing, StoreError> {
    let sequences = store.sequences()?;
    let older = sequences.len().saturating_sub(limit.unwrap_or(usize::MAX));
    let checkpoints = parallel::map(&sequences[older..], |&sequence| Listed {
        sequence,
        manifest: store.manifest(sequence).map(|committed| committed.manifest),
    });
    Ok(Listing { checkpoints, older })
}
