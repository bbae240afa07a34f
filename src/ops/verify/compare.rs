//! What only shows when replicas are compared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::format::layout;
use crate::ops::finding::{FindingCode, Severity};
use crate::ops::verify::{ReplicaCheck, Report};
use crate::store::records::history::Departures;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Finds checkpoints that a replica lacks, and those that are not the same in all. What departed on purpose may be gone
/// in one replica before the others.
pub(super) fn compare(checks: &mut [ReplicaCheck], departures: &Departures) {
    let mut holders: BTreeMap<Sequence, String> = BTreeMap::new();
    let mut manifests: HashMap<Sequence, (Digest, String)> = HashMap::new();
    for check in checks.iter() {
        let place = check.store.place();
        let looked_at = check.all.iter().filter(|&&sequence| check.only.is_none_or(|only| only == sequence));
        for &sequence in looked_at {
            holders.entry(sequence).or_insert_with(|| place.clone());
        }
        for (sequence, sha256) in whole_manifests(check) {
            manifests.entry(sequence).or_insert_with(|| (sha256, place.clone()));
        }
    }
    for check in checks {
        let own: BTreeSet<Sequence> = check.all.iter().copied().collect();
        let newest = own.last().copied();
        let (behind, lacking): (Vec<_>, Vec<_>) = holders
            .iter()
            .filter(|(sequence, _)| !own.contains(sequence))
            .partition(|(sequence, _)| Some(**sequence) > newest);
        if let (Some((first, place)), Some((last, _))) = (behind.first(), behind.last()) {
            let expected = match first == last {
                true => format!("checkpoint {}, which `{place}` has", first.0),
                false => format!("checkpoints {} to {}, which `{place}` has", first.0, last.0),
            };
            let found = newest.map_or_else(|| "none".to_owned(), |newest| format!("{} as the newest", newest.0));
            let numbers = behind.iter().map(|(sequence, _)| **sequence);
            check.findings.add(FindingCode::ReplicaBehind, layout::CHECKPOINTS, expected, found, numbers);
        }
        for (&sequence, place) in lacking.into_iter().filter(|(sequence, _)| departures.of(**sequence).is_none()) {
            let path = layout::checkpoint_dir(sequence);
            let expected = format!("the checkpoint, which `{place}` has");
            check.findings.add(FindingCode::CheckpointMissing, path, expected, "nothing", [sequence]);
        }
        for (sequence, sha256) in whole_manifests(check) {
            match &manifests[&sequence] {
                (other, at) if *other != sha256 => {
                    let expected = format!("SHA-256 {other}, as `{at}` has it");
                    let path = layout::manifest(sequence);
                    check.findings.add(
                        FindingCode::ReplicaDiverged,
                        path,
                        expected,
                        format!("SHA-256 {sha256}"),
                        [sequence],
                    );
                }
                _ => {}
            }
        }
    }
}

/// Returns the manifests in which nothing wrong was found by themselves.
fn whole_manifests(check: &ReplicaCheck) -> Vec<(Sequence, Digest)> {
    let whole = check.roots.iter().filter(|root| root.usable(&check.store).is_some());
    let same = whole.filter(|root| root.sums_sha256.is_some() && root.sums_sha256 == root.sha256);
    same.filter_map(|root| Some((root.sequence, root.sha256?))).collect()
}

/// Notes for each damaged file which replica has a good copy of it.
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
