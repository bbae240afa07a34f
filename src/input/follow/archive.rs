//! Compressed files beside a log: what a rotation makes of its older files.

use crate::input::error::InputError;
use crate::input::follow::content::Content;
use crate::input::follow::directory::{SeenFile, may_be_generation, unpacked_name};
use crate::input::follow::file_id::open_if;
use crate::input::follow::tail::Tail;
use crate::input::partition::{Compression, Partition};
use crate::input::prefix_digest::PrefixDigest;
use crate::input::rules::BlockRules;
use crate::values::digest::Digest;

/// How many bytes are unpacked at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A compressed file beside a log, of which everything was read once.
#[derive(Debug)]
pub(super) struct Archive {
    /// By the name that it had before it was compressed.
    pub(super) seen: SeenFile,
    pub(super) content: Content,
    /// The size after decompression.
    pub(super) bytes: u64,
    /// The digest of the bytes before the offset that was asked for, unless it has fewer.
    pub(super) prefix: Option<PrefixDigest>,
}

impl Archive {
    /// Reads the compressed file `seen` through. Returns `None` if it was renamed or removed since it was seen.
    pub(super) fn open(seen: &SeenFile, offset: u64) -> Result<Option<Archive>, InputError> {
        let Some(file) = open_if(&seen.partition, &seen.path, seen.id)? else { return Ok(None) };
        let name = unpacked_name(&seen.partition.name).to_owned();
        let content = Content::packed(&seen.partition, file)?;
        let mut digest = PrefixDigest::at_start(&name);
        let mut prefix = (offset == 0).then(|| digest.clone());
        let mut bytes = 0;
        loop {
            let wanted = if bytes < offset { (offset - bytes).min(CHUNK_BYTES as u64) } else { CHUNK_BYTES as u64 };
            let chunk = content.read(&seen.partition, bytes, wanted)?;
            if chunk.is_empty() {
                break;
            }
            bytes += chunk.len() as u64;
            if bytes <= offset {
                digest.update(&chunk);
            }
            if bytes == offset {
                prefix = Some(digest.clone());
            }
        }
        let partition = Partition { name, compression: Compression::None, ..seen.partition.clone() };
        Ok(Some(Archive { seen: SeenFile { partition, ..seen.clone() }, content, bytes, prefix }))
    }

    /// Returns whether it begins with the bytes that have this fingerprint, at the offset that was asked for.
    pub(super) fn begins_with(&self, fingerprint: &Digest) -> bool {
        self.prefix.as_ref().is_some_and(|prefix| prefix.clone().finish() == *fingerprint)
    }

    /// Returns what reads it from `offset`, for which it was opened.
    pub(super) fn into_tail(self, rules: &BlockRules, offset: u64) -> Result<Tail, InputError> {
        let Archive { seen, content, bytes, prefix } = self;
        match prefix.filter(|_| offset > 0) {
            None => {
                let mut tail = Tail::new(rules, &seen.partition);
                tail.continue_in(content, bytes);
                Ok(tail)
            }
            Some(prefix) => {
                let mut tail = Tail::resume(rules, &seen.partition, content, offset, prefix)?;
                tail.set_size(&seen.partition, bytes)?;
                Ok(tail)
            }
        }
    }
}

/// What a search among files has found.
pub(super) enum Sought<T> {
    Found(T),
    Nothing,
    /// Nothing, but one of them was renamed or removed since it was seen.
    Moved,
}

/// Opens those of `candidates` that begin with the `offset` bytes that have this fingerprint, and returns the first one
/// that `is_it`.
///
/// A file that cannot be unpacked is passed over. One that cannot be read is an error.
pub(super) fn first<'a>(
    candidates: impl Iterator<Item = &'a SeenFile>,
    offset: u64,
    fingerprint: &Digest,
    is_it: impl Fn(&Archive) -> Result<bool, InputError>,
) -> Result<Sought<Box<Archive>>, InputError> {
    let mut sought = Sought::Nothing;
    for seen in candidates {
        match Archive::open(seen, offset) {
            Ok(Some(archive)) if archive.begins_with(fingerprint) && is_it(&archive)? => {
                return Ok(Sought::Found(Box::new(archive)));
            }
            Ok(Some(_)) => {}
            Ok(None) => sought = Sought::Moved,
            Err(InputError::Read { source, .. }) if source.raw_os_error().is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sought)
}

/// Returns whether a compressed file may have been a generation of the partition `of`: `app.log.1.gz` and `app.log.gz`
/// for `app.log`.
pub(super) fn may_be_of(name: &str, of: &str) -> bool {
    let before = unpacked_name(name);
    before == of || may_be_generation(before, of)
}
