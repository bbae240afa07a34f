//! What a run demands of a checkpoint before it resumes from it, as far as its manifest and its tables show.
//!
//! A run that commits a checkpoint demands the same of it first.

use crate::format::index::{self, IndexRow};
use crate::format::manifest::Manifest;
use crate::format::positions::PositionRow;
use crate::input;
use crate::job::JobSpec;
use crate::job::definition::contradiction;
use crate::runner::error::CheckpointError;

/// Fails if `manifest` contradicts the definition in its checkpoint.
pub fn fits(manifest: &Manifest, definition: &JobSpec) -> Result<(), CheckpointError> {
    let sequence = manifest.sequence;
    let reason = contradiction(manifest, definition, input::BLOCK_BYTES);
    reason.map_or(Ok(()), |reason| Err(CheckpointError::Inconsistent { sequence, reason }))
}

/// Fails if a partition has a task that the checkpoint does not have.
pub fn check_tasks(manifest: &Manifest, positions: &[PositionRow]) -> Result<(), CheckpointError> {
    if positions.iter().all(|row| row.task.is_none_or(|task| task < manifest.tasks)) {
        return Ok(());
    }
    let reason = "its positions have a task that is not one of its tasks".to_owned();
    Err(CheckpointError::Inconsistent { sequence: manifest.sequence, reason })
}

/// Sorts the segments of an index into the chains of the shards.
pub fn chains(manifest: &Manifest, rows: Vec<IndexRow>) -> Result<Vec<Vec<IndexRow>>, CheckpointError> {
    let mut chains: Vec<Vec<IndexRow>> = vec![Vec::new(); manifest.shards as usize];
    for row in rows {
        let shard = row.shard;
        let expected = index::tasks_of(shard.min(manifest.shards - 1), manifest.tasks, manifest.shards);
        match chains.get_mut(shard as usize) {
            Some(chain) if expected == (row.first_task, row.last_task) => chain.push(row),
            _ => {
                let reason = format!("its index has a segment of shard {shard} that is not one of its shards");
                return Err(CheckpointError::Inconsistent { sequence: manifest.sequence, reason });
            }
        }
    }
    Ok(chains)
}
