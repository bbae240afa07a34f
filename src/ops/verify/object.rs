//! Checks one object: existence, size, and every byte.

use crate::format::layout::ObjectName;
use crate::ops::finding::FindingCode;
use crate::ops::verify::line_ends;
use crate::storage::{Storage, StorageError};
use crate::values::digest::{Digest, Hasher};
use crate::values::error_chain::in_one_line;
use crate::values::progress::Progress;

/// Why an object is not known to be intact.
pub(super) enum Unproven {
    Damaged(Problem),
    /// The system refused to read it.
    Refused(StorageError),
}

/// What is wrong with an object.
pub(super) struct Problem {
    pub(super) code: FindingCode,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Checks one object, with all its bytes if `read`, and returns how many of them were read.
pub(super) fn check_object(
    storage: &dyn Storage,
    object: ObjectName,
    expected_bytes: Option<u64>,
    read: bool,
    progress: &dyn Progress,
) -> Result<u64, Unproven> {
    let path = object.path();
    let refuse = |error: StorageError| {
        if error.is_inconclusive() {
            return Unproven::Refused(error);
        }
        let expected = expected_bytes.map_or_else(|| "an object".to_owned(), |bytes| format!("{bytes} bytes"));
        let (code, found) = if error.is_not_found() {
            (FindingCode::ObjectMissing, "nothing".to_owned())
        } else {
            (FindingCode::ObjectUnreadable, in_one_line(&error))
        };
        Unproven::Damaged(Problem { code, expected, found })
    };
    let damaged = |code, expected: String, found: String| Err(Unproven::Damaged(Problem { code, expected, found }));
    let bytes = storage.size(&path).map_err(refuse)?;
    if let Some(expected) = expected_bytes.filter(|expected| *expected != bytes) {
        let found = with_line_ends(storage, object, format!("{bytes} bytes"), bytes);
        return damaged(FindingCode::ObjectSize, format!("{expected} bytes"), found);
    }
    if !read {
        progress.advance(bytes);
        return Ok(0);
    }
    let mut hasher = Hasher::new();
    let hash = &mut |piece: &[u8]| {
        hasher.update(piece);
        progress.advance(piece.len() as u64);
    };
    let read = storage.scan(&path, bytes, hash).map_err(refuse)?;
    if read != bytes {
        return damaged(FindingCode::ObjectSize, format!("{bytes} bytes"), format!("{read} bytes"));
    }
    let digest = hasher.finish();
    if digest != object.digest {
        let (expected, found) = (format!("SHA-256 {}", object.digest), format!("SHA-256 {digest}"));
        let found = with_line_ends(storage, object, found, bytes);
        return damaged(FindingCode::ObjectDamaged, expected, found);
    }
    Ok(bytes)
}

/// The largest object of which it is examined whether only its line ends differ, in bytes.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// Returns `found`, and adds that only the line ends of an object of `bytes` bytes differ, if that is all.
fn with_line_ends(storage: &dyn Storage, object: ObjectName, found: String, bytes: u64) -> String {
    match storage.get(&object.path(), bytes.min(MAX_TEXT_BYTES)) {
        Ok(bytes) => line_ends::explain(found, &bytes, |original| Digest::of(original) == object.digest),
        Err(_) => found,
    }
}
