//! Which replicas of a store can be written to, and the notes about them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use crate::storage::LockGuard;
use crate::values::id::Sequence;
use crate::values::lock::lock;
use crate::values::units::Bytes;

/// The most notes that are kept until they are taken; a broken replica could cause one per object.
const MAX_NOTES: usize = 20;

/// Something about the replicas that the user of the store should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNote {
    /// A file could not be read from one replica, and was read from another.
    FellBack {
        /// The file that could not be read, with its replica.
        path: String,
        reason: String,
        /// The replica that had it.
        place: String,
    },
    /// The same happened to more files than are reported one by one.
    MoreFellBack { count: u64 },
    /// A replica cannot be written to, and the others continue without it.
    Lost { place: String, reason: String },
    /// A replica is not of the branch that is read.
    NotRead { place: String, reason: String },
    /// It is unknown which replicas the store has.
    PlacesUnread { reason: String },
    /// A replica has everything again that the others have.
    CaughtUp {
        place: String,
        /// Whether it was not a store before: a new disk, for instance.
        new: bool,
        /// The checkpoints that it got.
        checkpoints: u64,
        /// The bytes of objects that it got.
        bytes: u64,
    },
    /// A lock is waited for, whose holder is slow, or stopped.
    Waits { path: String, holder: String },
    /// A checkpoint is damaged in every replica that has it, so it was not copied to another one.
    LeftOut {
        /// The replica that is missing it.
        place: String,
        sequence: Sequence,
        reason: String,
    },
}

impl fmt::Display for StoreNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreNote::FellBack { path, reason, place } => {
                write!(f, "cannot use `{path}`, reading it from `{place}` instead: {reason}")
            }
            StoreNote::MoreFellBack { count } => write!(f, "{count} more files were read from another replica"),
            StoreNote::Lost { place, reason } => write!(f, "replica `{place}` is lost: {reason}"),
            StoreNote::NotRead { place, reason } => write!(f, "replica `{place}` is not used: {reason}"),
            StoreNote::PlacesUnread { reason } => f.write_str(reason),
            StoreNote::CaughtUp { place, new: true, checkpoints: 0, .. } => {
                write!(f, "replica `{place}` was empty, and there was no checkpoint to copy to it")
            }
            StoreNote::CaughtUp { place, new, checkpoints, bytes } => {
                let was = if *new { "was empty and has caught up" } else { "has caught up" };
                let plural = if *checkpoints == 1 { "" } else { "s" };
                write!(f, "replica `{place}` {was}: {checkpoints} checkpoint{plural}, {}", Bytes(*bytes))
            }
            StoreNote::Waits { path, holder } => {
                write!(
                    f,
                    "waiting for `{path}`, locked by {holder}; if that process is stopped, let it continue or end it"
                )
            }
            StoreNote::LeftOut { place, sequence, reason } => {
                write!(f, "replica `{place}` is missing checkpoint {}: {reason}", sequence.0)
            }
        }
    }
}

/// What all clones of a store know about its replicas, by index.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why a replica cannot be written to.
    lost: BTreeMap<usize, String>,
    notes: Vec<StoreNote>,
    /// Files read from another replica that no note reports.
    unreported: u64,
    /// The holder of the store, once it is locked.
    holder: Option<String>,
    /// Who else said that it writes to a replica without locks.
    rival: Option<String>,
    /// The locks of replicas that came back after the store was locked.
    guards: BTreeMap<usize, Box<dyn LockGuard>>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Returns why replica `index` cannot be written to, if so.
    pub(super) fn lost(&self, index: usize) -> Option<String> {
        self.state().lost.get(&index).cloned()
    }

    /// Returns the replicas that cannot be written to, and why.
    pub(super) fn all_lost(&self) -> BTreeMap<usize, String> {
        self.state().lost.clone()
    }

    /// Marks replica `index` as one that cannot be written to. Only the first time is noted.
    pub(super) fn lose(&self, index: usize, place: String, reason: String) {
        let mut state = self.state();
        if state.lost.insert(index, reason.clone()).is_none() {
            state.notes.push(StoreNote::Lost { place, reason });
        }
    }

    /// Forgets the notes about lost replicas, which the caller reports.
    pub(super) fn drop_lost_notes(&self) {
        self.state().notes.retain(|note| !matches!(note, StoreNote::Lost { .. }));
    }

    /// Changes why replica `index`, which is lost, cannot be written to, and notes it if that is new.
    pub(super) fn refuse(&self, index: usize, place: String, reason: String) {
        let mut state = self.state();
        if state.lost.insert(index, reason.clone()).as_ref() != Some(&reason) {
            state.notes.push(StoreNote::Lost { place, reason });
        }
    }

    /// Marks replica `index` as usable again.
    pub(super) fn regain(&self, index: usize) {
        self.state().lost.remove(&index);
    }

    pub(super) fn note(&self, note: StoreNote) {
        let mut state = self.state();
        if state.notes.contains(&note) {
            return;
        }
        match note {
            StoreNote::FellBack { .. } if state.notes.len() >= MAX_NOTES => state.unreported += 1,
            note => state.notes.push(note),
        }
    }

    /// Returns the first note about a file that was read from another replica, and how many such files there are.
    pub(super) fn read_elsewhere(&self) -> Option<(StoreNote, u64)> {
        let state = self.state();
        let noted = || state.notes.iter().filter(|note| matches!(note, StoreNote::FellBack { .. }));
        Some((noted().next()?.clone(), noted().count() as u64 + state.unreported))
    }

    pub(super) fn take_notes(&self) -> Vec<StoreNote> {
        let mut state = self.state();
        let mut notes = std::mem::take(&mut state.notes);
        let count = std::mem::take(&mut state.unreported);
        if count > 0 {
            notes.push(StoreNote::MoreFellBack { count });
        }
        notes
    }

    pub(super) fn set_holder(&self, holder: &str) {
        self.state().holder = Some(holder.to_owned());
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.state().holder.clone()
    }

    pub(super) fn set_rival(&self, rival: Option<String>) {
        self.state().rival = rival;
    }

    pub(super) fn rival(&self) -> Option<String> {
        self.state().rival.clone()
    }

    pub(super) fn keep_lock(&self, index: usize, guard: Box<dyn LockGuard>) {
        self.state().guards.insert(index, guard);
    }
}
