//! One of the two checkpoints that are compared.

use std::collections::HashMap;

use crate::format::manifest::Manifest;
use crate::format::positions::PositionRow;
use crate::ops::read::{ReadError, Snapshot};
use crate::store::Store;
use crate::values::id::Sequence;

/// One of the two checkpoints.
#[derive(Debug, Clone)]
pub struct Side {
    pub store: Store,
    pub snapshot: Snapshot,
    /// Sorted by partition and cut.
    pub positions: Vec<PositionRow>,
}

impl Side {
    /// Reads the manifest, the index and the positions of checkpoint `sequence`.
    pub fn open(store: Store, sequence: Sequence) -> Result<Side, ReadError> {
        let snapshot = Snapshot::open(&store, sequence)?;
        let positions = snapshot.positions(&store)?;
        Ok(Side { store, snapshot, positions })
    }

    pub fn manifest(&self) -> &Manifest {
        self.snapshot.manifest()
    }

    pub(super) fn table_bytes(&self) -> u64 {
        let tables = self.manifest().tables;
        tables.index.bytes.saturating_add(tables.positions.bytes)
    }

    /// Returns the tasks of the partitions of a job without a key.
    pub(super) fn partition_tasks(&self) -> HashMap<&str, u32> {
        self.positions.iter().filter_map(|row| Some((row.partition.as_str(), row.task?))).collect()
    }
}
