//! `ckpt verify --repair`: replaces damaged and missing files by good copies.
//!
//! Witnesses decide what a file must be. An object's name is the SHA-256 of its bytes. A manifest is vouched for by
//! the checkpoint after it, by the `SHA256SUMS` beside it, and by the other replicas. `SHA256SUMS` follows from the
//! manifest and the index. If witnesses contradict each other, nothing is touched.

mod apply;
mod healed;
mod plan;
mod planner;
mod records;
mod sources;
mod step;
mod truth;

pub use apply::{Outcome, apply};
pub use plan::RepairPlan;
pub use planner::plan;
pub use step::{Origin, Step};
