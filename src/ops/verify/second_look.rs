//! The second look at a store that changed while it was verified.
//!
//! Runs, prunes, undos and copies may work on the store meanwhile. They remove checkpoints only after the history says
//! so, bring them back before it says so, and commit to one replica after another. So a checkpoint that was listed and
//! is gone now was removed on purpose if the history explained it before or explains it now, and a replica is behind
//! only if it still lacks what another one had when everything was listed for the first time.

use std::collections::{BTreeSet, HashSet};
use std::thread;
use std::time::Duration;

use crate::ops::verify::check::ReplicaCheck;
use crate::ops::verify::compare::is_behind;
use crate::ops::verify::roots::check_gap;
use crate::store::{Fork, StoreError};
use crate::values::id::Sequence;

/// How long to wait before each further look at a replica that is behind: a checkpoint may be on its way.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40)];

/// Lists the replicas again, and waits a moment if one is behind.
pub(super) fn list_again(checks: &mut [ReplicaCheck], forks: &[Fork]) -> Result<(), StoreError> {
    for pause in PAUSES {
        thread::sleep(pause);
        for check in checks.iter_mut() {
            match check.replica.sequences() {
                Ok(listed) => check.now = listed,
                // What was read before counts.
                Err(error) if error.is_inconclusive() => check.findings.note_refusal(&error),
                Err(error) => return Err(error),
            }
        }
        if !(0..checks.len()).any(|index| is_behind(checks, index, forks)) {
            break;
        }
    }
    Ok(())
}

/// Drops what was found about checkpoints that were removed on purpose meanwhile, and checks the chain of the others.
/// The departures of `check` are what the history says now, too.
pub(super) fn settle(check: &mut ReplicaCheck) {
    let now: BTreeSet<Sequence> = check.now.iter().copied().collect();
    let listed = check.roots.iter().map(|root| root.sequence);
    let is_removed = |sequence: &Sequence| !now.contains(sequence) && check.departures.of(*sequence).is_some();
    let removed: HashSet<Sequence> = listed.filter(is_removed).collect();
    check.findings.forget(&removed);
    check.roots.retain(|root| !removed.contains(&root.sequence));
    check.gaps.retain(|(child, _)| !removed.contains(child));
    for (child, parent) in std::mem::take(&mut check.gaps) {
        check_gap(&check.store, child, parent, &check.departures, &mut check.findings);
    }
}
