//! Checkpoints that were pruned and can be brought back.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::Manifest;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::verify::choice::Choice;
use crate::ops::verify::line_ends;
use crate::ops::verify::needs::Needs;
use crate::ops::verify::object::{Unproven, check_object};
use crate::ops::verify::options::{Depth, Options};
use crate::storage::Storage;
use crate::store::{Directory, StoreError};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Silent;

/// A pruned checkpoint, according to its own two files.
pub(super) struct Pruned {
    pub(super) sequence: Sequence,
    /// What is wrong with one of the files: its name, expected, found.
    problem: Option<(&'static str, String, String)>,
    pub(super) objects: Vec<ObjectName>,
    /// Whether its directory holds anything else, and so is kept after the grace period.
    is_shared: bool,
}

impl Pruned {
    /// Reads the two files of checkpoint `sequence`. `named` is the SHA-256 of its manifest in the history.
    pub(super) fn read(
        storage: &dyn Storage,
        sequence: Sequence,
        named: Option<Digest>,
        findings: &mut Findings,
    ) -> Pruned {
        let directory = layout::pruned_dir(sequence);
        let read = |name: &'static str, limit| {
            let bytes = storage.get(&layout::file_in(&directory, name), limit);
            bytes.map_err(|error| (name, error))
        };
        let (mut problem, mut objects) = (None, Vec::new());
        match (read(SUMS_FILE, MAX_SUMS_BYTES), read(MANIFEST_FILE, Manifest::MAX_BYTES)) {
            // What is left of a checkpoint that is being deleted.
            (Ok(_), Err((_, manifest))) if manifest.is_not_found() && storage.file_system().is_none() => {}
            // A stray was all that the end of the grace period left.
            (Err((_, sums)), Err((_, manifest))) if sums.is_not_found() && manifest.is_not_found() => {}
            // In object storage the checksum list follows the manifest, and its writer may have died in between.
            (Err((_, sums)), Ok(_)) if sums.is_not_found() && storage.file_system().is_none() => {}
            (Err((_, error)), _) | (_, Err((_, error))) if findings.is_refusal(&error) => {}
            (Err((name, error)), _) | (_, Err((name, error))) => {
                problem = Some((name, "the file".to_owned(), in_one_line(&error)));
            }
            (Ok(sums), Ok(manifest)) => match layout::parse_sums(&sums) {
                None => {
                    let found = "not a checksum list".to_owned();
                    let found = line_ends::explain(found, &sums, |original| layout::parse_sums(original).is_some());
                    problem = Some((SUMS_FILE, "a checksum list".to_owned(), found));
                }
                Some((listed, sha256)) => {
                    objects = listed;
                    let found = Digest::of(&manifest);
                    if named == Some(found) && found != sha256 {
                        problem = Some((SUMS_FILE, format!("SHA-256 {found}"), format!("SHA-256 {sha256}")));
                    } else if found != sha256 {
                        let found = format!("SHA-256 {found}");
                        let found = line_ends::explain(found, &manifest, |original| Digest::of(original) == sha256);
                        problem = Some((MANIFEST_FILE, format!("SHA-256 {sha256}"), found));
                    }
                }
            },
        }
        let is_shared = storage.list(Some(&directory)).is_ok_and(|entries| entries.len() > 2);
        Pruned { sequence, problem, objects, is_shared }
    }
}

/// Checks the objects that only pruned checkpoints need. Their bytes are read only if all objects are read.
///
/// A checkpoint that was deleted or brought back meanwhile is left out.
pub(super) fn check_pruned(
    storage: &dyn Storage,
    needs: &Needs,
    pruned: Vec<Pruned>,
    options: &Options<'_>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let mut users: BTreeMap<ObjectName, BTreeSet<Sequence>> = BTreeMap::new();
    let mut problems = Vec::new();
    for Pruned { sequence, problem, objects, .. } in pruned.into_iter().filter(|pruned| !pruned.is_shared) {
        problems.extend(problem.map(|problem| (sequence, problem)));
        for object in objects.into_iter().filter(|object| !needs.objects.uses.contains_key(object)) {
            users.entry(object).or_default().insert(sequence);
        }
    }
    let read = options.depth != Depth::Quick && matches!(options.choice, Choice::All);
    let objects: Vec<ObjectName> = users.keys().copied().collect();
    let outcomes = parallel::map(&objects, |object| check_object(storage, *object, None, read, &Silent));
    let now: BTreeSet<String> =
        storage.list(Directory::Pruned.path().as_ref())?.into_iter().map(|entry| entry.name).collect();
    let is_left = |sequence: Sequence| now.contains(&sequence.to_string());
    for (sequence, (name, expected, found)) in problems.into_iter().filter(|(sequence, _)| is_left(*sequence)) {
        let path = layout::file_in(&layout::pruned_dir(sequence), name);
        findings.add(FindingCode::PrunedDamaged, &path, expected, found, []);
    }
    for (object, outcome) in objects.into_iter().zip(outcomes) {
        let mut left = users[&object].iter().filter(|sequence| is_left(**sequence)).peekable();
        if left.peek().is_none() {
            continue;
        }
        if let Err(Unproven::Refused(error)) = &outcome {
            findings.is_refusal(error);
        }
        if let Err(Unproven::Damaged(problem)) = outcome {
            let numbers: Vec<String> = left.map(|sequence| sequence.0.to_string()).collect();
            let expected = format!("{}, for pruned checkpoint {}", problem.expected, numbers.join(", "));
            findings.add(FindingCode::PrunedDamaged, object, expected, problem.found, []);
        }
    }
    Ok(())
}
