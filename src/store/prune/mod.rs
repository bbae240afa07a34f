//! Pruning: which checkpoints and leftovers go, and what that frees.
//!
//! A pruned checkpoint is renamed away first, to `pruned/`, in one step. It can be brought back until its grace time is
//! over; only then it is deleted, and the objects that nothing else needs. With a grace time of zero both happen at once.
//! The order of every step is such that a prune that is stopped anywhere leaves a whole store, and that the next one
//! finishes it:
//!
//! 1. what is due already is deleted: this needs no room on the disk, and may make some;
//! 2. the history says what goes;
//! 3. checkpoints are renamed away, the oldest first;
//! 4. without grace time, their objects are deleted, then the directories.
//!
//! A job may run meanwhile. It relies on the objects of the latest checkpoint, which is never pruned, on new ones that it
//! writes, and on old ones that it finds to be there and makes as new (`Replica::take_over`). So what is as new as the
//! latest checkpoint is deleted only when the store's lock shows that no job runs, and each object's age is looked at
//! under a lock that taking over needs as well.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::format::layout::{self, ObjectName};
use crate::storage::{Entry, EntryKind, StorageError};
use crate::store::prune::policy::{Candidate, Policy, PolicyError, Rule, decide};
use crate::store::{Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;
use crate::values::relpath::RelPath;

mod apply;
pub mod policy;
mod survey;
mod undo;

pub use apply::{Outcome, Writers, apply, apply_beside};
pub use undo::{UndoPlan, apply_undo, plan_undo};

use survey::{Around, LyingKind, Survey, Surveyed};

/// How long what was removed can be brought back, unless somebody says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the checkpoints are listed while others remove some.
const PLAN_ATTEMPTS: usize = 4;

/// Why nothing was pruned or brought back, or not all.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The policy can not be meant.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It can not be told what a checkpoint needs.
    #[error("cannot tell what checkpoint {} needs, so nothing was deleted", .sequence.0)]
    Unreadable {
        /// The checkpoint.
        sequence: Sequence,
        /// What is wrong with it.
        source: Box<StoreError>,
    },
    /// The store is not what it was when the plan was made.
    #[error("the store has changed since the plan was made: {reason}")]
    Moved {
        /// What has changed.
        reason: String,
    },
    /// Nothing that was pruned is left.
    #[error("`{place}` has nothing to bring back")]
    NothingToUndo {
        /// The store.
        place: String,
    },
    /// What was pruned can not be brought back whole.
    #[error("checkpoint {} can not be brought back: {missing} of its objects are gone", .sequence.0)]
    ObjectsGone {
        /// The checkpoint.
        sequence: Sequence,
        /// How many objects.
        missing: u64,
    },
    /// The disk is full, and only a prune without grace time makes room.
    #[error("there is no room to note down what would be pruned")]
    NoRoom {
        /// What the system said.
        source: StoreError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StorageError> for PruneError {
    fn from(error: StorageError) -> PruneError {
        PruneError::Store(error.into())
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which checkpoints are kept.
    pub policy: Policy,
    /// How long they can be brought back, and how old leftovers have to be.
    pub grace: Duration,
    /// Whose hours, days, weeks and months count.
    pub zone: TimeZone,
}

/// What will happen, and all that has to be known to do it.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// When.
    pub now: Timestamp,
    /// The checkpoints, ascending.
    pub checkpoints: Vec<Planned>,
    /// Checkpoints that were pruned before, ascending.
    pub pruned: Vec<Earlier>,
    /// What no checkpoint needs, by path.
    pub leftovers: Vec<Leftover>,
    /// The objects that stay.
    needed: HashSet<ObjectName>,
    /// The parents of checkpoints that are there: the history has to know these by name.
    parents: BTreeSet<Sequence>,
    /// What is done in each replica.
    replicas: Vec<ReplicaPlan>,
}

/// A checkpoint of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its number.
    pub sequence: Sequence,
    /// The SHA-256 of its manifest.
    pub sha256: Digest,
    /// When its cut was taken.
    pub created: Timestamp,
    /// Keys in its state.
    pub keys: u64,
    /// What keeps it; nothing when it goes.
    pub kept_by: Vec<Rule>,
    /// The bytes of objects that go with it: nothing that stays needs them, and no newer one that goes.
    pub frees_bytes: u64,
    /// Whether every object that it needs is there.
    pub is_whole: bool,
}

impl Planned {
    /// Tells whether it goes.
    pub fn is_removed(&self) -> bool {
        self.kept_by.is_empty()
    }
}

/// A checkpoint that was pruned before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// Its number.
    pub sequence: Sequence,
    /// When it was pruned; nothing when the history does not know, which makes the grace time begin anew.
    pub pruned: Option<Timestamp>,
    /// Whether its grace time is over, so that it is deleted now.
    pub is_due: bool,
    /// The SHA-256 of its manifest, where the history does not know.
    sha256: Option<Digest>,
}

