//! Pruning: which checkpoints and leftovers are removed, and what that frees.
//!
//! A pruned checkpoint is first renamed away, to `pruned/`, in one step. It can be brought back until its grace period
//! is over; only then are it and the objects that nothing else needs deleted. With a grace period of zero both happen
//! at once. The steps are ordered so that a prune that is stopped anywhere leaves an intact store, and the next one
//! finishes it:
//!
//! 1. what is already due is deleted: this needs no space on the disk, and may free some;
//! 2. the history records what is removed;
//! 3. checkpoints are renamed away, the oldest first;
//! 4. without a grace period, their objects are deleted, then the directories.
//!
//! A job may run meanwhile. It relies on the objects of the latest checkpoint, which is never pruned, on new objects
//! that it writes, and on old ones that it finds and makes as new (`Replica::take_over`). So anything as new as the
//! latest checkpoint is deleted only if the store's lock shows that no job runs, and each object's age is checked
//! under a lock that taking over needs as well.

mod apply;
mod contents;
mod delete;
mod error;
mod leftovers;
mod moves;
mod plan;
mod planning;
pub mod policy;
mod replica_plan;
mod survey;
mod sweep;
pub mod trace;
mod undo;

pub use apply::{apply, apply_beside};
pub use error::PruneError;
pub use leftovers::{Fate, Leftover, LeftoverKind};
pub use plan::{DEFAULT_GRACE, Plan, PlannedCheckpoint, PrunedEarlier, Request};
pub use planning::plan;
pub use sweep::{Outcome, Writers};
pub use undo::{UndoPlan, apply_undo, plan_undo, settle_undo};
