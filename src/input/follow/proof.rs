//! The proof that a file is the one that was read.

use std::io;

use crate::input::error::InputError;
use crate::input::follow::content::Content;
use crate::input::follow::directory::SeenFile;
use crate::input::follow::file_id::open_if;
use crate::input::prefix_digest::PrefixDigest;
use crate::values::digest::Digest;

/// The open file with the digest of the bytes before a position, or `None` if there are no bytes before it.
pub(super) type Opened = Option<(Content, PrefixDigest)>;

/// Whether a file is the one that was read.
pub(super) enum Proof {
    /// It begins with the same bytes.
    Same(Opened),
    /// It begins with other bytes.
    Other,
    /// It was renamed or removed since it was seen.
    Moved,
}

/// Checks whether the file `seen` begins with the `offset` bytes that have this fingerprint.
pub(super) fn prove(seen: &SeenFile, offset: u64, fingerprint: &Digest) -> Result<Proof, InputError> {
    if offset == 0 {
        return Ok(Proof::Same(None));
    }
    if seen.size < offset {
        return Ok(Proof::Other);
    }
    let Some(mut file) = open_if(&seen.partition, &seen.path, seen.id)? else { return Ok(Proof::Moved) };
    match PrefixDigest::of_file(&mut file, offset) {
        Ok(prefix) if prefix.clone().finish() == *fingerprint => Ok(Proof::Same(Some((Content::Plain(file), prefix)))),
        Ok(_) => Ok(Proof::Other),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Proof::Other),
        Err(source) => Err(InputError::read(&seen.partition.name, offset, source)),
    }
}
