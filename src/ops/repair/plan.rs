//! The plan of a repair.

use crate::ops::finding::Finding;
use crate::ops::repair::step::Step;

/// What would be written, and what cannot be repaired.
#[derive(Debug, Clone, Default)]
pub struct RepairPlan {
    /// In the order in which they are applied.
    pub steps: Vec<Step>,
    /// Damage without a good copy: the replica, and what was found there.
    pub hopeless: Vec<(String, Finding)>,
}
