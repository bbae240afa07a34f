//! Objects: presence, size, and every byte.

use std::collections::BTreeMap;

use crate::digest::Hasher;
use crate::format::layout::ObjectName;
use crate::id::Sequence;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::parallel;
use crate::ops::verify::{Depth, causes};
use crate::progress::Progress;
use crate::storage::{Storage, StorageError};

/// How much of an object is read at once, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// The objects that must be there, and who needs them.
#[derive(Default)]
pub(super) struct ObjectTable {
    pub(super) uses: BTreeMap<ObjectName, ObjectUse>,
    /// Objects for which two checkpoints name different sizes: the second size and who names it.
    pub(super) torn: Vec<(ObjectName, u64, Sequence)>,
}

/// Who needs an object.
#[derive(Default)]
pub(super) struct ObjectUse {
    /// Its size, unless only `SHA256SUMS` names it.
    pub(super) bytes: Option<u64>,
    pub(super) checkpoints: Vec<Sequence>,
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

    pub(super) fn bytes(&self) -> u64 {
        self.uses.values().filter_map(|known| known.bytes).fold(0, u64::saturating_add)
    }
}

/// Looks at every object once, and returns how many bytes were read.
pub(super) fn check_objects(
    storage: &dyn Storage,
    objects: &ObjectTable,
    depth: Depth,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let work: Vec<(&ObjectName, &ObjectUse)> = objects.uses.iter().collect();
    let outcomes =
        parallel::map(&work, |(object, known)| check_object(storage, **object, known.bytes, depth, progress));
    let mut read_bytes = 0;
    for ((object, known), outcome) in work.into_iter().zip(outcomes) {
        match outcome {
            Ok(bytes) => read_bytes += bytes,
            Err(problem) => {
                let checkpoints = known.checkpoints.iter().copied();
                findings.add(problem.code, object.path(), problem.expected, problem.found, checkpoints);
            }
        }
    }
    for (object, bytes, sequence) in &objects.torn {
        let expected = format!("{bytes} bytes, as checkpoint {} says", sequence.0);
        let other = objects.uses[object].bytes.unwrap_or_default();
        findings.add(
            FindingCode::ObjectSize,
            object.path(),
            expected,
            format!("{other} bytes, as another says"),
            [*sequence],
        );
    }
    read_bytes
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
            false => (FindingCode::ObjectUnreadable, causes(&error)),
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
    let mut at = 0;
    while at < bytes {
        let piece = storage.get_range(&path, at..bytes.min(at + PIECE_BYTES)).map_err(refuse)?;
        if piece.is_empty() {
            let (expected, found) = (format!("{bytes} bytes"), format!("{at} bytes"));
            return Err(Problem { code: FindingCode::ObjectSize, expected, found });
        }
        hasher.update(&piece);
        at += piece.len() as u64;
        progress.advance(piece.len() as u64);
    }
    let digest = hasher.finish();
    if digest != object.digest {
        let expected = format!("SHA-256 {}", object.digest);
        return Err(Problem { code: FindingCode::ObjectDamaged, expected, found: format!("SHA-256 {digest}") });
    }
    Ok(bytes)
}
