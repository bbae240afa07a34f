//! The objects that must exist, and the checkpoints that need them.

use std::collections::BTreeMap;

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::manifest::Manifest;
use crate::ops::finding::{Finding, FindingCode, Lost, Severity, Subject};
use crate::values::id::Sequence;

/// The objects that must exist, and the checkpoints that need them.
#[derive(Default)]
pub(super) struct ObjectTable {
    pub(super) uses: BTreeMap<ObjectName, ObjectUse>,
    /// Objects for which two checkpoints name different sizes: the second size, and the checkpoint that names it.
    pub(super) conflicts: Vec<(ObjectName, u64, Sequence)>,
}

/// Which checkpoints need an object, and what for.
#[derive(Default)]
pub(super) struct ObjectUse {
    /// Its size; unknown if only `SHA256SUMS` names it.
    pub(super) bytes: Option<u64>,
    pub(super) checkpoints: Vec<Sequence>,
    /// What is lost with it, if known.
    lost: Option<Box<Lost>>,
}

impl ObjectTable {
    pub(super) fn add(&mut self, object: ObjectName, bytes: Option<u64>, sequence: Sequence) {
        let known = self.uses.entry(object).or_default();
        match (known.bytes, bytes) {
            (Some(known), Some(bytes)) if known != bytes => return self.conflicts.push((object, bytes, sequence)),
            (None, bytes) => known.bytes = bytes,
            _ => {}
        }
        known.checkpoints.push(sequence);
    }

    /// Records what the objects of a checkpoint are for.
    pub(super) fn add_parts(&mut self, manifest: Option<&Manifest>, index: &[IndexRow]) {
        let mut add = |object: ObjectName, lost: &dyn Fn() -> Lost| {
            if let Some(known) = self.uses.get_mut(&object) {
                known.lost.get_or_insert_with(|| Box::new(lost()));
            }
        };
        if let Some(manifest) = manifest {
            add(manifest.tables.index.object, &|| Lost::State);
            add(manifest.tables.positions.object, &|| Lost::Positions);
            add(manifest.tables.job.object, &|| Lost::Definition);
            if let Some(messages) = &manifest.messages {
                add(messages.object, &|| Lost::Messages { topic: messages.topic.clone(), rows: messages.rows });
            }
        }
        for row in index {
            add(row.object, &|| Lost::Rows {
                first_task: row.first_task,
                last_task: row.last_task,
                rows: row.rows,
                smallest_key: row.smallest_key.clone(),
                largest_key: row.largest_key.clone(),
            });
        }
    }

    /// Returns what is lost, according to a finding.
    pub(super) fn lost(&self, finding: &Finding) -> Option<Lost> {
        use FindingCode::{ChainBroken, ManifestWrong, PrunedDamaged, ReplicaDiverged, ReplicaUnrelated, TotalsWrong};
        if finding.severity() < Severity::Damage
            || matches!(
                finding.code,
                ChainBroken | ManifestWrong | PrunedDamaged | ReplicaDiverged | ReplicaUnrelated | TotalsWrong
            )
        {
            return None;
        }
        match &finding.subject {
            Subject::Manifest(_) | Subject::Checkpoint(_) => Some(Lost::State),
            Subject::Object(object) => self.uses.get(object)?.lost.as_deref().cloned(),
            Subject::Path(_) => None,
        }
    }
}