impl Earlier {
    /// Tells whether the history has to learn of it.
    fn is_unknown(&self) -> bool {
        self.pruned.is_none() && self.sha256.is_some()
    }
}

/// Something that no checkpoint needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The replica that it lies in.
    pub place: String,
    /// Its path in the store.
    pub path: String,
    /// What it is.
    pub kind: LeftoverKind,
    /// Its size; 0 for a directory.
    pub bytes: u64,
    /// How long ago it was written, in seconds, where that is known.
    pub age_seconds: Option<i64>,
    /// What happens to it.
    pub fate: Fate,
}

/// What a leftover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftoverKind {
    /// An object that no checkpoint needs: one was cut short before its commit, or is being written now.
    Object,
    /// A temporary file or directory: a write was cut short, or is going on now.
    Temporary,
    /// A damaged object that was replaced by a good one.
    SetAside,
    /// Something that is no part of a store.
    Foreign,
}

/// What happens to a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is deleted, unless a job is running that may need it.
    Remove,
    /// It stays until its grace time is over.
    Wait,
    /// It stays: only a person knows what it is for.
    Leave,
}

/// What is done in one replica.
#[derive(Debug)]
struct ReplicaPlan {
    /// The checkpoints that go and that it has, ascending.
    remove: Vec<Sequence>,
    /// The pruned ones whose grace time is over, ascending.
    due: Vec<Sequence>,
    /// The pruned ones in all.
    pruned: BTreeSet<Sequence>,
    /// Objects that may go before the checkpoints are renamed, those that go after it, each with its size.
    leftover_objects: BTreeMap<ObjectName, u64>,
    removed_objects: BTreeMap<ObjectName, u64>,
    /// Temporary files and directories that go.
    temporary: Vec<Temporary>,
    /// What was written since may be needed by a running job, in seconds since 1970; nothing when that is not known.
    newest_seconds: Option<i64>,
}

/// A temporary file or directory.
#[derive(Debug)]
struct Temporary {
    path: RelPath,
    is_directory: bool,
    /// Its size; 0 for a directory.
    bytes: u64,
    modified_seconds: Option<i64>,
}

impl Plan {
    /// Returns the checkpoints that go, ascending.
    pub fn removed(&self) -> impl Iterator<Item = &Planned> {
        self.checkpoints.iter().filter(|checkpoint| checkpoint.is_removed())
    }

    /// Returns the bytes of the objects that go with them, in one replica.
    pub fn removed_bytes(&self) -> u64 {
        self.removed().fold(0, |sum, checkpoint| sum.saturating_add(checkpoint.frees_bytes))
    }

    /// Returns the bytes of leftovers that go, in all replicas.
    pub fn leftover_bytes(&self) -> u64 {
        let removed = self.leftovers.iter().filter(|leftover| leftover.fate == Fate::Remove);
        removed.fold(0, |sum, leftover| sum.saturating_add(leftover.bytes))
    }

    /// Tells whether [`apply`] would change anything.
    pub fn has_work(&self) -> bool {
        self.removed().next().is_some()
            || self.leftovers.iter().any(|leftover| leftover.fate == Fate::Remove)
            || self.pruned.iter().any(|earlier| earlier.is_due || earlier.is_unknown())
    }

    /// Tells whether what is pruned can be brought back for a while.
    pub fn has_grace(&self) -> bool {
        !self.request.grace.is_zero()
    }
}

/// Plans what `request` asks for at `now`. Reads every manifest and, of each, the list of its objects; writes nothing.
///
/// Fails with [`PruneError::Unreadable`] when it can not be told what any checkpoint needs. `progress` is told of
/// checkpoints.
pub fn plan(store: &Store, request: &Request, now: Timestamp, progress: &dyn Progress) -> Result<Plan, PruneError> {
    request.policy.check()?;
    for _ in 1..PLAN_ATTEMPTS {
        match plan_once(store, request, now, progress) {
            // Somebody else may be pruning, and have renamed it after it was listed.
            Err(PruneError::Unreadable { source, .. }) if source.is_not_found() => {}
            planned => return planned,
        }
    }
    plan_once(store, request, now, progress)
}

