//! The proof that a run can resume from a checkpoint, made before it is committed.

use bytes::Bytes;

use crate::format::manifest::Manifest;
use crate::format::{index, positions};
use crate::job::definition;
use crate::runner::error::RunError;
use crate::runner::resumable::{chains, check_tasks, fits};

/// The bytes of what a checkpoint has beside its manifest and its segments.
#[derive(Debug)]
pub(crate) struct TableBytes {
    pub(crate) index: Bytes,
    pub(crate) positions: Bytes,
    pub(crate) job: Bytes,
}

/// Fails unless a run that resumes would accept `manifest` with these tables.
pub(crate) fn prove(manifest: &Manifest, tables: TableBytes) -> Result<(), RunError> {
    let sequence = manifest.sequence;
    accept(manifest, tables).map_err(|source| RunError::NotResumable { sequence, source: Box::new(source) })
}

fn accept(manifest: &Manifest, tables: TableBytes) -> Result<(), RunError> {
    fits(manifest, &definition::parse(&tables.job, manifest.sequence)?)?;
    let named = manifest.tables;
    let index = index::decode(tables.index).map_err(RunError::table(named.index.object))?;
    chains(manifest, index)?;
    let positions = positions::decode(tables.positions).map_err(RunError::table(named.positions.object))?;
    check_tasks(manifest, &positions)?;
    Ok(())
}
