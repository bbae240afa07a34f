//! Compares replicas: what a single one does not reveal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::format::layout;
use crate::ops::finding::{FindingCode, Severity, Subject};
use crate::ops::verify::check::ReplicaCheck;
use crate::ops::verify::report::Report;
use crate::store::records::history::Departures;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Finds checkpoints that a replica is missing, and those that differ between replicas. A checkpoint that was removed
/// on purpose may be gone in one replica before the others.
pub(super) fn compare(checks: &mut [ReplicaCheck], departures: &Departures) {
    let mut holders: BTreeMap<Sequence, String> = BTreeMap::new();
    let mut manifests: HashMap<Sequence, (Digest, String)> = HashMap::new();
    for check in checks.iter() {
        let place = check.replica.place();
        let verified = check.all.iter().filter(|&&sequence| check.only.is_none_or(|only| only == sequence));
        for &sequence in verified {
            holders.entry(sequence).or_insert_with(|| place.clone());
        }
        for (sequence, sha256) in whole_manifests(check) {
            manifests.entry(sequence).or_insert_with(|| (sha256, place.clone()));
        }
    }
    for check in checks {
        let own: BTreeSet<Sequence> = check.all.iter().copied().collect();
        let newest = own.last().copied();
        let (behind, missing): (Vec<_>, Vec<_>) = holders
            .iter()
            .filter(|(sequence, _)| !own.contains(sequence))
            .partition(|(sequence, _)| Some(**sequence) > newest);
        if let (Some((first, place)), Some((last, _))) = (behind.first(), behind.last()) {
            let expected = if first == last {
                format!("checkpoint {}, which `{place}` has", first.0)
            } else {
                format!("checkpoints {} to {}, which `{place}` has", first.0, last.0)
            };
            let found = newest.map_or_else(|| "none".to_owned(), |newest| format!("{} as the newest", newest.0));
            let numbers = behind.iter().map(|(sequence, _)| **sequence);
            check.findings.add(FindingCode::ReplicaBehind, layout::CHECKPOINTS, expected, found, numbers);
        }
        for (&sequence, place) in missing.into_iter().filter(|(sequence, _)| departures.of(**sequence).is_none()) {
            let subject = Subject::Checkpoint(sequence);
            let expected = format!("the checkpoint, which `{place}` has");
            check.findings.add(FindingCode::CheckpointMissing, subject, expected, "nothing", [sequence]);
        }
        for (sequence, sha256) in whole_manifests(check) {
            let (first, place) = &manifests[&sequence];
            if *first != sha256 {
                let expected = format!("SHA-256 {first}, as `{place}` has it");
                let (subject, found) = (Subject::Manifest(sequence), format!("SHA-256 {sha256}"));
                check.findings.add(FindingCode::ReplicaDiverged, subject, expected, found, [sequence]);
            }
        }
    }
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
    let places: Vec<(String, HashSet<Sequence>)> =
        reports.iter().map(|report| (report.place.clone(), report.checkpoints.iter().copied().collect())).collect();
    for (number, report) in reports.iter_mut().enumerate() {
        for finding in report.findings.iter_mut().filter(|finding| finding.severity() == Severity::Damage) {
            if finding.code == FindingCode::ReplicaDiverged {
                continue;
            }
            let has_copy = |other: usize| {
                let knows = finding.checkpoints.iter().any(|sequence| places[other].1.contains(sequence));
                other != number && !damaged[other].contains(&finding.path) && (knows || finding.checkpoints.is_empty())
            };
            finding.good_copy = (0..places.len()).find(|&other| has_copy(other)).map(|other| places[other].0.clone());
        }
    }
}
