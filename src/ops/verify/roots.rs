//! Checks the manifests of the checkpoints, and the chain between them.

use std::collections::HashMap;

use crate::format::layout;
use crate::format::manifest::{Manifest, Parent};
use crate::ops::finding::{FindingCode, Findings, Subject};
use crate::ops::verify::line_ends;
use crate::store::records::history::{Departure, Departures};
use crate::store::{ManifestRead, Misplaced, RootRead, Store};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// Checks manifests and the chain between them. `store` has one replica, which `roots` were read from. Returns the
/// checkpoints whose parent was not found, for [`check_gap`].
pub(super) fn check_roots(
    store: &Store,
    sequences: &[Sequence],
    roots: &[RootRead],
    findings: &mut Findings,
) -> Vec<(Sequence, Parent)> {
    let read_root = |sequence, findings: &mut Findings| {
        let root = store.replicas()[0].read_root(&store.file, sequence);
        note_refusals(&root, findings);
        root
    };
    roots.iter().for_each(|root| note_refusals(root, findings));
    // The SHA-256 of each manifest, as the checkpoint's child names it.
    let mut promised: HashMap<Sequence, Digest> = HashMap::new();
    let parent_of = |root: &RootRead| root.usable().and_then(|manifest| manifest.parent);
    promised.extend(roots.iter().filter_map(parent_of).map(|parent| (parent.sequence, parent.sha256)));
    if let ([only], true) = (sequences, roots.len() == 1) {
        let child = read_root(Sequence(only.0.saturating_add(1)), findings);
        promised.extend(parent_of(&child).map(|parent| (parent.sequence, parent.sha256)));
    }
    for root in roots {
        check_manifest(store, root, promised.get(&root.sequence).copied(), findings);
    }
    let mut gaps = Vec::new();
    let known: HashMap<Sequence, &RootRead> = roots.iter().map(|root| (root.sequence, root)).collect();
    for root in roots {
        let Some(manifest) = root.usable() else { continue };
        let subject = Subject::Manifest(root.sequence);
        match manifest.parent {
            None if root.sequence == Sequence::FIRST => {}
            None => {
                findings.add(FindingCode::ChainBroken, subject, "a parent", "none", [root.sequence]);
            }
            Some(parent) if parent.sequence >= root.sequence => {
                let found = format!("parent {}", parent.sequence.0);
                let expected = format!("a parent before {}", root.sequence.0);
                findings.add(FindingCode::ChainBroken, subject, expected, found, [root.sequence]);
            }
            Some(parent) => match known.get(&parent.sequence) {
                Some(parent_root) => {
                    check_link(store, root.sequence, parent, parent_root, findings);
                    if matches!(parent_root.manifest, ManifestRead::Gone(_)) {
                        gaps.push((root.sequence, parent));
                    }
                }
                None => {
                    let parent_root = read_root(parent.sequence, findings);
                    match &parent_root.manifest {
                        ManifestRead::Gone(_) => gaps.push((root.sequence, parent)),
                        _ => check_link(store, root.sequence, parent, &parent_root, findings),
                    }
                }
            },
        }
    }
    gaps
}

/// Returns `found`, and adds that only the line ends of a manifest differ if it is the `expected` one otherwise.
fn with_line_ends(store: &Store, sequence: Sequence, found: String, expected: Option<Digest>) -> String {
    match store.replicas()[0].get(&layout::manifest(sequence), Manifest::MAX_BYTES) {
        Ok(bytes) => line_ends::explain(found, &bytes, |original| Some(Digest::of(original)) == expected),
        Err(_) => found,
    }
}

/// Remembers the files of a checkpoint that the system refused to read.
fn note_refusals(root: &RootRead, findings: &mut Findings) {
    if let ManifestRead::Unreadable(error) = &root.manifest {
        findings.is_refusal(error);
    }
    if let Err(error) = &root.listed_sha256 {
        findings.note_refusal(error);
    }
}

