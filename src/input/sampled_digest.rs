//! The digest of samples of a file, which proves cheaply that it was not replaced.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use crate::values::digest::{Digest, Hasher};

/// A file is sampled in cells of this size, in bytes: the first one whole, the others only at their beginning.
pub(super) const CELL_BYTES: u64 = 256 * 1024;
/// How much of the beginning of a cell is sampled, in bytes.
const SAMPLE_BYTES: u64 = 4 * 1024;

/// The digest of the samples before `offset`, and of the offset; see [`PrefixDigest`](super::prefix_digest).
#[derive(Debug, Clone, Default)]
pub struct SampledDigest {
    hasher: Hasher,
    offset: u64,
}

impl SampledDigest {
    /// Reads the samples before `offset`. Fails with `UnexpectedEof` if the file is shorter.
    pub(super) fn of_file(file: &mut File, offset: u64) -> io::Result<SampledDigest> {
        let mut hasher = Hasher::new();
        let mut buffer = Vec::new();
        for (from, to) in samples(0, offset) {
            buffer.clear();
            file.seek(SeekFrom::Start(from))?;
            if file.by_ref().take(to - from).read_to_end(&mut buffer)? as u64 != to - from {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(&buffer);
        }
        Ok(SampledDigest { hasher, offset })
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let end = self.offset + bytes.len() as u64;
        for (from, to) in samples(self.offset, end) {
            self.hasher.update(&bytes[(from - self.offset) as usize..(to - self.offset) as usize]);
        }
        self.offset = end;
    }

    pub(super) fn finish(mut self) -> Digest {
        self.hasher.update(&self.offset.to_le_bytes());
        self.hasher.finish()
    }
}

/// Returns the parts of the samples that are between two offsets, ascending.
fn samples(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    (from / CELL_BYTES..to.div_ceil(CELL_BYTES)).filter_map(move |cell| {
        let start = cell * CELL_BYTES;
        let length = if cell == 0 { CELL_BYTES } else { SAMPLE_BYTES };
        let (start, end) = (start.max(from), start.saturating_add(length).min(to));
        (start < end).then_some((start, end))
    })
}

/// The digest of what another thread has read of a compressed file so far.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredDigest(Arc<Mutex<SampledDigest>>);

impl StoredDigest {
    /// Returns `file`, of which nothing was read yet, with this as the digest of what is read.
    pub(super) fn sampling<R: Read>(&self, file: R) -> impl Read + use<R> {
        Sampling { file, digest: self.clone() }
    }

    /// Returns the digest if exactly `bytes` bytes were read.
    pub(super) fn of_all(&self, bytes: u64) -> Option<Digest> {
        let digest = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (digest.offset == bytes).then(|| digest.finish())
    }
}

struct Sampling<R> {
    file: R,
    digest: StoredDigest,
}

impl<R: Read> Read for Sampling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.digest.0.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..count]);
        Ok(count)
    }
}
