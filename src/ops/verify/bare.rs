//! Finds checkpoints that have lost their manifest where nothing else makes them exist.
//!
//! On a disk a checkpoint is a directory, with a manifest or without. In object storage it exists with its manifest, and
//! `SHA256SUMS` follows, so a list without a manifest belongs to a checkpoint that was deleted: on purpose, which the
//! history says, or not.

use std::collections::BTreeSet;

use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, SUMS_FILE};
use crate::ops::finding::{FindingCode, Subject};
use crate::ops::verify::check::ReplicaCheck;
use crate::store::StoreError;
use crate::values::id::Sequence;

/// Returns the numbers with a checksum list and without a manifest, in object storage.
///
/// The history is read afterwards: a prune writes there what it will delete.
pub(super) fn find_bare(check: &mut ReplicaCheck) -> Result<Vec<Sequence>, StoreError> {
    let storage = check.replica.storage();
    if storage.file_system().is_some() || check.only.is_some() {
        return Ok(Vec::new());
    }
    let files = match storage.list_deep(&layout::directory(CHECKPOINTS)) {
        Err(error) if error.is_refusal() => {
            check.findings.note_refusal(&error.into());
            return Ok(Vec::new());
        }
        listed => listed?,
    };
    let with = |file: &str| -> BTreeSet<Sequence> {
        let names = files.iter().filter_map(|entry| entry.name.strip_suffix(file)?.strip_suffix('/'));
        names.filter_map(|name| name.parse().ok()).collect()
    };
    Ok(with(SUMS_FILE).difference(&with(MANIFEST_FILE)).copied().collect())
}

/// Reports those of `bare` that were not deleted on purpose.
pub(super) fn report_bare(check: &mut ReplicaCheck, bare: &[Sequence]) {
    for &sequence in bare.iter().filter(|sequence| check.departures.of(**sequence).is_none()) {
        let subject = Subject::Manifest(sequence);
        check.findings.add(FindingCode::ManifestMissing, subject, "a manifest", "nothing", [sequence]);
        // Which objects it needs is not known.
        check.findings.drop_all(FindingCode::ObjectUnused);
    }
}
