//! Reading files.

use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::storage::error::StorageError;
use crate::storage::local::root::Root;
use crate::values::relpath::RelPath;

/// How much is read at once when a file is scanned: little enough to stay in a core's own cache until it has been
/// visited.
const PIECE_BYTES: u64 = 256 << 10;

/// Returns all bytes at `path`, at most `limit`.
pub(super) fn whole(root: &Root, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
    let (file, found) = root.open_file(path)?;
    let too_large = |found| StorageError::TooLarge { path: root.shown(path.as_str()), limit, found };
    if found > limit {
        return Err(too_large(found));
    }
    let failed = |source: io::Error| root.failed("read", path.as_str(), source);
    let mut bytes = reserve(found).map_err(failed)?;
    // The file may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let read = bytes.len() as u64;
    if read > limit { Err(too_large(read)) } else { Ok(bytes.into()) }
}

/// Returns the bytes in `range`, or fewer if the file ends before.
pub(super) fn range(root: &Root, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
    let (file, size) = root.open_file(path)?;
    let failed = |source: io::Error| root.failed("read", path.as_str(), source);
    let length = range.end.min(size).saturating_sub(range.start);
    let mut bytes = reserve(length).map_err(failed)?;
    bytes.resize(length as usize, 0);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

/// Hands up to `limit` bytes to `visit`, one piece after another, and returns their number.
pub(super) fn scan(root: &Root, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
    let (mut file, size) = root.open_file(path)?;
    let failed = |source: io::Error| root.failed("read", path.as_str(), source);
    let piece_bytes = size.min(limit).clamp(1, PIECE_BYTES);
    let mut piece = reserve(piece_bytes).map_err(failed)?;
    piece.resize(piece_bytes as usize, 0);
    let mut at = 0;
    while at < limit {
        let wanted = piece_bytes.min(limit - at) as usize;
        match file.read(&mut piece[..wanted]) {
            Ok(0) => break,
            Ok(count) => {
                visit(&piece[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(at)
}

/// Returns an empty vector with room for `size` bytes. Fails where allocating would abort the process.
fn reserve(size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(bytes)
}
