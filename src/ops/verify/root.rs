//! The manifests of the checkpoints, and the chain between them.

use std::collections::HashMap;

use crate::format::error::ManifestError;
use crate::format::layout;
use crate::format::manifest::{Manifest, Parent};
use crate::ops::finding::{FindingCode, Findings};
use crate::storage::{Storage, StorageError};
use crate::store::Store;
use crate::store::records::history::{Departure, Departures};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// The manifest of a checkpoint, as it is, and what `SHA256SUMS` says of it.
pub(super) struct Root {
    pub(super) sequence: Sequence,
    pub(super) manifest: Result<Result<Manifest, ManifestError>, StorageError>,
    /// The SHA-256 of the manifest, whatever is in it.
    pub(super) sha256: Option<Digest>,
    /// The SHA-256 that it should have.
    pub(super) sums_sha256: Option<Digest>,
}

impl Root {
    pub(super) fn read(storage: &dyn Storage, sequence: Sequence) -> Root {
        let bytes = storage.get(&layout::manifest(sequence), Manifest::MAX_BYTES);
        Root {
            sequence,
            sha256: bytes.as_ref().ok().map(|bytes| Digest::of(bytes)),
            manifest: bytes.map(|bytes| Manifest::from_yaml(&bytes)),
            sums_sha256: sums_sha256(storage, sequence),
        }
    }

    /// Returns the manifest if it can be read and is of this store and number.
    pub(super) fn usable(&self, store: &Store) -> Option<&Manifest> {
        let manifest = self.manifest.as_ref().ok()?.as_ref().ok()?;
        misplaced(store, self.sequence, manifest).is_empty().then_some(manifest)
    }
}

/// Reads what `SHA256SUMS` says of the manifest: its last line.
pub(super) fn sums_sha256(storage: &dyn Storage, sequence: Sequence) -> Option<Digest> {
    let path = layout::sums(sequence);
    let bytes = storage.size(&path).ok()?;
    let first = bytes.saturating_sub(layout::MANIFEST_SUM_BYTES + 1);
    layout::parse_manifest_sum(&storage.get_range(&path, first..bytes).ok()?)
}

/// Returns the fields in which `manifest` names another place: the field, expected, found.
pub(super) fn misplaced(store: &Store, sequence: Sequence, manifest: &Manifest) -> Vec<(&'static str, String, String)> {
    let mut wrong = Vec::new();
    if manifest.sequence != sequence {
        wrong.push(("sequence", sequence.0.to_string(), manifest.sequence.0.to_string()));
    }
    if manifest.store != store.file.store {
        wrong.push(("store", store.file.store.to_string(), manifest.store.to_string()));
    }
    if manifest.job != store.file.job {
        wrong.push(("job", store.file.job.clone(), manifest.job.clone()));
    }
    wrong
}

/// Checks manifests and the chain between them.
pub(super) fn check_roots(
    store: &Store,
    storage: &dyn Storage,
    sequences: &[Sequence],
    roots: &[Root],
    departures: &Departures,
    findings: &mut Findings,
) {
    // What the child of each checkpoint says its manifest is.
    let mut promised: HashMap<Sequence, Digest> = HashMap::new();
    let parent_of = |root: &Root| root.usable(store).and_then(|manifest| manifest.parent);
    promised.extend(roots.iter().filter_map(parent_of).map(|parent| (parent.sequence, parent.sha256)));
    if let ([only], true) = (sequences, roots.len() == 1) {
        let child = Root::read(storage, Sequence(only.0.saturating_add(1)));
        promised.extend(parent_of(&child).map(|parent| (parent.sequence, parent.sha256)));
    }
    for root in roots {
        check_manifest(store, root, promised.get(&root.sequence).copied(), findings);
    }
    let known: HashMap<Sequence, &Root> = roots.iter().map(|root| (root.sequence, root)).collect();
    for root in roots {
        let Some(manifest) = root.usable(store) else { continue };
        let path = layout::manifest(root.sequence);
        match manifest.parent {
            None if root.sequence == Sequence::FIRST => {}
            None => {
                findings.add(FindingCode::ChainBroken, path, "a parent", "none", [root.sequence]);
            }
            Some(parent) if parent.sequence >= root.sequence => {
                let found = format!("parent {}", parent.sequence.0);
                let expected = format!("a parent before {}", root.sequence.0);
                findings.add(FindingCode::ChainBroken, path, expected, found, [root.sequence]);
            }
            Some(parent) => match known.get(&parent.sequence) {
                Some(parent_root) => check_link(root.sequence, parent, parent_root, findings),
                None => {
                    let there = Root::read(storage, parent.sequence);
                    match &there.manifest {
                        Err(error) if error.is_not_found() => check_gap(root.sequence, parent, departures, findings),
                        _ => check_link(root.sequence, parent, &there, findings),
                    }
                }
            },
        }
    }
}

