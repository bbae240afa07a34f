//! Objects: presence, size, and every byte.

use std::collections::BTreeMap;

use crate::format::index::IndexRow;
use crate::format::layout::{self, ObjectName};
use crate::format::manifest::Manifest;
use crate::ops::finding::{Finding, FindingCode, Lost, Severity};
use crate::ops::verify::rows::DeepChain;
use crate::ops::verify::{Choice, Depth, Options, ReplicaCheck};
use crate::storage::{Storage, StorageError};
use crate::values::digest::Hasher;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;

/// The objects that must be there, and who needs them.
#[derive(Default)]
pub(super) struct ObjectTable {
    pub(super) uses: BTreeMap<ObjectName, ObjectUse>,
    /// Objects for which two checkpoints name different sizes: the second size and who names it.
    pub(super) torn: Vec<(ObjectName, u64, Sequence)>,
}

/// Who needs an object, and what for.
#[derive(Default)]
pub(super) struct ObjectUse {
    /// Its size, unless only `SHA256SUMS` names it.
    pub(super) bytes: Option<u64>,
    pub(super) checkpoints: Vec<Sequence>,
    /// What is lost with it, where that is known.
    lost: Option<Box<Lost>>,
}

impl ObjectTable {
    pub(super) fn add(&mut self, object: ObjectName, bytes: Option<u64>, sequence: Sequence) {
        let known = self.uses.entry(object).or_default();
        match (known.bytes, bytes) {
            (Some(known), Some(bytes)) if known != bytes => return self.torn.push((object, bytes, sequence)),
            (None, bytes) => known.bytes = bytes,
            _ => {}
        }
        known.checkpoints.push(sequence);
    }

    /// Remembers what the objects of a checkpoint are for.
    pub(super) fn add_parts(&mut self, manifest: Option<&Manifest>, index: &[IndexRow]) {
        let mut add = |object: ObjectName, lost: &dyn Fn() -> Lost| {
            if let Some(known) = self.uses.get_mut(&object) {
                known.lost.get_or_insert_with(|| Box::new(lost()));
            }
        };
        if let Some(manifest) = manifest {
            add(manifest.tables.index.object, &|| Lost::State);
            add(manifest.tables.positions.object, &|| Lost::Positions);
            add(manifest.tables.job.object, &|| Lost::Definition);
        }
        for row in index {
            add(row.object, &|| Lost::Rows {
                first_task: row.first_task,
                last_task: row.last_task,
                rows: row.rows,
                smallest_key: row.smallest_key.clone(),
                largest_key: row.largest_key.clone(),
            });
        }
    }

    /// Returns what is lost by a finding.
    pub(super) fn lost(&self, finding: &Finding) -> Option<Lost> {
        use FindingCode::{ChainBroken, ManifestWrong, PrunedDamaged, ReplicaDiverged, TotalsWrong};
        if finding.severity() < Severity::Damage
            || matches!(finding.code, ChainBroken | ManifestWrong | PrunedDamaged | ReplicaDiverged | TotalsWrong)
        {
            return None;
        }
        let (directory, name) = finding.path.rsplit_once('/')?;
        match name {
            layout::MANIFEST_FILE => Some(Lost::State),
            _ if directory == layout::CHECKPOINTS => Some(Lost::State),
            _ => self.uses.get(&name.parse().ok()?)?.lost.as_deref().cloned(),
        }
    }
}

