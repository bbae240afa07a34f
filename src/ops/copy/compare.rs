//! Compares the source of a copy with its target.

use crate::ops::copy::error::CopyError;
use crate::ops::copy::plan::Step;
use crate::ops::read::ReadError;
use crate::store::{Replica, Store, forks};
use crate::values::id::Sequence;

/// Checks that none of `sequences` belongs to one branch of a fork: between replicas of the source, or between them and
/// the target.
pub(super) fn check_undivided(source: &Store, target: Option<&Store>, sequences: &[Sequence]) -> Result<(), CopyError> {
    let replicas: Vec<Replica> =
        source.replicas().iter().chain(target.into_iter().flat_map(Store::replicas)).cloned().collect();
    let forks = forks(&source.file, &replicas).map_err(|(_, error)| CopyError::SourceDiverged(Box::new(error)))?;
    let Some(fork) = forks.into_iter().find(|fork| sequences.iter().any(|&sequence| fork.divides(sequence))) else {
        return Ok(());
    };
    let [theirs, other] = &fork.branches;
    match (fork.sequence, theirs.sha256, other.sha256) {
        (Some(sequence), Some(expected), Some(found)) if target.is_some_and(|target| target.place() == other.place) => {
            Err(CopyError::Diverged { sequence, place: other.place.clone(), expected, found })
        }
        _ => Err(CopyError::SourceDiverged(Box::new(fork.error()))),
    }
}

/// Compares a checkpoint with the one in the target that has the same number. Returns nothing if it was pruned in the
/// source meanwhile.
pub(super) fn compare(source: &Store, target: &Store, sequence: Sequence) -> Result<Option<Step>, CopyError> {
    let there = target
        .manifest(sequence)
        .map_err(|error| CopyError::Target { place: target.place(), source: Box::new(error) })?;
    match source.manifest(sequence) {
        Err(error) => left_out(error.into()),
        Ok(here) if here.sha256 == there.sha256 => Ok(Some(Step::Present)),
        Ok(here) => {
            Err(CopyError::Diverged { sequence, place: target.place(), expected: here.sha256, found: there.sha256 })
        }
    }
}

/// Leaves out a checkpoint that is damaged in the source, and passes over one that was pruned there meanwhile. One that
/// could not be read stops the copy.
pub(super) fn left_out(error: ReadError) -> Result<Option<Step>, CopyError> {
    match error {
        error if error.is_inconclusive() => Err(CopyError::Source(error)),
        error if error.is_removed() => Ok(None),
        error => Ok(Some(Step::Unreadable(error))),
    }
}
