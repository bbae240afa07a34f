//! The proof that a resumed input is the one that was read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::input::error::InputError;
use crate::input::object::ObjectReader;
use crate::input::object::url::is_url;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::sampled_digest::{CELL_BYTES, SampledDigest};
use crate::input::stream;
use crate::input::stream::Stream;
use crate::values::digest::{Digest, Hasher};

/// The digest of the bytes before an offset of a partition, which grows as the partition is read.
///
/// It covers the bytes that were applied, even if the file has other bytes by now.
///
/// For an uncompressed file it is the SHA-256 of samples, followed by the offset as 8 bytes, little-endian. The samples
/// are the first 256 KiB, and the first 4 KiB of each further 256 KiB, all cut at the offset. For an uncompressed object,
/// whose ETag proves more, they are only the first 256 KiB: every further one would be a request. For what can only be
/// read from the beginning it is the SHA-256 of all bytes.
#[derive(Debug, Clone)]
pub enum PrefixDigest {
    /// Of all bytes, for what is compressed and standard input.
    Whole(Hasher),
    /// Of samples, for an uncompressed file, also once it is compressed.
    Sampled(SampledDigest),
    /// Of the first cell before `offset`, for an uncompressed object, also once it is compressed.
    Beginning { hasher: Hasher, offset: u64 },
    /// Of bytes that are not read any further.
    Finished(Digest),
}

impl PrefixDigest {
    /// Returns the digest at the beginning of `partition`.
    pub(super) fn new(partition: &Partition) -> PrefixDigest {
        PrefixDigest::at_start(&partition.name)
    }

    /// Returns the digest at the beginning of the partition `name`.
    pub fn at_start(name: &str) -> PrefixDigest {
        if name == "-" || Compression::of(Path::new(name)) != Compression::None {
            PrefixDigest::Whole(Hasher::new())
        } else if is_url(name) {
            PrefixDigest::Beginning { hasher: Hasher::new(), offset: 0 }
        } else {
            PrefixDigest::Sampled(SampledDigest::default())
        }
    }

    /// Returns the digest of the bytes before `offset` of `partition`, which are read for it.
    pub fn of(partition: &Partition, offset: u64) -> Result<PrefixDigest, InputError> {
        match &partition.source {
            Source::File(path) if partition.is_seekable() => {
                let mut file = stream::open_regular(partition, path)?;
                PrefixDigest::of_file(&mut file, offset)
                    .map_err(|source| InputError::read(&partition.name, offset, source))
            }
            Source::Object(url) if partition.is_seekable() => PrefixDigest::of_object(partition, url, offset),
            _ => {
                let mut digest = PrefixDigest::new(partition);
                digest.read_through(partition, &mut stream::open(partition)?, 0, offset, |_| {})?;
                Ok(digest)
            }
        }
    }

    /// Reads the samples before `offset`. Fails with `UnexpectedEof` if the file is shorter.
    pub(super) fn of_file(file: &mut File, offset: u64) -> io::Result<PrefixDigest> {
        SampledDigest::of_file(file, offset).map(PrefixDigest::Sampled)
    }

    /// Reads the first cell before `offset`, which takes one request.
    fn of_object(partition: &Partition, url: &str, offset: u64) -> Result<PrefixDigest, InputError> {
        let found = partition.file_bytes.unwrap_or(0);
        if found < offset {
            return Err(InputError::Shrunk { partition: partition.name.clone(), offset, found });
        }
        let mut object = ObjectReader::open(partition, url)?;
        object.end_at(offset.min(CELL_BYTES));
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).map_err(|source| InputError::read(&partition.name, 0, source))?;
        let mut hasher = Hasher::new();
        hasher.update(&bytes);
        Ok(PrefixDigest::Beginning { hasher, offset })
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            PrefixDigest::Whole(hasher) => hasher.update(bytes),
            PrefixDigest::Finished(_) => unreachable!("a file that is gone is not read"),
            PrefixDigest::Sampled(samples) => samples.update(bytes),
            PrefixDigest::Beginning { hasher, offset } => {
                let wanted = CELL_BYTES.saturating_sub(*offset).min(bytes.len() as u64);
                hasher.update(&bytes[..wanted as usize]);
                *offset += bytes.len() as u64;
            }
        }
    }

    /// Adds the bytes of `stream` from offset `from`, where it is, to offset `to`, and passes them to `visit`. Returns
    /// the last byte.
    pub(super) fn read_through(
        &mut self,
        partition: &Partition,
        stream: &mut Stream,
        from: u64,
        to: u64,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<Option<u8>, InputError> {
        let mut chunk = vec![0; 64 * 1024];
        let mut at = from;
        let mut last = None;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(usize::MAX).min(chunk.len());
            let read = stream.read_some(&mut chunk[..wanted]);
            let length = read.map_err(|source| InputError::read(&partition.name, at, source))?;
            if length == 0 {
                return Err(InputError::Shrunk { partition: partition.name.clone(), offset: to, found: at });
            }
            self.update(&chunk[..length]);
            visit(&chunk[..length]);
            last = Some(chunk[length - 1]);
            at += length as u64;
        }
        Ok(last)
    }

    pub fn finish(self) -> Digest {
        match self {
            PrefixDigest::Whole(hasher) => hasher.finish(),
            PrefixDigest::Finished(digest) => digest,
            PrefixDigest::Sampled(samples) => samples.finish(),
            PrefixDigest::Beginning { mut hasher, offset } => {
                hasher.update(&offset.to_le_bytes());
                hasher.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::partition::Compression;

    fn partition(file: &tempfile::NamedTempFile) -> Partition {
        Partition {
            name: "x".to_owned(),
            source: Source::File(file.path().to_owned()),
            compression: Compression::None,
            file_bytes: None,
            etag: None,
        }
    }

    fn of_file(bytes: &[u8], offset: u64) -> Result<Digest, InputError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        PrefixDigest::of(&partition(&file), offset).map(PrefixDigest::finish)
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
        // Bytes after the offset do not count; sampled bytes do.
        bytes[offset as usize] ^= 1;
        assert_eq!(of_file(&bytes, offset).unwrap(), digest);
        for at in [0, 262_143, 262_144, 262_144 + 4095, offset as usize - 1] {
            bytes[at] ^= 1;
            assert_ne!(of_file(&bytes, offset).unwrap(), digest, "{at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn bytes_added_piece_by_piece_give_the_digest_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = bytes(4 * CELL_BYTES);
        for piece in [1_000, 4_096, 99_991, CELL_BYTES as usize, 3 * CELL_BYTES as usize] {
            let mut digest_so_far = PrefixDigest::new(&partition(&file));
            let mut offset = 0;
            for part in bytes.chunks(piece) {
                digest_so_far.update(part);
                offset += part.len() as u64;
                assert_eq!(digest_so_far.clone().finish(), of_file(&bytes, offset).unwrap(), "{piece} {offset}");
            }
        }
    }
}