fn plan_once(store: &Store, request: &Request, now: Timestamp, progress: &dyn Progress) -> Result<Plan, PruneError> {
    // Before anything is read: a pin that is set meanwhile is seen when the plan is applied.
    let pins: BTreeSet<Sequence> = store.pins()?.into_keys().collect();
    let mut survey = Survey::read(store, progress)?;
    let earlier = earlier(store, &mut survey, request.grace, now, progress)?;

    let candidates = candidates(&survey);
    let kept_by = decide(&candidates, &pins, &request.policy, now, &request.zone)?;
    let mut uses = vec![Use::Nothing; survey.objects.names.len()];
    let mut take = |needs: &[u32], by: Use| {
        let mut bytes = 0u64;
        for &number in needs {
            let used = &mut uses[number as usize];
            if *used == Use::Nothing {
                *used = by;
                bytes = bytes.saturating_add(if survey.objects.is_there[number as usize] {
                    survey.objects.bytes[number as usize]
                } else {
                    0
                });
            }
        }
        bytes
    };
    for needs in &earlier.needs {
        take(needs, Use::Stays);
    }
    for (checkpoint, _) in survey.live.iter().zip(&kept_by).filter(|(_, kept_by)| !kept_by.is_empty()) {
        take(&checkpoint.needs, Use::Stays);
    }
    let mut checkpoints: Vec<Planned> = Vec::with_capacity(survey.live.len());
    for (checkpoint, kept_by) in survey.live.iter().zip(kept_by).rev() {
        let frees_bytes = if kept_by.is_empty() { take(&checkpoint.needs, Use::Goes) } else { 0 };
        let Surveyed { sequence, sha256, created, keys, is_whole, .. } = *checkpoint;
        checkpoints.push(Planned { sequence, sha256, created, keys, kept_by, frees_bytes, is_whole });
    }
    checkpoints.reverse();

    let of_use = |wanted: Use| -> HashSet<ObjectName> {
        let names = survey.objects.names.iter().zip(&uses).filter(|(_, used)| **used == wanted);
        names.map(|(name, _)| *name).collect()
    };
    let (needed, removed) = (of_use(Use::Stays), of_use(Use::Goes));
    let going: BTreeSet<Sequence> = checkpoints.iter().filter(|c| c.is_removed()).map(|c| c.sequence).collect();
    let due: BTreeSet<Sequence> = earlier.list.iter().filter(|e| e.is_due).map(|e| e.sequence).collect();
    let mut leftovers = Vec::new();
    let mut replicas = Vec::new();
    for (storage, around) in store.replicas.iter().zip(&survey.around) {
        let found = Found { place: storage.place(), around, needed: &needed, removed: &removed };
        leftovers.extend(found.leftovers(request.grace, now));
        replicas.push(found.plan(&going, &due, request.grace, now));
    }
    let parents = survey.live.iter().filter_map(|checkpoint| checkpoint.parent).collect();
    Ok(Plan { request: request.clone(), now, checkpoints, pruned: earlier.list, leftovers, needed, parents, replicas })
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// No checkpoint needs it.
    Nothing,
    /// One that stays needs it, or one that can still be brought back.
    Stays,
    /// Only some that go need it.
    Goes,
}

/// Returns what the decision is made of.
fn candidates(survey: &Survey) -> Vec<Candidate> {
    let mut seen = vec![false; survey.objects.names.len()];
    let mut candidates: Vec<Candidate> = Vec::with_capacity(survey.live.len());
    for checkpoint in survey.live.iter().rev() {
        let new = checkpoint.needs.iter().copied();
        let new = new.filter(|&number| !std::mem::replace(&mut seen[number as usize], true));
        candidates.push(Candidate {
            sequence: checkpoint.sequence,
            created: checkpoint.created,
            bytes: survey.objects.sum(new),
            is_whole: checkpoint.is_whole,
        });
    }
    candidates.reverse();
    candidates
}

/// Checkpoints that were pruned before, and what those that can be brought back need.
struct EarlierOnes {
    list: Vec<Earlier>,
    needs: Vec<Vec<u32>>,
}

