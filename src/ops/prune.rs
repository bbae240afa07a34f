//! `ckpt prune`: removes checkpoints by rules, and leftovers; or brings the former back.
//!
//! A run prunes as well, and operations and runner do not know each other: plan and application are in the floor below.

pub use crate::store::prune::policy::{Policy, PolicyError, Rule};
pub use crate::store::prune::{
    DEFAULT_GRACE, Earlier, Fate, Leftover, LeftoverKind, Outcome, Plan, Planned, PruneError, Request, UndoPlan, apply,
    apply_undo, plan, plan_undo,
};
