//! What a copy would do.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::format::layout::ObjectName;
use crate::ops::read::ReadError;
use crate::storage::Storage;
use crate::store::records::pins::Pin;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;

/// What is done with one checkpoint.
#[derive(Debug)]
pub enum Step {
    /// The target does not have it: it is copied, with its missing objects.
    Copy {
        committed: Box<Committed>,
        /// Objects that are neither in the target nor copied with an earlier checkpoint.
        missing_objects: u64,
        /// The total size of these objects.
        missing_bytes: u64,
    },
    /// The target has the same checkpoint.
    Present,
    /// It is damaged in the source, so it is left out.
    Unreadable(ReadError),
}

/// A copy that has not been applied.
#[derive(Debug)]
pub struct CopyPlan {
    pub target: Arc<dyn Storage>,
    /// The store at the target; nothing if it is to be created.
    pub existing: Option<Store>,
    /// What is done with each checkpoint, ascending.
    pub steps: BTreeMap<Sequence, Step>,
    /// The pins of these checkpoints that the target does not have, ascending.
    pub pins: Vec<Pin>,
    /// The needed objects that committed checkpoints in the target have already.
    pub(super) there: HashSet<ObjectName>,
}

impl CopyPlan {
    /// Returns how many checkpoints, objects and bytes are to be copied.
    pub fn totals(&self) -> (u64, u64, u64) {
        self.steps.values().fold((0, 0, 0), |totals, step| match step {
            Step::Copy { missing_objects, missing_bytes, .. } => {
                (totals.0 + 1, totals.1 + missing_objects, totals.2 + missing_bytes)
            }
            Step::Present | Step::Unreadable(_) => totals,
        })
    }
}