fn earlier(
    store: &Store,
    survey: &mut Survey,
    grace: Duration,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<EarlierOnes, PruneError> {
    let sequences: BTreeSet<Sequence> = survey.around.iter().flat_map(|around| around.pruned.iter().copied()).collect();
    if sequences.is_empty() {
        return Ok(EarlierOnes { list: Vec::new(), needs: Vec::new() });
    }
    let departures = store.history()?.departures();
    let mut list: Vec<Earlier> = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let pruned = departures.of(sequence).and_then(|departure| departure.time);
        // What the history does not know was pruned just now, as far as anybody can tell.
        let is_due =
            grace.is_zero() || pruned.is_some_and(|pruned| pruned.checked_add(grace).is_ok_and(|end| end <= now));
        list.push(Earlier { sequence, pruned, is_due, sha256: None });
    }
    let waiting: Vec<Sequence> = list.iter().filter(|e| !e.is_due).map(|e| e.sequence).collect();
    let read = survey.checkpoints(store, &waiting, layout::pruned_dir, progress)?;
    let hashes: BTreeMap<Sequence, Digest> = read.iter().map(|read| (read.sequence, read.sha256)).collect();
    for earlier in &mut list {
        earlier.sha256 = hashes.get(&earlier.sequence).copied();
    }
    Ok(EarlierOnes { list, needs: read.into_iter().map(|read| read.needs).collect() })
}

/// What was found in a replica, and what is known of it.
struct Found<'a> {
    place: String,
    around: &'a Around,
    needed: &'a HashSet<ObjectName>,
    removed: &'a HashSet<ObjectName>,
}

impl Found<'_> {
    /// Returns the objects that neither stay nor go with a checkpoint.
    fn unneeded(&self) -> impl Iterator<Item = (&ObjectName, &Entry)> {
        let unneeded = |name: &ObjectName| !self.needed.contains(name) && !self.removed.contains(name);
        self.around.objects.iter().filter(move |(name, _)| unneeded(name))
    }

    fn leftovers(&self, grace: Duration, now: Timestamp) -> Vec<Leftover> {
        let leftover = |path: String, entry: &Entry, kind: LeftoverKind| Leftover {
            place: self.place.clone(),
            path,
            kind,
            bytes: entry.bytes,
            age_seconds: entry.modified_seconds.map(|seconds| now.as_second().saturating_sub(seconds)),
            fate: match kind {
                LeftoverKind::SetAside | LeftoverKind::Foreign => Fate::Leave,
                _ if is_old(entry.modified_seconds, grace, now) => Fate::Remove,
                _ => Fate::Wait,
            },
        };
        let objects =
            self.unneeded().map(|(name, entry)| leftover(name.path().to_string(), entry, LeftoverKind::Object));
        let lying = self.around.lying.iter().map(|lying| {
            let kind = match lying.kind {
                LyingKind::Temporary => LeftoverKind::Temporary,
                LyingKind::SetAside => LeftoverKind::SetAside,
                LyingKind::Foreign => LeftoverKind::Foreign,
            };
            leftover(lying.path.clone(), &lying.entry, kind)
        });
        let mut leftovers: Vec<Leftover> = objects.chain(lying).collect();
        leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        leftovers
    }

    fn plan(
        &self,
        going: &BTreeSet<Sequence>,
        due: &BTreeSet<Sequence>,
        grace: Duration,
        now: Timestamp,
    ) -> ReplicaPlan {
        let old = |modified: Option<i64>| is_old(modified, grace, now);
        let old_objects = self.unneeded().filter(|(_, entry)| old(entry.modified_seconds));
        let temporary = self.around.lying.iter().filter(|lying| lying.kind == LyingKind::Temporary);
        let temporary = temporary.filter(|lying| old(lying.entry.modified_seconds)).filter_map(|lying| {
            Some(Temporary {
                path: RelPath::new(lying.path.clone()).ok()?,
                is_directory: lying.entry.kind == EntryKind::Directory,
                bytes: lying.entry.bytes,
                modified_seconds: lying.entry.modified_seconds,
            })
        });
        let of = |objects: &HashSet<ObjectName>| -> BTreeMap<ObjectName, u64> {
            let there = self.around.objects.iter().filter(|(name, _)| objects.contains(name));
            there.map(|(name, entry)| (*name, entry.bytes)).collect()
        };
        ReplicaPlan {
            remove: self.around.live.intersection(going).copied().collect(),
            due: self.around.pruned.intersection(due).copied().collect(),
            pruned: self.around.pruned.clone(),
            leftover_objects: old_objects.map(|(name, entry)| (*name, entry.bytes)).collect(),
            removed_objects: of(self.removed),
            temporary: temporary.collect(),
            newest_seconds: self.around.newest_seconds,
        }
    }
}

/// Tells whether something was written longer ago than the grace time. What has no known age is as new as can be.
fn is_old(modified_seconds: Option<i64>, grace: Duration, now: Timestamp) -> bool {
    let grace = i64::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    grace == 0 || modified_seconds.is_some_and(|modified| now.as_second().saturating_sub(modified) >= grace)
}
