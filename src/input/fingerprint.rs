//! The proof that a resumed input is the one that was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::{Compression, InputError, Partition, Place, Source, lane};
use crate::values::digest::{Digest, Hasher};

/// A file is looked at in cells of this size, in bytes. All of the first is sampled, and the beginning of each other.
const CELL_BYTES: u64 = 256 * 1024;
/// How much of the beginning of a cell is sampled, in bytes.
const SAMPLE_BYTES: u64 = 4 * 1024;

/// The digest of what lies before an offset, as far as it has been read. It is made of the bytes that were applied, not of what a
/// file of that name holds by then.
#[derive(Debug, Clone)]
pub enum Running {
    /// Of what can only be read from its beginning: of all bytes.
    Whole(Hasher),
    /// Of a plain file: of samples.
    Sampled {
        /// Has taken the samples before the offset.
        hasher: Hasher,
        /// The offset.
        offset: u64,
    },
}

impl Running {
    /// Begins at the beginning of `partition`.
    pub(super) fn new(partition: &Partition) -> Running {
        match is_plain_file(partition) {
            true => Running::Sampled { hasher: Hasher::new(), offset: 0 },
            false => Running::Whole(Hasher::new()),
        }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Running::Whole(hasher) => hasher.update(bytes),
            Running::Sampled { hasher, offset } => {
                let end = *offset + bytes.len() as u64;
                for (from, to) in samples(*offset, end) {
                    hasher.update(&bytes[(from - *offset) as usize..(to - *offset) as usize]);
                }
                *offset = end;
            }
        }
    }

    /// Returns the digest.
    pub(super) fn finish(self) -> Digest {
        match self {
            Running::Whole(hasher) => hasher.finish(),
            Running::Sampled { mut hasher, offset } => {
                hasher.update(&offset.to_le_bytes());
                hasher.finish()
            }
        }
    }
}

/// Tells whether a partition can be read from anywhere.
pub(super) fn is_plain_file(partition: &Partition) -> bool {
    partition.compression == Compression::None && partition.source != Source::Stdin
}

/// Returns the digest of what lies before `place` in `partition`.
///
/// Of a plain file: the SHA-256 of samples, and of the offset as 8 bytes, little-endian. The samples are the first 256 KiB, and
/// of each further 256 KiB the first 4 KiB, each cut at the offset. Of what can only be read from its beginning: the SHA-256
/// of all of it. [`Place::running`] has it when the run read those bytes itself; else they are read.
pub fn fingerprint(partition: &Partition, place: &Place) -> Result<Digest, InputError> {
    match (&partition.source, &place.running) {
        (_, Some(running)) => Ok(running.clone().finish()),
        (Source::File(path), None) if is_plain_file(partition) => {
            let mut file = lane::open_regular(partition, path)?;
            let running = sampled(&mut file, place.offset);
            running.map(Running::finish).map_err(|source| read_error(partition, place.offset, source))
        }
        (_, None) => {
            let mut running = Running::new(partition);
            let mut stream = lane::open(partition)?;
            lane::skip(partition, &mut stream, 0, place.offset, &mut running)?;
            Ok(running.finish())
        }
    }
}

fn read_error(partition: &Partition, offset: u64, source: io::Error) -> InputError {
    InputError::Read { partition: partition.name.clone(), offset, source }
}

/// Reads the samples before `offset`. Fails with `UnexpectedEof` when the file is shorter.
pub(super) fn sampled(file: &mut File, offset: u64) -> io::Result<Running> {
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
    Ok(Running::Sampled { hasher, offset })
}

/// Returns the parts of the samples that lie between two offsets, ascending.
fn samples(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    (from / CELL_BYTES..to.div_ceil(CELL_BYTES)).filter_map(move |cell| {
        let start = cell * CELL_BYTES;
        let length = if cell == 0 { CELL_BYTES } else { SAMPLE_BYTES };
        let (start, end) = (start.max(from), start.saturating_add(length).min(to));
        (start < end).then_some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(file: &tempfile::NamedTempFile) -> Partition {
        Partition {
            name: "x".to_owned(),
            source: Source::File(file.path().to_owned()),
            compression: Compression::None,
            file_bytes: None,
        }
    }

    fn of_file(bytes: &[u8], offset: u64) -> Result<Digest, InputError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        fingerprint(&partition(&file), &Place { offset, ended: false, running: None })
    }

    fn bytes(length: u64) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn a_short_file_is_sampled_whole() {
        let bytes = bytes(CELL_BYTES + 10);
        for offset in [0, 1, 1000, CELL_BYTES] {
            let expected = [&bytes[..offset as usize], &offset.to_le_bytes()].concat();
            assert_eq!(of_file(&bytes, offset).unwrap(), Digest::of(&expected), "{offset}");
        }
        assert!(of_file(&bytes[..10], 11).is_err());
    }

    #[test]
    fn a_long_file_is_sampled_in_every_cell() {
        let offset = 3 * CELL_BYTES + 100;
        let mut bytes = bytes(offset + 10);
        let cell = |n: usize, length: usize| &bytes[n * CELL_BYTES as usize..][..length];
        let expected = [cell(0, 262_144), cell(1, 4096), cell(2, 4096), cell(3, 100), &offset.to_le_bytes()].concat();
        let digest = of_file(&bytes, offset).unwrap();
        assert_eq!(digest, Digest::of(&expected));
        // What comes behind the offset does not count; what is sampled does.
        bytes[offset as usize] ^= 1;
        assert_eq!(of_file(&bytes, offset).unwrap(), digest);
        for at in [0, 262_143, 262_144, 262_144 + 4095, offset as usize - 1] {
            bytes[at] ^= 1;
            assert_ne!(of_file(&bytes, offset).unwrap(), digest, "{at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn what_is_taken_piece_by_piece_gives_the_digest_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = bytes(4 * CELL_BYTES);
        for piece in [1_000, 4_096, 99_991, CELL_BYTES as usize, 3 * CELL_BYTES as usize] {
            let mut running = Running::new(&partition(&file));
            let mut offset = 0;
            for part in bytes.chunks(piece) {
                running.update(part);
                offset += part.len() as u64;
                assert_eq!(running.clone().finish(), of_file(&bytes, offset).unwrap(), "{piece} {offset}");
            }
        }
    }
}
