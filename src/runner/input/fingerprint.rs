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
/// Of a plain file: the SHA-256 of the offset as 8 bytes, little-endian, and of samples. Up to 256 KiB the sample is
/// everything; else the first 64 KiB, for i from 1 to 62 the 1 KiB that begins at offset * i / 63, rounded down, and
/// the last 64 KiB before the offset. Of what can only be read from its beginning: the SHA-256 of all of it, which
/// [`Place::running`] has.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8], offset: u64) -> Result<Digest, InputError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let partition = Partition {
            name: "x".to_owned(),
            source: Source::File(file.path().to_owned()),
            compression: Compression::None,
            file_bytes: None,
        };
        fingerprint(&partition, &Place { offset, ended: false, running: None })
    }

    #[test]
    fn a_short_file_is_sampled_whole() {
        let bytes: Vec<u8> = (0..WHOLE_BYTES + 10).map(|i| (i % 251) as u8).collect();
        for offset in [0, 1, 1000, WHOLE_BYTES] {
            let expected = [&offset.to_le_bytes(), &bytes[..offset as usize]].concat();
            assert_eq!(plain(&bytes, offset).unwrap(), Digest::of(&expected), "{offset}");
        }
        assert!(plain(&bytes[..10], 11).is_err());
    }

    #[test]
    fn a_long_file_is_sampled_at_both_ends_and_between() {
        let offset = 10_000_019u64;
        let mut bytes: Vec<u8> = (0..offset + 10).map(|i| (i % 251) as u8).collect();
        let mut expected = offset.to_le_bytes().to_vec();
        expected.extend_from_slice(&bytes[..65536]);
        for i in 1..=62 {
            let start = (offset * i / 63) as usize;
            expected.extend_from_slice(&bytes[start..start + 1024]);
        }
        expected.extend_from_slice(&bytes[offset as usize - 65536..offset as usize]);
        let digest = plain(&bytes, offset).unwrap();
        assert_eq!(digest, Digest::of(&expected));
        // What comes behind the offset does not count; what is sampled does.
        bytes[offset as usize] ^= 1;
        assert_eq!(plain(&bytes, offset).unwrap(), digest);
        for at in [0, 65535, offset as usize / 63 + 1023, offset as usize - 65536, offset as usize - 1] {
            bytes[at] ^= 1;
            assert_ne!(plain(&bytes, offset).unwrap(), digest, "{at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn samples_stay_below_the_largest_offset() {
        for offset in [WHOLE_BYTES + 1, u64::MAX] {
            assert!(
                samples(offset)
                    .iter()
                    .all(|(start, length)| start.checked_add(*length).is_some_and(|end| end <= offset))
            );
        }
    }
}
