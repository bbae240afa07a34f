//! The proof that a resumed input is the one that was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::{Compression, InputError, Partition, Place, Source, lane};
use crate::digest::{Digest, Hasher};

/// Up to this offset all bytes are sampled, and beyond it so much at either end, in bytes.
const WHOLE_BYTES: u64 = 256 * 1024;
const END_BYTES: u64 = 64 * 1024;
/// How many samples lie between the two ends, and their size in bytes.
const INNER_COUNT: u64 = 62;
const INNER_BYTES: u64 = 1024;

/// Returns the digest of what lies before `place` in `partition`.
///
/// Of a plain file: the SHA-256 of the offset as 8 bytes, little-endian, and of samples. Up to 256 KiB the sample is everything; else the first 64 KiB, for
/// i from 1 to 62 the 1 KiB that begins at offset * i / 63, rounded down, and the last 64 KiB before the offset. Of what can only be read from its
/// beginning: the SHA-256 of all of it, which [`Place::running`] has.
pub fn fingerprint(partition: &Partition, place: &Place) -> Result<Digest, InputError> {
    match (&partition.source, partition.compression, &place.running) {
        (_, _, Some(running)) => Ok(running.clone().finish()),
        (Source::File(path), Compression::None, None) => {
            let mut file = lane::open_regular(partition, path)?;
            sampled(&mut file, place.offset).map_err(|source| read_error(partition, place.offset, source))
        }
        (_, _, None) => {
            let mut hasher = Hasher::new();
            let mut stream = lane::open(partition)?;
            lane::skip(partition, &mut stream, 0, place.offset, &mut hasher)?;
            Ok(hasher.finish())
        }
    }
}

fn read_error(partition: &Partition, offset: u64, source: io::Error) -> InputError {
    InputError::Read { partition: partition.name.clone(), offset, source }
}

/// Returns the digest of the samples before `offset`. Fails with `UnexpectedEof` when the file is shorter.
pub(super) fn sampled(file: &mut File, offset: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    hasher.update(&offset.to_le_bytes());
    let mut buffer = Vec::new();
    for (start, length) in samples(offset) {
        buffer.clear();
        file.seek(SeekFrom::Start(start))?;
        if file.by_ref().take(length).read_to_end(&mut buffer)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer);
    }
    Ok(hasher.finish())
}

/// Returns the samples before `offset`: where each begins, and how long it is.
fn samples(offset: u64) -> Vec<(u64, u64)> {
    if offset <= WHOLE_BYTES {
        return vec![(0, offset)];
    }
    let inner = (1..=INNER_COUNT).map(|i| {
        let start = u128::from(offset) * u128::from(i) / u128::from(INNER_COUNT + 1);
        (u64::try_from(start).expect("a part of the offset is below it"), INNER_BYTES)
    });
    std::iter::once((0, END_BYTES)).chain(inner).chain([(offset - END_BYTES, END_BYTES)]).collect()
}