/// Distinguishes a parent that was removed on purpose from one that is lost, or that has been brought back since.
pub(super) fn check_gap(
    store: &Store,
    sequence: Sequence,
    parent: Parent,
    departures: &Departures,
    findings: &mut Findings,
) {
    if findings.has(FindingCode::ManifestMissing, Subject::Manifest(parent.sequence)) {
        return;
    }
    let found = store.replicas()[0].read_root(&store.file, parent.sequence);
    note_refusals(&found, findings);
    if !matches!(found.manifest, ManifestRead::Gone(_)) {
        return check_link(store, sequence, parent, &found, findings);
    }
    let subject = Subject::Manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    match departures.of(parent.sequence) {
        Some(Departure { sha256: Some(sha256), .. }) if sha256 != parent.sha256 => {
            let found = format!("SHA-256 {sha256}, which was removed on purpose");
            findings.add(FindingCode::ChainBroken, subject, expected, found, [sequence]);
        }
        Some(Departure { time, .. }) => {
            let found =
                time.map_or_else(|| "removed on purpose".to_owned(), |time| format!("removed on purpose at {time}"));
            findings.add(FindingCode::ParentGone, subject, expected, found, [sequence]);
        }
        // The parent is lost; the checkpoint itself is intact.
        None => findings.add(FindingCode::ChainGap, subject, expected, "no such checkpoint", [parent.sequence]),
    }
}

/// Checks one manifest by itself. `promised` is its SHA-256 as its child names it.
fn check_manifest(store: &Store, root: &RootRead, promised: Option<Digest>, findings: &mut Findings) {
    let expected = promised.or(root.listed());
    let subject = Subject::Manifest(root.sequence);
    let mut add =
        |code, expected: &str, found: String| findings.add(code, subject.clone(), expected, found, [root.sequence]);
    match &root.manifest {
        ManifestRead::Gone(_) => add(FindingCode::ManifestMissing, "a manifest", "nothing".into()),
        ManifestRead::Unreadable(error) if error.is_inconclusive() => {}
        ManifestRead::Unreadable(error) => add(FindingCode::ManifestDamaged, "a manifest", in_one_line(error)),
        ManifestRead::Malformed(error) => {
            let found = with_line_ends(store, root.sequence, in_one_line(error), expected);
            add(FindingCode::ManifestDamaged, "a manifest", found);
        }
        ManifestRead::Misplaced(wrong) => {
            for Misplaced { field, expected, found } in wrong {
                add(FindingCode::ManifestMisplaced, &format!("{field} {expected}"), format!("{field} {found}"));
            }
        }
        ManifestRead::Sound(_) => {
            if let (Some(listed), Some(sha256)) = (root.listed(), root.sha256) {
                // If the checkpoint after it agrees with the manifest, SHA256SUMS was changed.
                if listed != sha256 && promised != Some(sha256) {
                    let found = with_line_ends(store, root.sequence, format!("SHA-256 {sha256}"), expected);
                    add(FindingCode::ManifestAltered, &format!("SHA-256 {listed}"), found);
                }
            }
        }
    }
}

/// Checks that `found` is the manifest of `parent`. A parent whose manifest has a finding of its own is not reported
/// twice.
fn check_link(store: &Store, sequence: Sequence, parent: Parent, found: &RootRead, findings: &mut Findings) {
    let subject = Subject::Manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    let is_reported = |code| findings.has(code, Subject::Manifest(parent.sequence));
    // Its own SHA256SUMS agrees with this link: the manifest was changed afterwards.
    let altered = found.listed() == Some(parent.sha256) && is_reported(FindingCode::ManifestAltered);
    let is_refused = matches!(&found.manifest, ManifestRead::Unreadable(error) if error.is_inconclusive());
    let others = [FindingCode::ManifestMissing, FindingCode::ManifestDamaged, FindingCode::ManifestMisplaced];
    if found.sha256 == Some(parent.sha256) || altered || is_refused || others.into_iter().any(is_reported) {
        return;
    }
    let found = found.sha256.map_or_else(|| "an unreadable manifest".to_owned(), |sha256| format!("SHA-256 {sha256}"));
    let found = with_line_ends(store, parent.sequence, found, Some(parent.sha256));
    findings.add(FindingCode::ChainBroken, subject, expected, found, [sequence]);
}
