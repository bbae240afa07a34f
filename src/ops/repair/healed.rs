//! Decides which findings the planned steps repair.

use std::collections::BTreeMap;

use crate::format::layout;
use crate::ops::finding::{Finding, FindingCode, Severity, Subject};
use crate::ops::repair::sources::Sources;
use crate::ops::repair::step::Step;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// The planned steps, by the index of the replica and the path.
pub(super) type Steps = BTreeMap<(usize, RelPath), Step>;

/// Returns the findings that no step repairs, each with its replica.
pub(super) fn hopeless(sources: &Sources<'_>, steps: &Steps) -> Vec<(String, Finding)> {
    let mut hopeless = Vec::new();
    for (index, report) in sources.reports.iter().enumerate() {
        for finding in &report.findings {
            let matters = finding.severity() == Severity::Damage || finding.code == FindingCode::ReplicaBehind;
            if matters && !is_healed(sources, steps, index, finding) && !is_outdated(sources, index, finding) {
                hopeless.push((report.place.clone(), finding.clone()));
            }
        }
    }
    hopeless
}

fn is_healed(sources: &Sources<'_>, steps: &Steps, index: usize, finding: &Finding) -> bool {
    let has_step = |index: usize, path: RelPath| steps.contains_key(&(index, path));
    let touches = |index: usize, sequence: Sequence| {
        let paths = [layout::manifest(sequence), layout::sums(sequence), layout::checkpoint_dir(sequence)];
        paths.into_iter().any(|path| has_step(index, path))
    };
    let sequences = &finding.checkpoints;
    match finding.code {
        FindingCode::ReplicaBehind => sequences.iter().all(|&sequence| touches(index, sequence)),
        // Of two manifests that contradict each other, the other one may be wrong.
        FindingCode::ReplicaDiverged => {
            sequences.iter().any(|&sequence| (0..sources.reports.len()).any(|other| touches(other, sequence)))
        }
        FindingCode::ChainBroken => sequences.iter().any(|&child| {
            touches(index, child) || sources.parent(index, child).is_some_and(|parent| touches(index, parent))
        }),
        // The finding names the parent itself.
        FindingCode::ChainGap | FindingCode::ManifestAltered | FindingCode::SumsWrong => {
            sequences.iter().any(|&sequence| touches(index, sequence))
        }
        _ => {
            RelPath::new(finding.path.clone()).is_ok_and(|path| has_step(index, path))
                || (!sequences.is_empty()
                    && sequences.iter().all(|&sequence| touches(index, sequence))
                    && is_misjudged(sources, index, finding))
        }
    }
}

/// Tells whether other processes have changed what a finding is about since it was made: a run has committed the
/// checkpoint there as well, a prune has removed it on purpose, or the object is there now.
fn is_outdated(sources: &Sources<'_>, index: usize, finding: &Finding) -> bool {
    let sequences = &finding.checkpoints;
    let is_in = |index: usize, sequence| {
        sources.replicas[index].as_ref().is_some_and(|source| source.sequences.contains(&sequence))
    };
    let is_pruned = |sequence| {
        (0..sources.replicas.len()).all(|index| !is_in(index, sequence)) && sources.departures.of(sequence).is_some()
    };
    match finding.code {
        FindingCode::ReplicaBehind | FindingCode::CheckpointMissing => {
            sequences.iter().all(|&sequence| is_in(index, sequence) || is_pruned(sequence))
        }
        _ => {
            let is_good = finding.subject.object().is_some_and(|object| sources.has_object(index, object));
            is_good || (!sequences.is_empty() && sequences.iter().all(|&sequence| is_pruned(sequence)))
        }
    }
}

/// Tells whether a finding follows from a damaged manifest: its object is what its name promises, or is not needed at
/// all.
fn is_misjudged(sources: &Sources<'_>, index: usize, finding: &Finding) -> bool {
    let is_good = finding.subject.object().is_some_and(|object| sources.has_object(index, object));
    is_good || !finding.checkpoints.iter().any(|&sequence| may_need(sources, sequence, &finding.subject))
}

/// Tells whether checkpoint `sequence` needs `subject`, or that is unknown.
fn may_need(sources: &Sources<'_>, sequence: Sequence, subject: &Subject) -> bool {
    let objects = sources.truth(sequence).and_then(|truth| truth.objects);
    objects.is_none_or(|objects| objects.iter().any(|object| Some(object.object) == subject.object()))
}
