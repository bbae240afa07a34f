//! What happened to the checkpoints of a store.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Something that happened to the checkpoints of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The store format.
    pub format: u32,
    /// From 1.
    pub number: u64,
    pub time: Timestamp,
    pub event: EventKind,
    /// The retention policy that was applied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// Ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub checkpoints: Vec<EventCheckpoint>,
    /// Numbers of pruned checkpoints that are no longer named one by one, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ranges: Vec<Range>,
    /// How many files, for leftovers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub files: Option<u64>,
    /// Bytes that this frees, at once or after the grace period.
    pub bytes: u64,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Checkpoints were pruned.
    Pruned,
    /// Checkpoints were left out when others were copied here.
    LeftOut,
    /// Checkpoints were brought back.
    Undone,
    /// Leftovers were removed: objects that no checkpoint needs, and temporary files.
    RemovedLeftovers,
    /// In object storage: pruned checkpoints are deleted now, and cannot be brought back.
    Expired,
    /// In object storage: checkpoints that were to be pruned were pinned meanwhile, and stay.
    Kept,
    /// Older events were combined.
    Folded,
    /// Something that only a later version does.
    #[serde(other)]
    Other,
}

/// A checkpoint of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCheckpoint {
    pub sequence: Sequence,
    /// The SHA-256 of its manifest.
    pub sha256: Digest,
    /// When it was pruned, in an event that combines others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<Timestamp>,
}

/// Consecutive numbers of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub first: Sequence,
    pub last: Sequence,
}

/// An event that is about to happen, to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub time: Timestamp,
    pub kind: EventKind,
    /// The retention policy that is applied.
    pub policy: Option<String>,
    /// Ascending.
    pub checkpoints: Vec<EventCheckpoint>,
    /// How many files, for leftovers.
    pub files: Option<u64>,
    /// Bytes that this frees.
    pub bytes: u64,
}

impl NewEvent {
    /// Makes an event about `checkpoints`, each with the SHA-256 of its manifest, ascending.
    pub fn of_checkpoints(
        time: Timestamp,
        kind: EventKind,
        checkpoints: impl IntoIterator<Item = (Sequence, Digest)>,
    ) -> NewEvent {
        let entry = |(sequence, sha256)| EventCheckpoint { sequence, sha256, time: None };
        let checkpoints = checkpoints.into_iter().map(entry).collect();
        NewEvent { time, kind, policy: None, checkpoints, files: None, bytes: 0 }
    }
}

impl Event {
    /// Returns the checkpoints that it says were brought back.
    pub fn brought_back(&self) -> impl Iterator<Item = Sequence> {
        let is_undone = self.event == EventKind::Undone;
        self.checkpoints.iter().filter(move |_| is_undone).map(|checkpoint| checkpoint.sequence)
    }
}
