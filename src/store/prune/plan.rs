//! The plan of a prune: what will happen, and why.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::format::layout::ObjectName;
use crate::store::prune::leftovers::{Fate, Leftover};
use crate::store::prune::policy::{Policy, Rule};
use crate::store::prune::replica_plan::ReplicaPlan;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// How long removed checkpoints can be brought back by default.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub policy: Policy,
    /// How long checkpoints can be brought back, and how old leftovers must be to be deleted.
    pub grace: Duration,
    /// The time zone of the hours, days, weeks and months.
    pub zone: TimeZone,
}

/// What will happen, and everything that must be known to do it.
#[derive(Debug)]
pub struct Plan {
    pub request: Request,
    pub now: Timestamp,
    /// The checkpoints, ascending.
    pub checkpoints: Vec<PlannedCheckpoint>,
    /// Checkpoints that were pruned before, ascending.
    pub pruned: Vec<PrunedEarlier>,
    /// Files that no checkpoint needs, by path.
    pub leftovers: Vec<Leftover>,
    /// The objects that are kept.
    pub(super) needed: HashSet<ObjectName>,
    /// The parents of existing checkpoints: the history must keep their names.
    pub(super) parents: BTreeSet<Sequence>,
    /// What is done in each replica.
    pub(super) replicas: Vec<ReplicaPlan>,
}

/// A checkpoint in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCheckpoint {
    pub sequence: Sequence,
    /// The SHA-256 of its manifest.
    pub sha256: Digest,
    /// When its cut was taken.
    pub created: Timestamp,
    /// How many keys its state has.
    pub keys: u64,
    /// The rules that keep it; none if it is removed.
    pub kept_by: Vec<Rule>,
    /// The bytes of objects that are removed with it: no kept checkpoint needs them, and no newer removed one.
    pub frees_bytes: u64,
    /// Whether every object that it needs exists.
    pub is_whole: bool,
}

impl PlannedCheckpoint {
    pub fn is_removed(&self) -> bool {
        self.kept_by.is_empty()
    }
}

/// A checkpoint that was pruned before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrunedEarlier {
    pub sequence: Sequence,
    /// When it was pruned; nothing if the history does not know, which restarts the grace period.
    pub pruned: Option<Timestamp>,
    /// Whether its grace period is over, so that it is deleted now.
    pub is_due: bool,
    /// The SHA-256 of its manifest, where that was read.
    pub(super) sha256: Option<Digest>,
}

impl PrunedEarlier {
    /// Tells whether the history has yet to record it.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.pruned.is_none() && self.sha256.is_some()
    }
}

impl Plan {
    /// Returns the checkpoints that are removed, ascending.
    pub fn removed(&self) -> impl Iterator<Item = &PlannedCheckpoint> {
        self.checkpoints.iter().filter(|checkpoint| checkpoint.is_removed())
    }

    /// Returns the bytes of the objects that are removed with them, in one replica.
    pub fn removed_bytes(&self) -> u64 {
        self.removed().fold(0, |sum, checkpoint| sum.saturating_add(checkpoint.frees_bytes))
    }

    /// Returns the bytes of leftovers that are removed, in all replicas.
    pub fn leftover_bytes(&self) -> u64 {
        let removed = self.leftovers.iter().filter(|leftover| leftover.fate == Fate::Remove);
        removed.fold(0, |sum, leftover| sum.saturating_add(leftover.bytes))
    }

    /// Tells whether [`apply`](super::apply) would change anything.
    pub fn has_work(&self) -> bool {
        self.removed().next().is_some()
            || self.leftovers.iter().any(|leftover| leftover.fate == Fate::Remove)
            || self.pruned.iter().any(|earlier| earlier.is_due || earlier.is_unrecorded())
    }

    /// Tells whether the removed checkpoints can be brought back for a while.
    pub fn has_grace(&self) -> bool {
        !self.request.grace.is_zero()
    }
}
