//! `ckpt stats`: how much space the checkpoints of a store take and share, and how much removing them would free.

use std::collections::HashMap;

use crate::format::layout::{self, OBJECTS, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef};
use crate::ops::read::{ReadError, Snapshot};
use crate::store::prune::trace;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;

/// Checkpoints whose tables are in memory at once.
const SNAPSHOTS_AT_ONCE: usize = 256;

/// How much space a store takes.
#[derive(Debug)]
pub struct Stats {
    /// The oldest first.
    pub checkpoints: Vec<Counted>,
    /// The bytes that the checkpoints would take if they shared nothing.
    pub logical_bytes: u64,
    /// How many different objects the checkpoints need.
    pub objects: u64,
    /// The total size of these objects.
    pub stored_bytes: u64,
    /// Objects that no checkpoint needs; unknown if some checkpoint cannot be read.
    pub unused: Option<Unused>,
    pub pruned: Pruned,
}

/// Pruned checkpoints that can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    pub checkpoints: u64,
    /// The bytes of objects that only they need; unknown if one of them cannot be read.
    pub bytes: Option<u64>,
}

/// Objects that no checkpoint needs: left by an interrupted run, or of pruned checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unused {
    pub objects: u64,
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Counted {
    pub sequence: Sequence,
    /// How much space it takes, or why it cannot be read.
    pub sizes: Result<Sizes, ReadError>,
}

/// How much space one checkpoint takes.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// The manifest. Its `totals` have the size, and how much was not shared with the parent.
    pub manifest: Manifest,
    /// Bytes that at least one other checkpoint needs too.
    pub shared_bytes: u64,
    /// Bytes that no other checkpoint needs: removing this one alone would free them.
    pub reclaimable_bytes: u64,
    /// Bytes that no older checkpoint needs: the store grew by them.
    pub added_bytes: u64,
}

impl Stats {
    /// Tells whether every checkpoint could be read.
    pub fn is_clean(&self) -> bool {
        self.checkpoints.iter().all(|counted| counted.sizes.is_ok())
    }

    /// Returns the bytes that removing all checkpoints but the newest would free.
    pub fn older_bytes(&self) -> u64 {
        let newest = self.checkpoints.iter().rev().find_map(|counted| counted.sizes.as_ref().ok());
        newest.map_or(0, |sizes| self.stored_bytes.saturating_sub(sizes.manifest.totals.bytes))
    }
}

/// Which checkpoints need an object.
struct Use {
    bytes: u64,
    /// The index of the first checkpoint that needs it.
    first: usize,
    is_shared: bool,
}

/// Reads what every checkpoint needs, and which other objects exist. `progress` counts checkpoints.
///
/// A damaged checkpoint is part of the result; what it shares with others then counts as theirs alone. One that is pruned
/// meanwhile is left out. Fails if the system refuses to read a checkpoint.
pub fn stats(store: &Store, progress: &dyn Progress) -> Result<Stats, ReadError> {
    let sequences = store.sequences()?;
    progress.start(sequences.len() as u64);
    let mut uses: HashMap<ObjectName, Use> = HashMap::new();
    let mut read: Vec<(Sequence, Result<Manifest, ReadError>)> = Vec::with_capacity(sequences.len());
    for batch in sequences.chunks(SNAPSHOTS_AT_ONCE) {
        let snapshots = parallel::map_on(store.readers(), batch, |&sequence| {
            let snapshot = Snapshot::open(store, sequence);
            progress.advance(1);
            snapshot.map(|snapshot| (snapshot.objects(), snapshot.committed.manifest))
        });
        for (&sequence, snapshot) in batch.iter().zip(snapshots) {
            let snapshot = match snapshot {
                Err(error) if error.is_inconclusive() => return Err(error),
                // Pruned since it was listed.
                Err(error) if error.is_removed() => continue,
                snapshot => snapshot,
            };
            let place = read.len();
            let manifest = snapshot.map(|(objects, manifest)| {
                for object in objects {
                    let used = Use { bytes: object.bytes, first: place, is_shared: false };
                    uses.entry(object.object).and_modify(|used| used.is_shared = true).or_insert(used);
                }
                manifest
            });
            read.push((sequence, manifest));
        }
    }
    let mut reclaimable = vec![0u64; read.len()];
    let mut added = vec![0u64; read.len()];
    for used in uses.values() {
        added[used.first] = added[used.first].saturating_add(used.bytes);
        if !used.is_shared {
            reclaimable[used.first] = reclaimable[used.first].saturating_add(used.bytes);
        }
    }
    let is_known = read.iter().all(|(_, manifest)| manifest.is_ok());
    let unused = if is_known { Some(unused(store, &uses)?) } else { None };
    let pruned = pruned(store, &uses);
    let sizes = |manifest: Manifest, reclaimable_bytes: u64, added_bytes: u64| Sizes {
        shared_bytes: manifest.totals.bytes.saturating_sub(reclaimable_bytes),
        reclaimable_bytes,
        added_bytes,
        manifest,
    };
    let checkpoints: Vec<Counted> = read
        .into_iter()
        .zip(reclaimable.into_iter().zip(added))
        .map(|((sequence, manifest), (reclaimable, added))| Counted {
            sequence,
            sizes: manifest.map(|manifest| sizes(manifest, reclaimable, added)),
        })
        .collect();
    let logical = checkpoints.iter().filter_map(|counted| Some(counted.sizes.as_ref().ok()?.manifest.totals.bytes));
    Ok(Stats {
        logical_bytes: logical.fold(0, u64::saturating_add),
        objects: uses.len() as u64,
        stored_bytes: uses.values().map(|used| used.bytes).fold(0, u64::saturating_add),
        unused,
        pruned,
        checkpoints,
    })
}

/// Counts the pruned checkpoints, and the bytes of their objects that are not in `uses`.
fn pruned(store: &Store, uses: &HashMap<ObjectName, Use>) -> Pruned {
    let sequences = trace::pruned(store);
    let needs: Result<Vec<_>, _> = sequences.iter().map(|&sequence| trace::needs_of_pruned(store, sequence)).collect();
    let own = |objects: &ObjectRef| !uses.contains_key(&objects.object);
    let bytes = needs.ok().map(|needs| {
        let own: HashMap<ObjectName, u64> =
            needs.into_iter().flatten().filter(own).map(|object| (object.object, object.bytes)).collect();
        own.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes))
    });
    Pruned { checkpoints: sequences.len() as u64, bytes }
}

/// Counts the objects of the first replica that are not in `uses`.
fn unused(store: &Store, uses: &HashMap<ObjectName, Use>) -> Result<Unused, StoreError> {
    let storage = store.replicas()[0].storage();
    let files = storage.list_deep(&layout::directory(OBJECTS))?;
    let unused = files.iter().filter(|entry| {
        let object: Option<ObjectName> = entry.name.rsplit('/').next().and_then(|name| name.parse().ok());
        object.is_some_and(|object| !uses.contains_key(&object))
    });
    Ok(unused.fold(Unused::default(), |sum, entry| Unused {
        objects: sum.objects + 1,
        bytes: sum.bytes.saturating_add(entry.bytes),
    }))
}
