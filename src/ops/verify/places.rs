//! The places of a store, and which of them can be verified.

use std::sync::Arc;

use crate::format::layout;
use crate::store::{ManifestRead, Replica, Store, StoreError};

/// A place of the store that can be verified.
pub(in crate::ops) struct Place {
    pub(in crate::ops) replica: Replica,
    /// The store reduced to this replica.
    pub(in crate::ops) store: Store,
    /// What is wrong with its `store.yaml`, if the rest can be verified all the same.
    pub(in crate::ops) store_file: Option<Arc<StoreError>>,
}

/// Returns every place of the store in the order of the reports, or why it cannot be verified.
pub(in crate::ops) fn places(store: &Store) -> Vec<Result<Place, StoreError>> {
    let available = store.replicas().iter().map(|replica| place(store, replica.clone(), None));
    let absent = store
        .unavailable
        .iter()
        .map(|absent| place(store, Replica::new(absent.storage.clone()), Some(absent.error.clone())));
    available.chain(absent).collect()
}

fn place(store: &Store, replica: Replica, store_file: Option<Arc<StoreError>>) -> Result<Place, StoreError> {
    let listed = replica.storage().list(None)?;
    let exists = |name: &str| listed.iter().any(|entry| entry.name == name);
    match store_file {
        // An empty directory, a disk that is not mounted, another store; or nobody knows.
        Some(source) if source.is_inconclusive() || !(exists(layout::CHECKPOINTS) && is_of_store(&replica, store)) => {
            Err(StoreError::Unusable { place: replica.place(), source })
        }
        store_file => {
            let alone = Store::new(store.file.clone(), vec![replica.storage().clone()]);
            Ok(Place { replica, store: alone, store_file })
        }
    }
}

/// Tells whether the checkpoints of `replica` are of `store`, whatever its `store.yaml` says: the newest manifest that
/// can be read decides.
pub(in crate::ops) fn is_of_store(replica: &Replica, store: &Store) -> bool {
    let sequences = replica.sequences().unwrap_or_default();
    let roots = sequences.into_iter().rev().map(|sequence| replica.read_root(&store.file, sequence).manifest);
    let of_store = roots.filter_map(|manifest| match manifest {
        ManifestRead::Sound(_) => Some(true),
        ManifestRead::Misplaced(wrong) => Some(wrong.iter().all(|misplaced| misplaced.field != "store")),
        _ => None,
    });
    of_store.into_iter().next().unwrap_or(false)
}
