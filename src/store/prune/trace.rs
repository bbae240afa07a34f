//! Finds out what became of checkpoints that do not exist, and which ones can be brought back.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::format::layout::{self, PRUNED};
use crate::format::manifest::ObjectRef;
use crate::store::error::StoreError;
use crate::store::prune::survey::objects_needed;
use crate::store::records::history::{Event, EventKind};
use crate::store::store::Store;
use crate::values::id::Sequence;

/// How a checkpoint that does not exist left the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When; nothing if it was long ago.
    pub time: Option<Timestamp>,
    /// The retention policy that was applied.
    pub policy: Option<String>,
    pub fate: TraceFate,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFate {
    /// It was pruned, and the undo of this many prunes brings it back.
    Pruned { undos: usize },
    /// It was pruned, and its grace period is over.
    Deleted,
    /// It was left out of a copy.
    LeftOut,
}

/// Returns the pruned checkpoints that can be brought back, of all replicas that can be listed.
pub fn pruned(store: &Store) -> BTreeSet<Sequence> {
    store.replicas.iter().flat_map(|replica| replica.sequences_in(PRUNED).unwrap_or_default()).collect()
}

/// Returns the objects that pruned checkpoint `sequence` needs.
pub fn needs_of_pruned(store: &Store, sequence: Sequence) -> Result<Vec<ObjectRef>, StoreError> {
    objects_needed(store, &layout::pruned_dir(sequence), sequence)
}

/// Returns what the history says about a checkpoint that does not exist; nothing if it never did.
pub fn trace(store: &Store, sequence: Sequence) -> Result<Option<Trace>, StoreError> {
    let history = store.history()?;
    let waiting = pruned(store);
    let is_named = |event: &&Event| event.checkpoints.iter().any(|checkpoint| checkpoint.sequence == sequence);
    let left = |event: &&Event| matches!(event.event, EventKind::Pruned | EventKind::LeftOut | EventKind::Folded);
    let named = history.events.iter().rev().find(|event| left(event) && is_named(event));
    let Some(event) = named else {
        let was_pruned = waiting.contains(&sequence) || history.departures().of(sequence).is_some();
        let gone = Trace { time: None, policy: None, fate: TraceFate::Deleted };
        return Ok(was_pruned.then_some(gone));
    };
    let time = event.checkpoints.iter().find(|entry| entry.sequence == sequence).and_then(|entry| entry.time);
    let fate = match event.event {
        EventKind::LeftOut => TraceFate::LeftOut,
        EventKind::Pruned if waiting.contains(&sequence) => {
            // An undo brings back the last prune of which something is left.
            let later = history.events.iter().rev().take_while(|later| later.number >= event.number);
            let prunes = later.filter(|later| later.event == EventKind::Pruned && holds_any(later, &waiting));
            TraceFate::Pruned { undos: prunes.map(|prune| prune.time).collect::<BTreeSet<_>>().len() }
        }
        _ => TraceFate::Deleted,
    };
    Ok(Some(Trace { time: Some(time.unwrap_or(event.time)), policy: event.policy.clone(), fate }))
}

fn holds_any(event: &Event, sequences: &BTreeSet<Sequence>) -> bool {
    event.checkpoints.iter().any(|checkpoint| sequences.contains(&checkpoint.sequence))
}
