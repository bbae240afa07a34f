//! A count and a digest of a state that do not depend on its layout.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// The number of rows and a digest of their keys and values, whatever their order and shards.
///
/// The digest is the sum, modulo 2^128, of the XXH3-128 of each key, seeded with the XXH3-64 of its packed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    pub keys: u64,
    pub digest: u128,
}

impl Content {
    pub(crate) fn add(&mut self, key: &[u8], packed: &[u8]) {
        self.keys += 1;
        self.digest = self.digest.wrapping_add(xxh3_128_with_seed(key, xxh3_64(packed)));
    }

    pub(crate) fn join(self, other: Content) -> Content {
        Content { keys: self.keys + other.keys, digest: self.digest.wrapping_add(other.digest) }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys with the digest {:032x}", self.keys, self.digest)
    }
}

/// The rows that arrived in another layout are not those that were sent: a bug, or a memory error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state was {before}, but after rerouting it is {after}")]
pub struct ContentMismatch {
    /// The content of the old layout.
    pub before: Content,
    /// The content of the new layout, rows in the wrong shard left out.
    pub after: Content,
}