/// Tells a parent that is gone on purpose from one that is lost.
fn check_gap(sequence: Sequence, parent: Parent, departures: &Departures, findings: &mut Findings) {
    let path = layout::manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    match departures.of(parent.sequence) {
        Some(Departure { sha256: Some(sha256), .. }) if sha256 != parent.sha256 => {
            let found = format!("SHA-256 {sha256}, which is gone on purpose");
            findings.add(FindingCode::ChainBroken, path, expected, found, [sequence]);
        }
        Some(Departure { time, .. }) => {
            let found =
                time.map_or_else(|| "gone on purpose".to_owned(), |time| format!("gone on purpose since {time}"));
            findings.add(FindingCode::ParentGone, path, expected, found, [sequence]);
        }
        // It is the parent that is lost; the checkpoint itself is whole.
        None => findings.add(FindingCode::ChainGap, path, expected, "no such checkpoint", [parent.sequence]),
    }
}

/// Checks one manifest by itself. `promised` is what its child says of it.
pub(super) fn check_manifest(store: &Store, root: &Root, promised: Option<Digest>, findings: &mut Findings) {
    let path = layout::manifest(root.sequence);
    let mut add = |code, expected: &str, found: String| findings.add(code, &path, expected, found, [root.sequence]);
    match &root.manifest {
        Err(error) if error.is_not_found() => add(FindingCode::ManifestMissing, "a manifest", "nothing".into()),
        Err(error) => add(FindingCode::ManifestDamaged, "a manifest", in_one_line(error)),
        Ok(Err(error)) => add(FindingCode::ManifestDamaged, "a manifest", in_one_line(error)),
        Ok(Ok(manifest)) => {
            let wrong = misplaced(store, root.sequence, manifest);
            for (field, expected, found) in &wrong {
                add(FindingCode::ManifestMisplaced, &format!("{field} {expected}"), format!("{field} {found}"));
            }
            if let (true, Some(said), Some(sha256)) = (wrong.is_empty(), root.sums_sha256, root.sha256) {
                // When the checkpoint after it agrees with the manifest, it is SHA256SUMS that was changed.
                if said != sha256 && promised != Some(sha256) {
                    add(FindingCode::ManifestAltered, &format!("SHA-256 {said}"), format!("SHA-256 {sha256}"));
                }
            }
        }
    }
}

/// Checks that `parent` is what is there. A parent whose manifest has a finding of its own is not told twice.
pub(super) fn check_link(sequence: Sequence, parent: Parent, there: &Root, findings: &mut Findings) {
    let path = layout::manifest(sequence);
    let expected = format!("parent {} with SHA-256 {}", parent.sequence.0, parent.sha256);
    let told = |code| findings.has(code, &layout::manifest(parent.sequence));
    // Its own SHA256SUMS agrees with this link: the manifest was changed afterwards.
    let altered = there.sums_sha256 == Some(parent.sha256) && told(FindingCode::ManifestAltered);
    let others = [FindingCode::ManifestMissing, FindingCode::ManifestDamaged, FindingCode::ManifestMisplaced];
    if there.sha256 == Some(parent.sha256) || altered || others.into_iter().any(told) {
        return;
    }
    let (code, found) = match there.sha256 {
        Some(sha256) => (FindingCode::ChainBroken, format!("SHA-256 {sha256}")),
        None => (FindingCode::ChainBroken, "a manifest that can not be read".to_owned()),
    };
    findings.add(code, path, expected, found, [sequence]);
}