/// Looks at every object once in each replica that needs it.
pub(super) fn check_objects(checks: &mut [ReplicaCheck], options: &Options<'_>, progress: &dyn Progress) {
    let mut work: Vec<(usize, ObjectName, Option<u64>)> = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        work.extend(check.needs.objects.uses.iter().map(|(object, known)| (number, *object, known.bytes)));
    }
    if let Choice::Turn { seen, .. } = options.choice {
        work.sort_by_cached_key(|(number, object, _)| {
            (seen.at(&checks[*number].store.place(), *object), *object, *number)
        });
    }
    let bytes = work.iter().filter_map(|(_, _, bytes)| *bytes);
    let chains = checks.iter().flat_map(|check| &check.needs.chains).map(DeepChain::bytes);
    progress.start(bytes.chain(chains).fold(0, u64::saturating_add));
    let outcomes = parallel::map(&work, |(number, object, bytes)| {
        let read = match options.choice {
            _ if options.depth == Depth::Quick => false,
            Choice::All => true,
            Choice::Sample(sample) => sample.includes(*object),
            Choice::Turn { enough, .. } => !enough(),
        };
        let depth = if read { Depth::Full } else { Depth::Quick };
        (read, check_object(checks[*number].storage.as_ref(), *object, *bytes, depth, progress))
    });
    for ((number, object, _), (read, outcome)) in work.into_iter().zip(outcomes) {
        let check = &mut checks[number];
        let has_turns = matches!(options.choice, Choice::Turn { .. });
        check.unread += u64::from(!read);
        if has_turns && !read {
            check.left.push(object);
        }
        match outcome {
            Ok(bytes) => {
                check.read_bytes += bytes;
                if read && options.depth == Depth::Deep {
                    check.proven.insert(object);
                }
                if read && has_turns {
                    check.intact.push(object);
                }
            }
            Err(problem) => {
                let checkpoints = check.needs.objects.uses[&object].checkpoints.iter().copied();
                check.findings.add(problem.code, object.path(), problem.expected, problem.found, checkpoints);
            }
        }
    }
    checks.iter_mut().for_each(check_sizes);
}

/// Adds a finding for each object whose size is not the same in two checkpoints.
fn check_sizes(check: &mut ReplicaCheck) {
    let objects = &check.needs.objects;
    for (object, bytes, sequence) in &objects.torn {
        let expected = format!("{bytes} bytes, as checkpoint {} says", sequence.0);
        let other = objects.uses[object].bytes.unwrap_or_default();
        let found = format!("{other} bytes, as another says");
        check.findings.add(FindingCode::ObjectSize, object.path(), expected, found, [*sequence]);
    }
}

/// What is wrong with an object.
pub(super) struct Problem {
    pub(super) code: FindingCode,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Checks one object and returns how many of its bytes were read.
pub(super) fn check_object(
    storage: &dyn Storage,
    object: ObjectName,
    expected_bytes: Option<u64>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<u64, Problem> {
    let path = object.path();
    let refuse = |error: StorageError| {
        let expected = expected_bytes.map_or_else(|| "an object".to_owned(), |bytes| format!("{bytes} bytes"));
        let (code, found) = match error.is_not_found() {
            true => (FindingCode::ObjectMissing, "nothing".to_owned()),
            false => (FindingCode::ObjectUnreadable, in_one_line(&error)),
        };
        Problem { code, expected, found }
    };
    let bytes = storage.size(&path).map_err(refuse)?;
    if let Some(expected) = expected_bytes.filter(|expected| *expected != bytes) {
        let (expected, found) = (format!("{expected} bytes"), format!("{bytes} bytes"));
        return Err(Problem { code: FindingCode::ObjectSize, expected, found });
    }
    if depth == Depth::Quick {
        progress.advance(bytes);
        return Ok(0);
    }
    let mut hasher = Hasher::new();
    let look = &mut |piece: &[u8]| {
        hasher.update(piece);
        progress.advance(piece.len() as u64);
    };
    let read = storage.scan(&path, bytes, look).map_err(refuse)?;
    if read != bytes {
        let (expected, found) = (format!("{bytes} bytes"), format!("{read} bytes"));
        return Err(Problem { code: FindingCode::ObjectSize, expected, found });
    }
    let digest = hasher.finish();
    if digest != object.digest {
        let expected = format!("SHA-256 {}", object.digest);
        return Err(Problem { code: FindingCode::ObjectDamaged, expected, found: format!("SHA-256 {digest}") });
    }
    Ok(bytes)
}
