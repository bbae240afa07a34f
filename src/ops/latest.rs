//! `ckpt latest`: the newest checkpoint, and the newest that is intact.

use std::collections::HashSet;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::ops::read::{ReadError, Snapshot};
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::operations::{Operation, OperationKind};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::lock::lock;
use crate::values::parallel;
use crate::values::progress::Progress;

/// How often the store is listed because checkpoints are pruned faster than they are read.
const MAX_LOOKS: u32 = 20;

/// The newest checkpoint that is intact.
#[derive(Debug)]
pub struct Newest {
    /// Nothing if no checkpoint is intact.
    pub committed: Option<Committed>,
    /// The newer ones, which are not intact, the newest first.
    pub damaged: Vec<(Sequence, ReadError)>,
}

/// Returns the newest checkpoint whose bytes are all as they were committed.
///
/// Of each checkpoint, from the newest back, the manifest, the tables and the SHA-256 of every object are verified; a
/// shared object is verified once. With `below`, only checkpoints below that number are considered. `progress` counts
/// bytes. Fails if the store cannot be listed, or if the system refuses to read a checkpoint: it may be intact.
pub fn newest_intact(store: &Store, below: Option<Sequence>, progress: &dyn Progress) -> Result<Newest, ReadError> {
    let listed = || -> Result<Vec<Sequence>, StoreError> {
        let mut sequences = store.sequences()?;
        sequences.retain(|sequence| below.is_none_or(|below| *sequence < below));
        Ok(sequences)
    };
    let good: Mutex<HashSet<ObjectName>> = Mutex::default();
    let (mut sequences, mut looks) = (listed()?, 1);
    let (mut damaged, mut total_bytes) = (Vec::new(), 0);
    while let Some(sequence) = sequences.pop() {
        match prove(store, sequence, &good, &mut total_bytes, progress) {
            Ok(committed) => return Ok(Newest { committed: Some(committed), damaged }),
            Err(error) if error.is_inconclusive() => return Err(error),
            // It was pruned since it was listed, and there may be newer ones by now.
            Err(error) if error.is_removed() && looks < MAX_LOOKS => {
                looks += 1;
                sequences = listed()?;
                damaged.clear();
            }
            Err(error) if error.is_removed() => return Err(error),
            Err(error) => damaged.push((sequence, error)),
        }
    }
    Ok(Newest { committed: None, damaged })
}

/// Returns when an attempt last found that nothing had changed since the newest checkpoint, or a run read the input to
/// its end and found nothing new; or else when the checkpoint was made.
pub fn confirmed<'a>(
    (newest, created): (Sequence, Timestamp),
    attempts: impl Iterator<Item = &'a Attempt>,
    operations: impl Iterator<Item = &'a Operation>,
) -> Timestamp {
    let elided = attempts.filter(|attempt| attempt.outcome == AttemptOutcome::Elided).map(|attempt| attempt.time);
    let ended = operations.filter_map(|operation| match operation.what {
        OperationKind::Ended(end) if end.latest == Some(newest) => Some(operation.time),
        _ => None,
    });
    // A restore may have made the newest checkpoint since then.
    elided.chain(ended).fold(created, Timestamp::max)
}

/// Reads every byte of a checkpoint, except for objects that are known to be `good`.
fn prove(
    store: &Store,
    sequence: Sequence,
    good: &Mutex<HashSet<ObjectName>>,
    total_bytes: &mut u64,
    progress: &dyn Progress,
) -> Result<Committed, ReadError> {
    let known = || lock(good);
    let snapshot = Snapshot::open(store, sequence)?;
    snapshot.positions(store)?;
    let objects: Vec<ObjectRef> =
        snapshot.objects().into_iter().filter(|object| !known().contains(&object.object)).collect();
    *total_bytes = objects.iter().map(|object| object.bytes).fold(*total_bytes, u64::saturating_add);
    progress.start(*total_bytes);
    let proven = parallel::map_on(store.object_readers(), &objects, |&object| {
        snapshot.object(store, object)?;
        progress.advance(object.bytes);
        known().insert(object.object);
        Ok::<(), StoreError>(())
    });
    proven.into_iter().collect::<Result<(), _>>()?;
    Ok(snapshot.committed)
}
