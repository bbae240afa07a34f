//! Compares replicas: what a single one does not reveal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::format::layout;
use crate::ops::finding::{FindingCode, Severity, Subject};
use crate::ops::verify::check::ReplicaCheck;
use crate::ops::verify::report::Report;
use crate::storage::StorageError;
use crate::store::{Branch, Fork, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Finds checkpoints that a replica is missing, and those that differ between replicas. A checkpoint that was removed
/// on purpose may be gone in one replica before the others. `forks` are where replicas diverged: what one has on
/// its branch is not missing on the other.
pub(super) fn compare(checks: &mut [ReplicaCheck], forks: &[Fork]) {
    let places: Vec<String> = checks.iter().map(|check| check.replica.place()).collect();
    let is_apart = |one: usize, other: usize, sequence: Sequence| {
        forks.iter().any(|fork| fork.divides(sequence) && fork.is_between(&places[one], &places[other]))
    };
    let mut holders: BTreeMap<Sequence, Vec<usize>> = BTreeMap::new();
    let mut manifests: HashMap<Sequence, Vec<(Digest, usize)>> = HashMap::new();
    for (index, check) in checks.iter().enumerate() {
        for sequence in held(check) {
            holders.entry(sequence).or_default().push(index);
        }
        for (sequence, sha256) in whole_manifests(check) {
            manifests.entry(sequence).or_default().push((sha256, index));
        }
    }
    for (index, check) in checks.iter_mut().enumerate() {
        let own: BTreeSet<Sequence> = check.now.iter().copied().collect();
        let newest = own.last().copied();
        let absent = holders.iter().filter(|(sequence, _)| !own.contains(sequence));
        let absent = absent.filter_map(|(&sequence, holders)| {
            let holder = holders.iter().find(|&&holder| !is_apart(index, holder, sequence))?;
            Some((sequence, &places[*holder]))
        });
        let (behind, missing): (Vec<_>, Vec<_>) = absent.partition(|&(sequence, _)| Some(sequence) > newest);
        if let (Some((first, place)), Some((last, _))) = (behind.first(), behind.last()) {
            let expected = if first == last {
                format!("checkpoint {}, which `{place}` has", first.0)
            } else {
                format!("checkpoints {} to {}, which `{place}` has", first.0, last.0)
            };
            let found = newest.map_or_else(|| "none".to_owned(), |newest| format!("{} as the newest", newest.0));
            let numbers = behind.iter().map(|&(sequence, _)| sequence);
            check.findings.add(FindingCode::ReplicaBehind, layout::CHECKPOINTS, expected, found, numbers);
        }
        let is_unexplained = |sequence| check.departures.of(sequence).is_none();
        for (sequence, place) in missing.into_iter().filter(|&(sequence, _)| is_unexplained(sequence)) {
            let subject = Subject::Checkpoint(sequence);
            let expected = format!("the checkpoint, which `{place}` has");
            check.findings.add(FindingCode::CheckpointMissing, subject, expected, "nothing", [sequence]);
        }
        for (sequence, sha256) in whole_manifests(check) {
            let mut comparable = manifests[&sequence].iter().filter(|(_, other)| !is_apart(index, *other, sequence));
            let (first, place) = comparable.next().map_or((sha256, index), |found| *found);
            if first != sha256 {
                let expected = format!("SHA-256 {first}, as `{}` has it", places[place]);
                let (subject, found) = (Subject::Manifest(sequence), format!("SHA-256 {sha256}"));
                check.findings.add(FindingCode::ReplicaDiverged, subject, expected, found, [sequence]);
            }
        }
        if let Some(fork) = forks.iter().find(|fork| fork.branches[1].place == places[index]) {
            report_fork(check, fork);
        }
    }
}

/// Returns the checkpoints that a replica has had all the time, of those that are verified.
fn held(check: &ReplicaCheck) -> impl Iterator<Item = Sequence> {
    let is_held = |sequence: &Sequence| {
        check.only.is_none_or(|only| only == *sequence) && check.now.binary_search(sequence).is_ok()
    };
    check.all.iter().copied().filter(is_held)
}

/// Tells whether replica `index` lacks newer checkpoints than its own that another one has had all the time.
pub(super) fn is_behind(checks: &[ReplicaCheck], index: usize, forks: &[Fork]) -> bool {
    let newest = checks[index].now.last().copied();
    let place = checks[index].replica.place();
    checks.iter().enumerate().filter(|(other, _)| *other != index).any(|(_, other)| {
        let of_fork = |sequence: Sequence| {
            forks.iter().any(|fork| fork.divides(sequence) && fork.is_between(&place, &other.replica.place()))
        };
        held(other).any(|sequence| Some(sequence) > newest && !of_fork(sequence))
    })
}

/// Reports replicas that have lost their checkpoints, see [`newest_lost`](crate::store::Store::newest_lost), and are not
/// only behind another one.
pub(super) fn find_lost(checks: &mut [ReplicaCheck], forks: &[Fork]) -> Result<(), StoreError> {
    for index in 0..checks.len() {
        if !checks[index].now.is_empty() || is_behind(checks, index, forks) {
            continue;
        }
        let check = &mut checks[index];
        match check.store.newest_lost() {
            Ok(None) => {}
            Ok(Some(newest)) => {
                let expected = format!("checkpoint {} or a later one, which the history names", newest.0);
                check.findings.add(FindingCode::CheckpointsLost, layout::CHECKPOINTS, expected, "none", [newest]);
            }
            Err(error) if error.is_inconclusive() => check.findings.note_refusal(&error),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reports that a replica and an earlier one diverged, with both branches. The replica is the second.
fn report_fork(check: &mut ReplicaCheck, fork: &Fork) {
    let [theirs, own] = &fork.branches;
    let is_verified = |sequence: Sequence| check.only.is_none_or(|only| only == sequence);
    let verified: Vec<Sequence> = own.checkpoints.iter().copied().filter(|&sequence| is_verified(sequence)).collect();
    if check.only.is_some() && verified.is_empty() {
        return;
    }
    let subject = verified.first().map_or_else(|| layout::CHECKPOINTS.into(), |&first| Subject::Manifest(first));
    let describe = |branch: &Branch| match (fork.sequence, branch.sha256) {
        (Some(sequence), Some(sha256)) => {
            format!("{}, where {} has SHA-256 {sha256}", branch.describe(), sequence.0)
        }
        _ => branch.describe(),
    };
    let code = match fork.sequence {
        Some(_) => FindingCode::ReplicaDiverged,
        None => FindingCode::ReplicaUnrelated,
    };
    let expected = format!("`{}`: {}", theirs.place, describe(theirs));
    check.findings.add(code, subject, expected, describe(own), verified);
}

/// Returns the manifests that are consistent by themselves.
fn whole_manifests(check: &ReplicaCheck) -> Vec<(Sequence, Digest)> {
    let whole = check.roots.iter().filter(|root| root.is_consistent());
    whole.filter_map(|root| Some((root.sequence, root.sha256?))).collect()
}

/// Adds to each damage which replica has a good copy of the file.
pub(super) fn find_copies(reports: &mut [Report]) {
    let damaged: Vec<HashSet<String>> = reports
        .iter()
        .map(|report| {
            let damage = report.findings.iter().filter(|finding| finding.severity() == Severity::Damage);
            damage.map(|finding| finding.path.clone()).collect()
        })
        .collect();
    let refused: Vec<Option<StorageError>> = reports.iter().map(|report| report.refused.clone()).collect();
    let places: Vec<(String, HashSet<Sequence>)> =
        reports.iter().map(|report| (report.place.clone(), report.checkpoints.iter().copied().collect())).collect();
    for (number, report) in reports.iter_mut().enumerate() {
        for finding in report.findings.iter_mut().filter(|finding| finding.severity() == Severity::Damage) {
            if matches!(
                finding.code,
                FindingCode::ReplicaDiverged | FindingCode::ReplicaUnrelated | FindingCode::CheckpointsLost
            ) {
                continue;
            }
            let has_copy = |other: usize| {
                let knows = finding.checkpoints.iter().any(|sequence| places[other].1.contains(sequence));
                let is_whole = other != number && refused[other].is_none();
                is_whole && !damaged[other].contains(&finding.path) && (knows || finding.checkpoints.is_empty())
            };
            finding.good_copy = (0..places.len()).find(|&other| has_copy(other)).map(|other| places[other].0.clone());
        }
    }
}
