//! The batch that a worker reads, if it reads the topic to an end: which messages are in it.

use std::collections::BTreeMap;

use crate::format::positions::{BatchEnds, batch_ends};
use crate::runner::lineage::Lineage;
use crate::runner::observer::RunEvent;
use crate::runner::options::NewBatch;

/// What one of several workers reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// Whatever comes: it has no end. The same for a run alone, which asks the topic where it ends.
    None,
    /// Up to the ends of a batch.
    Open {
        ends: BatchEnds,
        /// Whether no checkpoint has these ends yet.
        is_new: bool,
    },
    /// Nothing: the latest checkpoint has everything up to the ends.
    Complete,
}

impl Batch {
    /// Returns what a worker reads that may begin the batch `new` and continues from `lineage`.
    pub fn of(new: Option<&NewBatch>, lineage: &Lineage) -> Batch {
        let Some(new) = new else { return Batch::None };
        let last = lineage.last.as_ref().map(|last| &last.manifest);
        if let Some(last) = last.filter(|last| last.ended) {
            return match Some(last.sequence) == new.after {
                true => Batch::Open { ends: new.ends.clone(), is_new: true },
                false => Batch::Complete,
            };
        }
        match batch_ends(lineage.positions.values()) {
            Some(ends) => Batch::Open { ends, is_new: false },
            None => Batch::Open { ends: new.ends.clone(), is_new: true },
        }
    }

    /// Returns the ends, if there are any.
    pub fn ends(&self) -> Option<&BatchEnds> {
        match self {
            Batch::Open { ends, .. } => Some(ends),
            Batch::None | Batch::Complete => None,
        }
    }

    /// Returns what people should know about a batch that is read from `lineage` on.
    pub(super) fn event(&self, lineage: &Lineage) -> Option<RunEvent> {
        let Batch::Open { ends, is_new } = self else { return None };
        let rows = lineage.positions.values();
        let read: BTreeMap<u32, u64> = rows.filter_map(|row| Some((row.task?, row.message.as_ref()?.offset))).collect();
        let is_known = ends.keys().all(|task| read.contains_key(task));
        let left = |(task, end): (&u32, &u64)| end.saturating_sub(read.get(task).copied().unwrap_or(0));
        Some(RunEvent::Batch { is_new: *is_new, left: is_known.then(|| ends.iter().map(left).sum()) })
    }
}
